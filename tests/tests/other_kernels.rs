//! Containers that are not of this node's kernel: entering the process that their runtime names
//! would run the command on the node, as root.

use std::fs;

use kpexec_tests::{Cache, ContainerSpec, Containerd, Node, Runtime, eventually};

const TASKS: &str = "/run/containerd/io.containerd.runtime.v2.task/default";

/// Shims of those names, behind which runc's does the work: whatever a process looks like, the
/// runtime's name is enough.
#[test]
fn kata_and_gvisor_by_the_runtimes_name() {
    let node = Node::start();
    let bin = Cache::here().part("containerd", "github.com/containerd/containerd/v2");
    for name in ["kata-v2", "kata-qemu-v2", "runsc-v1"] {
        let shim = node.path(format!("/usr/local/sbin/containerd-shim-{name}"));
        fs::copy(bin.join("containerd-shim-runc-v2"), shim).unwrap();
    }
    let containerd = Containerd::v2_at(&node, "/run/containerd", "/run/containerd/containerd.sock");
    let shims = [
        (
            "kata",
            "io.containerd.kata.v2",
            "runs in a Kata virtual machine",
            "kata-runtime exec",
        ),
        (
            "qemu",
            "io.containerd.kata-qemu.v2",
            "runs in a Kata virtual machine",
            "kata-runtime exec",
        ),
        (
            "visor",
            "io.containerd.runsc.v1",
            "runs in gVisor",
            "runsc exec visor",
        ),
    ];
    for (earlier, (id, runtime, kind, instead)) in shims.into_iter().enumerate() {
        let words = [
            "run",
            "-d",
            "--null-io",
            "--runtime",
            runtime,
            "docker.io/kpexec/busybox:1",
            id,
            "sleep",
            "1000",
        ];
        containerd.ctr(words).ok();
        eventually("it has become its program", || {
            node.find(&["sleep", "1000"]).len() == earlier + 1
        });
        let before = node.snapshot();
        let refused = |target: &str| {
            let said = node.cnsenter([target, "--", "true"]).run();
            said.refused(&[
                &format!("container {id} "),
                kind,
                "not on this node's kernel",
                instead,
            ]);
        };
        refused(id);
        refused(&id[..3]);
        refused(&format!("containerd://{id}"));
        // Those shims write no init.pid: only the daemon knows the process.
        fs::remove_file(node.path(format!("{TASKS}/{id}/init.pid"))).unwrap();
        refused(id);
        before.assert_same(&node);
    }
    // Their processes are in a cgroup that names the container, and are no container's init.
    containerd.daemon().unwrap().kill();
    for (id, name) in [("kata", "Kata"), ("qemu", "Kata"), ("visor", "gVisor")] {
        for flags in [&[][..], &["--runtime=none"]] {
            let said = node.cnsenter(flags.iter().chain(&[id, "--", "true"])).run();
            said.refused(&["not on this node's kernel", name]);
        }
    }
}

/// A process that shares the node's mounts is nobody's container, whoever says so.
#[test]
fn a_process_of_the_node() {
    let node = Node::start();
    let containerd = Containerd::v1(&node, "/usr/sbin/runc");
    containerd.run(&ContainerSpec::sleeper("web"));
    let _victim = node.command(["sleep", "1000001"]).spawn();
    let mut victims = Vec::new();
    eventually("the process is there", || {
        victims = node.find(&["sleep", "1000001"]);
        victims.len() == 1
    });
    for pid in ["1", victims[0].to_string().as_str()] {
        node.write(format!("{TASKS}/web/init.pid"), pid);
        let naive = node.command(["nsenter", "-t", pid, "-a", "hostname"]);
        assert_eq!(naive.ok(), node.name());
        let said = node.cnsenter(["web", "--", "true"]).run();
        said.refused(&[
            "container web runs in a virtual machine or another kernel",
            &format!("PID {pid} is in the node's own namespaces"),
            "use the runtime's own exec",
        ]);
    }
}

/// gVisor's sandbox has namespaces of its own: it is known by its program.
#[test]
fn gvisor_by_its_program() {
    let node = Node::start();
    let containerd = Containerd::v1(&node, "/usr/sbin/runc");
    let web = containerd.run(&ContainerSpec::sleeper("web"));
    let root = node.path(format!("/proc/{}/root", web.pid));
    fs::copy("/bin/busybox", root.join("runsc")).unwrap();
    let _sandbox = node
        .cnsenter([
            "web",
            "--",
            "/bin/busybox",
            "sh",
            "-c",
            "exec -a sleep /runsc 1000002",
        ])
        .spawn();
    let pid = loop {
        let found = node.command(["pgrep", "-f", "^sleep 1000002"]).run();
        if let Some(pid) = found.out().lines().next().filter(|_| found.code == 0) {
            let exe = fs::read_link(node.path(format!("/proc/{pid}/exe"))).unwrap_or_default();
            if exe.ends_with("runsc") {
                break pid.to_owned();
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    };
    node.write(format!("{TASKS}/web/init.pid"), &pid);
    let said = node.cnsenter(["web", "--", "true"]).run();
    said.refused(&[
        "container web runs in gVisor",
        &format!("PID {pid} is the gVisor sandbox"),
        "runsc exec web",
    ]);
}
