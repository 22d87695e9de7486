//! `cnsenter session` as it is run in the agent's pod: the node's root is at /host, and the cgroup
//! namespace is the pod's own.

use std::fs;

use cnsenter_protocol::{CgroupChoice, Encoded};
use kpexec_tests::{SessionClient, Shop};

/// What makes a process live as in the agent's pod: its own root has none of the node's state.
const AGENT: &str = "mkdir -p /host && mount --rbind / /host && mount -t tmpfs none /run && \
                     export OF_THE_AGENT=1; exec cnsenter \"$@\"";

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

/// As on the node itself: its programs, its network, and nothing of the agent's.
#[test]
fn what_is_not_wanted_of_the_container_is_the_nodes() {
    const SHOW: &str = "cd /proc/self/ns; for n in mnt net uts ipc; do readlink $n; done; ls -id /";
    let shop = Shop::open();
    let on_node = shop
        .node
        .command(["nsenter", "-t", "1", "-a", "sh", "-c", SHOW])
        .ok();
    let mut request = shop.request(&["sh", "-c", SHOW]);
    request.in_agent = true;
    request.namespaces = Some(vec!["pid".into()]);
    let mut client = agent(&shop, &request.encode().unwrap().words);
    assert_eq!(client.wait(1).out().trim(), on_node);

    request.command = vec![b"env".to_vec()];
    let mut client = agent(&shop, &request.encode().unwrap().words);
    let env = client.wait(1).out();
    assert!(!env.contains("OF_THE_AGENT"), "{env}");
    assert!(env.contains("HOME=/root"), "{env}");

    request.command = vec![b"nosuch".to_vec()];
    let mut client = agent(&shop, &request.encode().unwrap().words);
    let told = format!("{:?}", client.wait(1));
    assert!(told.contains("on the node"), "{told}");
}

fn agent(shop: &Shop, words: &[String]) -> SessionClient {
    let wrapper = ["unshare", "-mCnui", "sh", "-c", AGENT, "sh"].map(str::to_owned);
    let command = shop.node.command(wrapper.iter().chain(words));
    SessionClient::of(&command, &shop.node)
}
