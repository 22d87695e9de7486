//! Which cgroup the command is in, and what that means: at the container's limits, while it is
//! paused, and beside groups that imitate others.

use nix::sys::signal::Signal;

use kpexec_tests::{Container, ContainerSpec, Kind, Node, Output, Runtime};

struct Stage {
    node: Node,
    runtime: Box<dyn Runtime>,
    container: Container,
}

impl Stage {
    fn new(spec: ContainerSpec) -> Self {
        let node = Node::start();
        let runtime = Kind::Runc11.start(&node);
        let container = runtime.run(&spec);
        Self {
            node,
            runtime,
            container,
        }
    }

    fn run(&self, flag: &str, argv: &[&str]) -> Output {
        let fixed = [flag, self.container.id.as_str(), "--"];
        self.node.cnsenter(fixed.iter().chain(argv)).run()
    }

    fn exec(&self, argv: &[&str]) -> Output {
        self.runtime.exec(&self.container, argv).run()
    }
}

const OWN: &str = "--cgroup=own";
const TARGET: &str = "--cgroup=target";

/// Reaps what is left to it: else the killed stay there as zombies.
fn reaper() -> ContainerSpec {
    ContainerSpec::new("web", ["sh", "-c", "sleep 1000000 & wait"])
}

#[test]
fn own_and_target() {
    let stage = Stage::new(reaper());
    let group = |text: &str, controller: &str| {
        let line = text
            .lines()
            .find(|line| line.split(':').nth(1) == Some(controller));
        line.and_then(|line| line.splitn(3, ':').nth(2))
            .map(str::to_owned)
    };
    let container = stage
        .node
        .command(["cat", &format!("/proc/{}/cgroup", stage.container.pid)])
        .ok();
    let of = |flag: &str| {
        let words = [
            flag,
            "--no-cgroup",
            &stage.container.id,
            "--",
            "cat",
            "/proc/self/cgroup",
        ];
        stage.node.cnsenter(words).run()
    };
    let (own, target) = (of(OWN), of(TARGET));
    assert_eq!(own.err(), "");
    assert!(
        target.err().contains("warning") && target.err().lines().count() == 1,
        "{target}"
    );
    for controller in ["memory", "pids", "devices", "cpuset"] {
        let theirs = group(&container, controller);
        assert!(theirs.is_some(), "{container}");
        assert_eq!(group(&target.out(), controller), theirs, "{target}");
        assert_eq!(
            group(&own.out(), controller).as_deref(),
            Some("/system"),
            "{own}"
        );
    }
    // So that a paused container does not freeze the command.
    assert_ne!(
        group(&target.out(), "freezer"),
        group(&container, "freezer"),
        "{target}"
    );
}

#[test]
fn at_the_limit_of_processes() {
    let full = "for i in 1 2 3; do sleep 1000000 & done; wait";
    let spec = ContainerSpec::new("web", ["sh", "-c", full]).pids(4);
    let stage = Stage::new(spec);
    let forks = ["sh", "-c", "(echo a); ls / | wc -l"];
    assert_ne!(stage.exec(&forks).code, 0);
    let output = stage.run(OWN, &forks);
    assert_eq!((output.code, output.err().as_str()), (0, ""), "{output}");
    // The limit holds for the command's children, and the command itself still starts.
    let output = stage.run(TARGET, &["echo", "one"]);
    assert_eq!(
        (output.out().as_str(), output.code),
        ("one\n", 0),
        "{output}"
    );
    let output = stage.run(TARGET, &forks);
    assert!(
        output.code != 0 && output.err().contains("can't fork"),
        "{output}"
    );
}

#[test]
fn at_the_limit_of_memory() {
    let stage = Stage::new(reaper().memory(32 << 20));
    let hog = ["dd", "if=/dev/zero", "of=/dev/null", "bs=100M", "count=1"];
    assert_eq!(stage.exec(&hog).code, 128 + 9);
    let output = stage.run(OWN, &hog);
    assert_eq!(output.code, 0, "{output}");
    let output = stage.run(TARGET, &hog);
    assert_eq!(output.code, 128 + 9, "{output}");
    assert_eq!(stage.run(OWN, &["true"]).code, 0, "the container lives on");
}

#[test]
fn devices() {
    let stage = Stage::new(reaper());
    let script = "mknod /dev/probe c 1 11; dd if=/dev/probe of=/dev/null count=0";
    assert_eq!(stage.run(OWN, &["sh", "-c", script]).code, 0);
    let output = stage.run(TARGET, &["sh", "-c", script]);
    assert!(
        output.code != 0 && output.err().contains("Operation not permitted"),
        "{output}"
    );
}

/// The container is paused while a command runs: that goes on, can be ended, and is ended when
/// cnsenter is killed.
#[test]
fn paused_in_the_middle() {
    for flag in [OWN, TARGET] {
        let stage = Stage::new(reaper());
        let id = stage.container.id.as_str();
        let before = stage.node.snapshot();
        let script = "setsid sleep 1001 & while read line; do echo got $line; done";
        for ending in [Signal::SIGKILL, Signal::SIGTERM] {
            let words = ["-i", "--kill-on-exit", flag, id, "--", "sh", "-c", script];
            let mut live = stage.node.cnsenter(words).spawn();
            live.write("first\n");
            live.wait_for("got first");
            while stage
                .node
                .command(["pgrep", "-fx", "sleep 1001"])
                .run()
                .code
                != 0
            {}

            stage.runtime.pause(&stage.container);
            live.write("second\n");
            live.wait_for("got second");
            let refused = stage.run(flag, &["true"]);
            assert!(
                refused.code == 125 && refused.err().contains("is paused"),
                "{refused}"
            );

            live.signal(ending);
            assert_eq!(live.wait_exit(), 128 + ending as i32, "{flag} {ending}");
            // While the container is still paused; only its init can reap.
            while stage
                .node
                .command(["pgrep", "-fx", "sleep 1001"])
                .run()
                .code
                == 0
            {}
            stage.runtime.unpause(&stage.container);
            drop(live);
            before.assert_same(&stage.node);
        }
    }
}

/// A container makes groups below its own that are called like another container's, or that no
/// simple parser expects.
#[test]
fn names_imitate_others() {
    let node = Node::start();
    let runtime = Kind::Runc11.start(&node);
    let victim = "0123456789abcdef".repeat(4);
    let real = runtime.run(&ContainerSpec::sleeper(&victim));
    let evil = runtime.run(&ContainerSpec::sleeper("evil").privileged());
    let own = ["evil", "--", "cat", "/proc/sys/kernel/hostname"];
    assert_eq!(node.cnsenter(own).ok(), "evil");
    // As the container would, given write access to its groups.
    for name in [
        victim.clone(),
        format!("docker-{victim}.scope"),
        format!("kubepods/burstable/pod1/{victim}"),
        format!("cri-containerd-{victim}.scope"),
        "a:b:c".to_owned(),
        "0::..".to_owned(),
    ] {
        let script = format!(
            "for group in /sys/fs/cgroup/pids /sys/fs/cgroup/memory /sys/fs/cgroup/systemd; do
                [ -d $group/system/evil ] || continue
                mkdir -p \"$group/system/evil/{0}\"
                echo {1} >\"$group/system/evil/{0}/cgroup.procs\"
            done",
            name, evil.pid
        );
        node.command(["sh", "-c", &script]).ok();
        let groups = node
            .command(["cat", &format!("/proc/{}/cgroup", evil.pid)])
            .ok();
        assert!(groups.contains(&name), "{groups}");
        if name.contains(&victim) {
            let naive = format!("grep -l {victim} /proc/[0-9]*/cgroup");
            let found = node.command(["sh", "-c", &naive]).ok();
            assert!(found.contains(&format!("/{}/", evil.pid)), "{found}");
        }
        let target = [
            "--cgroup=target",
            &format!("pid:{}", evil.pid),
            "--",
            "hostname",
        ];
        assert_eq!(node.cnsenter(target).ok(), "evil", "{name}");
        let of = |target: &str, runtime: &str| {
            let words = [runtime, target, "--", "cat", "/proc/self/mountinfo"];
            node.cnsenter(words).ok()
        };
        let expected = of(&format!("pid:{}", real.pid), "--runtime=auto");
        for runtime in ["--runtime=auto", "--runtime=none"] {
            assert_eq!(of(&victim, runtime), expected, "{runtime} {name}");
        }
    }
}
