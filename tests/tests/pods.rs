//! Pods over CRI, on both containerds.

use kpexec_tests::{ContainerSpec, Cri, Kind, Node, Runtime};

const SOCKET: &str = "/run/containerd/containerd.sock";

#[test]
fn pods_of_containerd_1_6() {
    pods(Kind::Containerd16);
}

#[test]
fn pods_of_containerd_2_2() {
    let (node, _runtime, mut cri) = pods(Kind::Containerd22);
    let pod = cri.run("shop", "mapped", &[ContainerSpec::sleeper("web").userns()]);
    let map = node.read(format!("/proc/{}/uid_map", pod.containers[0].pid));
    assert_eq!(
        map.split_whitespace().collect::<Vec<_>>(),
        ["0", "200000", "65536"]
    );
    cri.remove(&pod);
}

fn pods(kind: Kind) -> (Node, Box<dyn Runtime>, Cri) {
    let node = Node::start();
    let runtime = kind.start(&node);
    let mut cri = Cri::connect(&node, SOCKET);
    let warm_up = cri.run("shop", "first", &[ContainerSpec::sleeper("web")]);
    cri.remove(&warm_up);

    let before = node.snapshot();
    let containers = [
        ContainerSpec::locked_down("web"),
        ContainerSpec::shell_less("helper"),
    ];
    let pod = cri.run("shop", "cart", &containers);
    assert!(cri.address(&pod).starts_with("10.244."), "{pod:?}");
    let network = |pid: u32| std::fs::read_link(node.path(format!("/proc/{pid}/ns/net"))).unwrap();
    let [web, helper] = &pod.containers[..] else {
        panic!("{pod:?}")
    };
    assert_eq!(network(web.pid), network(helper.pid));
    assert_ne!(network(web.pid), network(1));
    let status = node.read(format!("/proc/{}/status", web.pid));
    assert!(
        status.contains("CapBnd:\t0000000000000000") && status.contains("Seccomp:\t2"),
        "{status}"
    );
    cri.remove(&pod);
    before.assert_same(&node);

    let pod = cri.run(
        "shop",
        "agent",
        &[ContainerSpec::sleeper("agent")
            .privileged()
            .host_network()
            .host_pid()],
    );
    assert_eq!(network(pod.containers[0].pid), network(1));
    cri.remove(&pod);
    before.assert_same(&node);
    (node, runtime, cri)
}
