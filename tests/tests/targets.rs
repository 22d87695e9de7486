//! Every way to name a container, on each runtime.

use kpexec_tests::{
    Container, ContainerSpec, Containerd, Engine, Kind, Node, Runtime, on_each_runtime, say_space,
    space_of,
};

on_each_runtime!(is_found_by_every_name);

fn is_found_by_every_name(kind: Kind, runtime: &dyn Runtime) {
    let node = runtime.node();
    let [blue, green] =
        ["web-blue", "web-green"].map(|name| runtime.run(&ContainerSpec::sleeper(name)));
    let before = node.snapshot();
    let blue_space = space_of(node, &blue);
    assert_ne!(blue_space, space_of(node, &green));
    let is_blue = |flags: &[&str], target: &str| {
        let said = say_space(node, flags, target).run();
        assert_eq!(said.quiet(), blue_space, "{flags:?} {target}");
    };

    is_blue(&[], &blue.id);
    is_blue(&[], "web-blue");
    is_blue(&[], &format!("pid:{}", blue.pid));
    is_blue(&["--runtime=none"], &blue.id);
    is_blue(&["--runtime=none"], "web-blue");
    is_blue(&["--runtime=none"], &format!("pid:{}", blue.pid));
    let hex = matches!(kind, Kind::Docker | Kind::Podman | Kind::PodmanRootless);
    if hex {
        is_blue(&[], &blue.id[..12]);
        is_blue(&[], &blue.id[..shortest_prefix(&blue.id, &green.id)]);
        say_space(node, &[], &blue.id[..2])
            .run()
            .refused(&["no container"]);
    } else {
        is_blue(&[], "web-b");
        say_space(node, &[], "we")
            .run()
            .refused(&["no container \"we\""]);
        let said = say_space(node, &[], "web").run();
        said.refused(&[
            "\"web\" is not unique: it means web-",
            "web-blue",
            "web-green",
        ]);
        // Both IDs begin so, and it is the beginning of "web-blue" alone.
        is_blue(&[], "web-bl");
    }
    // What is not a prefix is no name either.
    say_space(node, &[], "eb-blue")
        .run()
        .refused(&["no container \"eb-blue\"", "cnsenter ls"]);

    let scheme = match kind {
        Kind::Containerd16 | Kind::Containerd16Crun | Kind::Containerd22 => Some("containerd"),
        Kind::Docker => Some("docker"),
        Kind::Podman | Kind::PodmanRootless => Some("podman"),
        Kind::Runc11 | Kind::Runc15 | Kind::Crun => None,
    };
    for other in ["containerd", "docker", "podman", "cri-o"] {
        let target = format!("{other}://{}", blue.id);
        if Some(other) == scheme {
            is_blue(&[], &target);
            is_blue(&[], &target[..target.len() - 1]);
        } else if (other, scheme) != ("cri-o", Some("podman")) {
            say_space(node, &[], &target)
                .run()
                .refused(&["no container", &target]);
        }
    }
    match scheme {
        Some("podman") | None => {}
        Some(own) => {
            is_blue(&[&format!("--runtime={own}")], &blue.id);
            let other = if own == "docker" {
                "containerd"
            } else {
                "docker"
            };
            let flag = format!("--runtime={other}");
            // The kernel still knows the ID of a container by its cgroup's name.
            let said = say_space(node, &[&flag], "web-blue").run();
            said.refused(&["no container \"web-blue\""]);
        }
    }
    if scheme == Some("containerd") {
        is_blue(&["--runtime-namespace=default"], "web-blue");
        is_blue(
            &["--runtime-endpoint=/run/containerd/containerd.sock"],
            "web-blue",
        );
        is_blue(
            &["--runtime-endpoint=unix:///run/containerd/containerd.sock"],
            "web-b",
        );
        let said = say_space(node, &["--runtime-namespace=k8s.io"], "web-blue").run();
        said.refused(&["no container"]);
    }
    if kind == Kind::Docker {
        is_blue(&["--runtime-endpoint=/run/docker.sock"], "web-blue");
    }
    before.assert_same(node);
}

/// A node with three runtimes, as a developer's machine has them: Docker's containers are the
/// system containerd's tasks.
#[test]
fn runtimes_side_by_side() {
    let node = Node::start();
    let containerd = Containerd::v1(&node, "/usr/sbin/runc");
    let docker = Engine::docker(&node);
    let podman = Engine::podman(&node);
    let tasks = containerd.run(&ContainerSpec::sleeper("task"));
    let spec = ContainerSpec::sleeper("web");
    let [dockers, podmans] = [docker.run(&spec), podman.run(&spec)];
    let is = |flags: &[&str], target: &str, container: &Container| {
        let said = say_space(&node, flags, target).run();
        assert_eq!(
            said.quiet(),
            space_of(&node, container),
            "{flags:?} {target}"
        );
    };
    for container in [&tasks, &dockers, &podmans] {
        is(&[], &container.id, container);
        is(&[], &format!("pid:{}", container.pid), container);
    }
    is(&[], "containerd://task", &tasks);
    is(&[], &format!("docker://{}", dockers.id), &dockers);
    is(&[], &format!("docker://{}", &dockers.id[..12]), &dockers);
    is(&[], &format!("podman://{}", &podmans.id[..12]), &podmans);
    is(&["--runtime=docker"], "web", &dockers);

    let both = [
        "\"web\" is not unique",
        &dockers.id[..13],
        &podmans.id[..13],
    ];
    say_space(&node, &[], "web").run().refused(&both);
    say_space(&node, &["--runtime=none"], "web")
        .run()
        .refused(&both);
    // What is typed in full is an ID before it is a name, as it is for docker.
    let task = containerd.run(&spec);
    is(&[], "web", &task);

    // One ID in two of containerd's namespaces.
    containerd
        .ctr([
            "-n",
            "k8s.io",
            "run",
            "-d",
            "--null-io",
            "docker.io/kpexec/busybox:1",
            "twin",
            "sleep",
            "1000",
        ])
        .ok();
    let twin = containerd.run(&ContainerSpec::sleeper("twin"));
    let said = say_space(&node, &[], "twin").run();
    said.refused(&[
        "\"twin\" is not unique",
        "[containerd default]",
        "[containerd k8s.io]",
    ]);
    let said = say_space(&node, &["--runtime-namespace=default"], "twin").run();
    assert_eq!(said.quiet(), space_of(&node, &twin));
}

/// DOCKER_HOST names the socket, as for docker itself. It is only asked for what is not on disk.
#[test]
fn docker_host() {
    let node = Node::start();
    let docker = Engine::docker(&node);
    let web = docker.run(&ContainerSpec::sleeper("web"));
    node.command(["mv", "/run/docker.sock", "/run/moved.sock"])
        .ok();
    node.command(["mount", "-t", "tmpfs", "none", "/var/lib/docker/containers"])
        .ok();
    say_space(&node, &[], "web")
        .run()
        .refused(&["no container \"web\""]);
    let said = say_space(&node, &[], "web")
        .env("DOCKER_HOST", "unix:///run/moved.sock")
        .run();
    assert_eq!(said.quiet(), space_of(&node, &web));
    let said = say_space(&node, &["--runtime-endpoint=/run/moved.sock"], "web").run();
    assert_eq!(said.quiet(), space_of(&node, &web));
    let said = say_space(&node, &[], "web")
        .env("DOCKER_HOST", "tcp://127.0.0.1:1")
        .run();
    said.refused(&["no container \"web\""]);
}

/// How many characters tell two IDs apart, three at least.
fn shortest_prefix(one: &str, other: &str) -> usize {
    let same = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b);
    (same.count() + 1).max(3)
}
