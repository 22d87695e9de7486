//! Every runtime: it starts, runs containers of every kind, does what it is told, leaks nothing.

use kpexec_tests::{ContainerSpec, Kind, Runtime, on_each_runtime};

on_each_runtime!(works);

fn works(kind: Kind, runtime: &dyn Runtime) {
    lives_a_full_life(kind, runtime);
    keeps_its_promises(kind, runtime);
}

fn lives_a_full_life(kind: Kind, runtime: &dyn Runtime) {
    let node = runtime.node();
    // Some things are made for the first container and stay.
    runtime.remove(&runtime.run(&ContainerSpec::sleeper("first").host_network()));

    let spec = ContainerSpec::sleeper("web")
        .uid(1000)
        .env("COLOR", "blue")
        .cwd("/tmp");
    runtime.with(&spec, &mut |container| {
        assert_eq!(
            node.read(format!("/proc/{}/cmdline", container.pid)),
            "sleep\x001000000\0"
        );
        let script = "id -u; echo $COLOR; pwd; exit 3";
        let output = runtime.exec(container, &["sh", "-c", script]).run();
        assert_eq!(
            output.out(),
            "1000\nblue\n/tmp\n",
            "{}: {output}",
            runtime.name()
        );
        assert_eq!(output.code, 3, "{}: {output}", runtime.name());

        let pid = container.pid.to_string();
        let entered = node.command(["nsenter", "-t", &pid, "-a", "/bin/busybox", "id", "-u"]);
        assert_eq!(entered.ok(), "0");

        // Without root there are no cgroups of version 1, and nothing to freeze a container with.
        if kind != Kind::PodmanRootless {
            runtime.pause(container);
            let script = "cat /sys/fs/cgroup/freezer/$0/freezer.state 2>/dev/null || echo FROZEN";
            let groups = node
                .command(["cat", &format!("/proc/{}/cgroup", container.pid)])
                .ok();
            let group = groups.split_once(":freezer:").map_or("", |(_, rest)| rest);
            let group = group.lines().next().unwrap_or_default();
            assert_eq!(node.command(["sh", "-c", script, group]).ok(), "FROZEN");
            runtime.unpause(container);
        }
        runtime.stop(container);
    });
}

fn keeps_its_promises(kind: Kind, runtime: &dyn Runtime) {
    let node = runtime.node();
    let status = |pid: u32| node.read(format!("/proc/{pid}/status"));
    let with = |spec: ContainerSpec, check: &mut dyn FnMut(u32)| {
        runtime.with(&spec, &mut |container| check(container.pid));
    };
    let same_space = |pid: u32, kind: &str| {
        let space =
            |pid: &str| std::fs::read_link(node.path(format!("/proc/{pid}/ns/{kind}"))).unwrap();
        space(&pid.to_string()) == space("1")
    };

    with(ContainerSpec::shell_less("static"), &mut |pid| {
        assert!(!node.path(format!("/proc/{pid}/root/bin/sh")).exists());
    });
    let daemonless = matches!(kind, Kind::Runc11 | Kind::Runc15 | Kind::Crun);
    let locked_down = ContainerSpec::sleeper("locked")
        .uid(1000)
        .drop_all_caps()
        .read_only();
    let locked_down = if daemonless {
        locked_down
    } else {
        locked_down.seccomp()
    };
    with(locked_down, &mut |pid| {
        let status = status(pid);
        assert!(status.contains("CapBnd:\t0000000000000000"), "{status}");
        assert_eq!(status.contains("Seccomp:\t2"), !daemonless, "{status}");
    });
    with(
        ContainerSpec::sleeper("hosts").host_network().host_pid(),
        &mut |pid| {
            assert!(same_space(pid, "pid") && !same_space(pid, "mnt"));
            assert!(same_space(pid, "net") || kind == Kind::PodmanRootless);
        },
    );
    with(ContainerSpec::sleeper("strong").privileged(), &mut |pid| {
        assert!(!status(pid).contains("CapEff:\t00000000a80425fb"));
    });
    if kind != Kind::Docker {
        with(ContainerSpec::sleeper("user").userns(), &mut |pid| {
            assert!(!same_space(pid, "user"))
        });
    }
    if !matches!(kind, Kind::Docker | Kind::Podman | Kind::PodmanRootless) {
        with(ContainerSpec::sleeper("chroot").no_pivot(), &mut |pid| {
            assert!(!same_space(pid, "mnt"))
        });
    }
    if kind != Kind::PodmanRootless {
        let limited = ContainerSpec::sleeper("small").memory(64 << 20).pids(20);
        with(limited, &mut |pid| {
            assert!(status(pid).contains("Name:\tsleep"))
        });
    }
}
