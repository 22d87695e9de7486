//! Every kind of container is entered with full privileges, whatever the container itself may do.

use std::fs;

use kpexec_tests::{Container, ContainerSpec, Kind, Node, Runtime, eventually};

/// What a debugger needs and a container may not: each line's success is told.
const NEEDS: &str = "
    ip link add probe0 type bridge && ip link del probe0 && echo link
    mount -t tmpfs none /tmp && umount /tmp && echo mount
    ping -c 1 -W 2 127.0.0.1 >/dev/null && echo ping
    hostname probe && echo hostname
    chroot / true && echo chroot";

const ALL: &str = "link\nmount\nping\nhostname\nchroot\n";

fn full(runtime: &dyn Runtime, container: &Container) {
    let node = runtime.node();
    let before = node.snapshot();
    let script = format!("{NEEDS}\ngrep -E '^(NoNew|Seccomp:)' /proc/self/status");
    let output = node
        .cnsenter([&container.id, "--", "sh", "-c", &script])
        .run();
    let name = &container.spec;
    let expected = format!("{ALL}NoNewPrivs:\t0\nSeccomp:\t0\n");
    assert_eq!(
        output.out(),
        expected,
        "{}: {name:?}: {output}",
        runtime.name()
    );
    before.assert_same(node);
}

#[test]
fn containerd() {
    let node = Node::start();
    let runtime = Kind::Containerd16.start(&node);
    for spec in [
        ContainerSpec::locked_down("locked"),
        ContainerSpec::sleeper("strong").privileged(),
        ContainerSpec::sleeper("fixed").read_only(),
        ContainerSpec::sleeper("chroot").no_pivot(),
        ContainerSpec::sleeper("hostpid").host_pid(),
        ContainerSpec::sleeper("hostnet").host_network(),
    ] {
        let container = runtime.run(&spec);
        if matches!(container.id.as_str(), "locked" | "fixed" | "chroot") {
            let theirs = runtime.exec(&container, &["sh", "-c", NEEDS]).run();
            assert_ne!(theirs.out(), ALL, "{theirs}");
        }
        full(runtime.as_ref(), &container);
        let mut words = vec![container.id.as_str(), "--", "cat", "/proc/1/cmdline"];
        let expected = if container.id == "hostpid" {
            "kpexec-node\0init"
        } else {
            "sleep\x001000000"
        };
        assert_eq!(node.cnsenter(&words).ok().trim_end_matches('\0'), expected);
        words.splice(2.., ["ls", "/"]);
        let root = node.cnsenter(&words).ok();
        assert!(root.contains("proc") && !root.contains("boot"), "{root}");
    }
}

#[test]
fn user_namespaces() {
    let node = Node::start();
    let runtime = Kind::Runc15.start(&node);
    let spec = ContainerSpec::sleeper("mapped")
        .userns()
        .uid(1000)
        .drop_all_caps();
    in_user_namespace(runtime.as_ref(), &spec, "0 200000 65536");
    let node = Node::start();
    let runtime = Kind::Containerd16.start(&node);
    let spec = ContainerSpec::sleeper("mapped").userns().seccomp();
    in_user_namespace(runtime.as_ref(), &spec, "0 200000 65536");
    let node = Node::start();
    let runtime = Kind::PodmanRootless.start(&node);
    in_user_namespace(
        runtime.as_ref(),
        &ContainerSpec::sleeper("mine"),
        "0 1500 1",
    );
}

/// As a user makes one: there setgroups(2) would be a way to shed a group that a file denies
/// something to, and is denied (user_namespaces(7)).
#[test]
fn a_user_namespace_that_denies_setgroups() {
    let node = Node::start();
    let mine = rootless_runc(&node);
    let is = |container: &str, flags: &[&str], expected: &str| {
        let show = ["sh", "-c", "id -u; id -g; grep Groups: /proc/self/status"];
        let words = [flags, &[container, "--"], &show].concat();
        let shown = node.cnsenter(words).run().quiet();
        let words: Vec<_> = shown.split_whitespace().collect();
        assert_eq!(words.join(" "), expected, "{flags:?}");
    };
    is(&mine, &[], "0 0 Groups:");
    is(&mine, &["-u", "0:0"], "0 0 Groups:");

    // One with more than one ID, which only root can have made.
    let words = ["unshare", "--user", "--mount", "sleep", "1000004"];
    let _other = node.command(words).spawn();
    let mut found = Vec::new();
    eventually("it is there", || {
        found = node.find(&["sleep", "1000004"]);
        !found.is_empty()
    });
    let folder = format!("/proc/{}", found[0]);
    let script = "echo deny >$0/setgroups && echo 0 200000 65536 >$0/uid_map &&
        echo 0 200000 65536 >$0/gid_map";
    node.command(["sh", "-c", script, &folder]).ok();
    let target = format!("pid:{}", found[0]);
    is(&target, &[], "0 0 Groups:");
    is(&target, &["-u", "1000:1001"], "1000 1001 Groups:");
    for target in [&mine, &target] {
        let words = ["--group-add", "0", target, "--", "true"];
        let output = node.cnsenter(words).run();
        output.refused(&["denies setgroups, so --group-add has no effect"]);
    }
}

/// A container that a user runs without anybody's help; its name.
fn rootless_runc(node: &Node) -> String {
    let script = "cd /run/user/1000
        mkdir -p rootfs/bin rootfs/proc rootfs/dev rootfs/sys
        cp /bin/busybox rootfs/bin/sh
        for name in id grep sleep true; do ln -s sh rootfs/bin/$name; done
        runc spec --rootless
        sed -i -e 's/\"terminal\": true/\"terminal\": false/' -e 's/\"sh\"/\"sleep\", \"1000005\"/' config.json
        XDG_RUNTIME_DIR=/run/user/1000 exec runc run --detach mine </dev/null >log 2>&1";
    let prepare = "install -d -o 1000 -g 1000 -m 700 /run/user/1000";
    node.command(["sh", "-c", prepare]).ok();
    let run = node.command(["sh", "-ec", script]).user(1000, 1000).run();
    let log = node.read("/run/user/1000/log");
    assert_eq!(run.code, 0, "{run} {log}");
    eventually("it has become its program", || {
        !node.find(&["sleep", "1000005"]).is_empty()
    });
    let init = node.find(&["sleep", "1000005"])[0];
    assert_eq!(node.read(format!("/proc/{init}/setgroups")), "deny\n");
    "mine".to_owned()
}

/// Its root can do there whatever root can.
fn in_user_namespace(runtime: &dyn Runtime, spec: &ContainerSpec, map: &str) {
    let (node, container) = (runtime.node(), runtime.run(spec));
    full(runtime, &container);
    let run = |argv: &[&str]| {
        let fixed = [container.id.as_str(), "--"];
        node.cnsenter(fixed.iter().chain(argv)).run()
    };
    let found = run(&["head", "-n1", "/proc/self/uid_map"]).out();
    assert_eq!(found.split_whitespace().collect::<Vec<_>>().join(" "), map);
    let caps = run(&["grep", "-E", "^Cap(Prm|Eff|Bnd)", "/proc/self/status"]).out();
    let all = caps
        .lines()
        .all(|line| line.ends_with("\t000001ffffffffff"));
    assert!(all, "everything in its own user namespace: {caps}");
    assert_eq!(run(&["touch", "/tmp/of-root"]).code, 0);
    let output = node
        .cnsenter(["-u", "90000", &container.id, "--", "id"])
        .run();
    assert_eq!(output.code, 125, "{output}");
    assert!(
        output
            .err()
            .contains("does not exist in the container's user namespace"),
        "{output}"
    );
}

#[test]
fn without_a_shell() {
    let node = Node::start();
    let runtime = Kind::Runc11.start(&node);
    let container = runtime.run(&ContainerSpec::shell_less("bare"));
    let run = |flags: &[&str], argv: &[&str]| {
        let target = [container.id.as_str(), "--"];
        node.cnsenter(flags.iter().chain(&target).chain(argv)).run()
    };
    assert_eq!(run(&[], &["/sleep", "0"]).code, 0);
    let output = run(&[], &["sh"]);
    assert_eq!(output.code, 127);
    assert!(output.err().contains("--no-mount"), "{output}");
    // The node's programs in the container's network and processes.
    let output = run(
        &["--no-mount"],
        &["sh", "-c", "hostname; ip link add probe0 type bridge"],
    );
    assert_eq!(
        (output.out().as_str(), output.code),
        ("bare\n", 0),
        "{output}"
    );
    // Users by number only, and no home: there is no /etc.
    let output = run(&["-u", "7:8"], &["/sleep", "0"]);
    assert_eq!(output.code, 0, "{output}");
    let output = run(&["-u", "app"], &["/sleep", "0"]);
    assert_eq!(output.code, 125);
    assert!(output.err().contains("it has no /etc/passwd"), "{output}");
}

/// A container in another one's PID namespace, as pods with shareProcessNamespace have it.
#[test]
fn a_shared_pid_namespace() {
    let node = Node::start();
    let runtime = Kind::Podman.start(&node);
    let first = runtime.run(&ContainerSpec::sleeper("first"));
    let podman = [
        "podman",
        "run",
        "--detach",
        "--network=none",
        "--pid=container:first",
    ];
    let argv = ["docker.io/kpexec/busybox:1", "sleep", "1000000"];
    let second = node.command(podman.iter().chain(&argv)).ok();
    let kill = "readlink /proc/self/ns/pid; readlink /proc/self/ns/mnt";
    let space = |id: &str| node.cnsenter([id, "--", "sh", "-c", kill]).ok();
    let (one, two) = (space(&first.id), space(&second));
    assert_eq!(one.lines().next(), two.lines().next());
    assert_ne!(one, two);
    assert_eq!(
        node.cnsenter([&second, "--", "cat", "/proc/1/comm"]).ok(),
        "sleep"
    );
}

/// Any process will do, and every kind of namespace, time's included.
#[test]
fn a_plain_process() {
    let node = Node::start();
    let script = "unshare -muinpCT --fork --mount-proc sh -c 'hostname plain; exec sleep 1000' \
        </dev/null >/dev/null 2>&1 & while ! pid=$(pgrep -x sleep); do :; done; echo $pid";
    let pid = node.command(["sh", "-c", script]).ok();
    let target = format!("pid:{pid}");
    let links = "readlink /proc/self/ns/*; hostname";
    let ours = node.cnsenter([&target, "--", "sh", "-c", links]).ok();
    let of_target = format!("readlink /proc/{pid}/ns/*");
    let theirs = node.command(["sh", "-c", &of_target]).ok();
    assert_eq!(ours, format!("{theirs}\nplain"));
    let nodes = fs::read_link(node.path("/proc/1/ns/time")).unwrap();
    assert!(!ours.contains(&nodes.display().to_string()), "{ours}");
    let output = node.cnsenter(["pid:999999", "--", "true"]).run();
    assert_eq!(output.code, 125, "{output}");
}
