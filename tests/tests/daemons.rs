//! Daemons that are dead or hang: what the node itself knows still works.

use std::time::{Duration, Instant};

use kpexec_tests::{
    Container, ContainerSpec, Cri, Engine, Kind, Node, Output, Runtime, say_space, space_of,
};

const CONTAINERD: &str = "/run/containerd/containerd.sock";
const HIDE_STATE: &str =
    "mount -t tmpfs -o mode=755 none /run/containerd/io.containerd.runtime.v2.task";

/// Longer than any daemon is waited for, and much shorter than for ever.
const BOUND: Duration = Duration::from_secs(20);

#[test]
fn a_dead_containerd() {
    let node = Node::start();
    let runtime = Kind::Containerd16.start(&node);
    let pod = Cri::connect(&node, CONTAINERD).run("shop", "cart", &[ContainerSpec::sleeper("web")]);
    let [web] = &pod.containers[..] else {
        panic!("{pod:?}")
    };
    let task = runtime.run(&ContainerSpec::sleeper("task"));
    runtime.daemon().unwrap().kill();

    knows_without_asking(&node, web, &task);
    let left_out = "containerd at /run/containerd/containerd.sock cannot be reached";
    say_space(&node, &[], "shop/nothing")
        .run()
        .refused(&["no container \"shop/nothing\"", left_out]);
    let said = node.cnsenter(["ls"]).run();
    lists(&said, web, &task, left_out);

    // With its state out of sight as well, the names of cgroups are left.
    node.command(["sh", "-c", HIDE_STATE]).ok();
    let said = say_space(&node, &[], &web.id).run();
    assert_eq!(
        (said.code, said.out().trim()),
        (0, space_of(&node, web).as_str()),
        "{said}"
    );
    assert!(said.err().contains(left_out), "{said}");
    let said = say_space(&node, &[], "shop/cart/web").run();
    said.refused(&["no container \"shop/cart/web\"", left_out]);
}

#[test]
fn a_hung_containerd() {
    let node = Node::start();
    let runtime = Kind::Containerd22.start(&node);
    let pod = Cri::connect(&node, CONTAINERD).run("shop", "cart", &[ContainerSpec::sleeper("web")]);
    let [web] = &pod.containers[..] else {
        panic!("{pod:?}")
    };
    let task = runtime.run(&ContainerSpec::sleeper("task"));
    runtime.daemon().unwrap().stop();

    knows_without_asking(&node, web, &task);
    let left_out = "containerd at /run/containerd/containerd.sock did not answer within 2 s";
    let begun = Instant::now();
    say_space(&node, &[], "shop/nothing")
        .run()
        .refused(&["no container \"shop/nothing\"", left_out]);
    lists(&node.cnsenter(["ls"]).run(), web, &task, left_out);
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());

    node.command(["sh", "-c", HIDE_STATE]).ok();
    let said = say_space(&node, &[], &web.id).run();
    assert_eq!(
        (said.code, said.out().trim()),
        (0, space_of(&node, web).as_str()),
        "{said}"
    );
    assert!(said.err().contains(left_out), "{said}");
    let endpoint = format!("--runtime-endpoint={CONTAINERD}");
    let said = node.cnsenter([&endpoint, "shop/cart", "--", "true"]).run();
    said.refused(&[
        "no container runtime answers at /run/containerd/containerd.sock",
        "within 2 s",
    ]);
    runtime.daemon().unwrap().resume();
    assert_eq!(
        say_space(&node, &[], "shop/cart/web").run().quiet(),
        space_of(&node, web)
    );
}

#[test]
fn a_dead_docker() {
    let node = Node::start();
    let docker = Engine::docker(&node);
    let web = docker.run(&ContainerSpec::sleeper("web"));
    let killed = docker.run(&ContainerSpec::sleeper("killed"));
    docker.stop(&killed);
    docker.daemon().unwrap().kill();
    for target in [
        &web.id,
        &web.id[..12],
        "web",
        &format!("docker://{}", web.id),
    ] {
        assert_eq!(
            say_space(&node, &[], target).run().quiet(),
            space_of(&node, &web)
        );
    }
    let left_out = "Docker at /run/docker.sock cannot be reached";
    say_space(&node, &[], "nothing")
        .run()
        .refused(&["no container \"nothing\"", left_out]);
    say_space(&node, &[], "killed")
        .run()
        .refused(&["container", "has exited with code 137 at 20"]);
    let said = node.cnsenter(["ls"]).run();
    assert_eq!(said.code, 0, "{said}");
    assert!(said.err().contains(left_out), "{said}");
    assert!(said.out().contains(&web.id[..13]), "{said}");
    assert!(said.out().contains(" web "), "{said}");
}

/// State directories are enough, so nobody is asked and nothing is to be warned of.
fn knows_without_asking(node: &Node, web: &Container, task: &Container) {
    let by_id = [
        web.id.clone(),
        web.id[..12].to_owned(),
        format!("containerd://{}", web.id),
    ];
    let by_name = ["shop/cart", "shop/cart/web", "web"].map(str::to_owned);
    for target in by_id.iter().chain(&by_name) {
        assert_eq!(
            say_space(node, &[], target).run().quiet(),
            space_of(node, web),
            "{target}"
        );
    }
    for target in ["task", "tas", "containerd://task"] {
        assert_eq!(
            say_space(node, &[], target).run().quiet(),
            space_of(node, task),
            "{target}"
        );
    }
}

fn lists(said: &Output, web: &Container, task: &Container, warning: &str) {
    assert_eq!(said.code, 0, "{said}");
    assert!(said.err().contains(warning), "{said}");
    assert_eq!(said.err().lines().count(), 1, "{said}");
    for word in [
        &web.id[..13],
        "shop/cart",
        &web.pid.to_string(),
        "task",
        &task.pid.to_string(),
    ] {
        assert!(said.out().contains(word), "no {word} in {said}");
    }
}
