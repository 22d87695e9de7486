//! `cnsenter session` as it is run in the agent's pod: the node's root is at /host, and the cgroup
//! namespace is the pod's own.

use std::fs;

use cnsenter_protocol::{CgroupChoice, Encoded};
use kpexec_tests::{SessionClient, Shop};

/// What makes a process live as in the agent's pod: its own root has none of the node's state.
const AGENT: &str = "mkdir -p /host && mount --rbind / /host && mount -t tmpfs none /run && \
                     exec cnsenter \"$@\"";

#[test]
fn everything_is_found_below_the_nodes_root() {
    let shop = Shop::open();
    let mut request = shop.request(&["hostname"]);
    request.in_agent = true;
    let by_id = request.clone();
    request.targets[0].container_id = None;
    for request in [by_id, request] {
        let Encoded { words, .. } = request.encode().unwrap();
        let mut client = agent(&shop, &words);
        assert_eq!(client.wait(1).out(), "web\n");
    }
}

/// From a cgroup namespace of its own, no other group can be named.
#[test]
fn the_containers_cgroup_can_be_joined() {
    let shop = Shop::open();
    let mut request = shop.request(&["sleep", "4901"]);
    request.in_agent = true;
    let group = |pid: u32| {
        let text = fs::read_to_string(shop.node.path(format!("/proc/{pid}/cgroup"))).unwrap();
        let memory = text
            .lines()
            .find(|line| line.split(':').nth(1) == Some("memory"));
        memory.unwrap_or_else(|| panic!("{text}")).to_owned()
    };
    for (choice, joins) in [(CgroupChoice::Own, false), (CgroupChoice::Target, true)] {
        request.cgroup = Some(choice);
        let mut client = agent(&shop, &request.encode().unwrap().words);
        let pid = client.wait_started(1);
        assert_eq!(group(pid) == group(shop.web_pid()), joins, "{}", group(pid));
    }
}

fn agent(shop: &Shop, words: &[String]) -> SessionClient {
    let wrapper = ["unshare", "-m", "-C", "sh", "-c", AGENT, "sh"].map(str::to_owned);
    let command = shop.node.command(wrapper.iter().chain(words));
    SessionClient::of(&command, &shop.node)
}
