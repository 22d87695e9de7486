//! Naming pods and their containers, on both containerds and where distributions put containerd.

use kpexec_tests::{
    Container, ContainerSpec, Containerd, Cri, Kind, Node, Pod, Runtime, say_space,
};

const SOCKET: &str = "/run/containerd/containerd.sock";

#[test]
fn pods_of_containerd_1_6() {
    let node = Node::start();
    let runtime = Kind::Containerd16.start(&node);
    are_found_by_every_name(runtime.as_ref());
}

#[test]
fn pods_of_containerd_2_2() {
    let node = Node::start();
    let runtime = Kind::Containerd22.start(&node);
    are_found_by_every_name(runtime.as_ref());
}

fn are_found_by_every_name(runtime: &dyn Runtime) {
    let node = runtime.node();
    let mut cri = Cri::connect(node, SOCKET);
    let [web, cache] = ["web", "cache"].map(ContainerSpec::sleeper);
    let cart = cri.run("shop", "cart", &[web.clone(), cache]);
    let single = cri.run("shop", "single", &[ContainerSpec::sleeper("only")]);
    let twin = cri.run("office", "cart", &[web]);
    let before = node.snapshot();

    let check = || {
        finds(node, &[], "shop/cart/web", &cart.containers[0]);
        finds(node, &[], "shop/cart/cache", &cart.containers[1]);
        finds(node, &[], "office/cart/web", &twin.containers[0]);
        finds(node, &[], "shop/single", &single.containers[0]);
        finds(node, &[], "shop/single/only", &single.containers[0]);
        finds(node, &[], "office/cart", &twin.containers[0]);
        let only = &single.containers[0];
        for target in [
            only.id.clone(),
            only.id[..12].to_owned(),
            format!("containerd://{}", only.id),
            format!("containerd://{}", &only.id[..12]),
            format!("pid:{}", only.pid),
            "only".to_owned(),
        ] {
            finds(node, &[], &target, only);
        }
        let several = [
            "\"shop/cart\" is not unique",
            "shop/cart/web",
            "shop/cart/cache",
        ];
        say_space(node, &[], "shop/cart").run().refused(&several);
        let several = [
            "\"web\" is not unique",
            "(shop/cart/web)",
            "(office/cart/web)",
        ];
        say_space(node, &[], "web").run().refused(&several);
        for target in [
            "shop/cart/db",
            "shop/carts",
            "shops/cart/web",
            "cart/shop",
            "shop/single/web",
        ] {
            say_space(node, &[], target)
                .run()
                .refused(&["no container", target, "cnsenter ls"]);
        }
        refuses_sandbox(node, &cart);
    };
    check();

    let socket = format!("--runtime-endpoint={SOCKET}");
    let url = format!("--runtime-endpoint=unix://{SOCKET}");
    let only = &single.containers[0];
    for flags in [
        &["--runtime=containerd"][..],
        &["--runtime=cri"],
        &["--runtime=none"],
        &["--runtime-namespace=k8s.io"],
        &[&socket],
        &[&url],
        &[&socket, "--runtime=cri"],
        &[&socket, "--runtime=containerd"],
    ] {
        finds(node, flags, "shop/single/only", only);
        finds(node, flags, &only.id, only);
        finds(node, flags, &only.id[..12], only);
    }
    for flags in ["--runtime=docker", "--runtime-namespace=default"] {
        say_space(node, &[flags], "shop/single")
            .run()
            .refused(&["no container"]);
        say_space(node, &[flags], &only.id)
            .run()
            .refused(&["no container"]);
    }
    let said = say_space(
        node,
        &["--runtime-endpoint=/run/nothing.sock"],
        "shop/single",
    )
    .run();
    said.refused(&[
        "no container runtime answers at /run/nothing.sock",
        "--runtime-endpoint",
    ]);
    let said = say_space(node, &[&socket, "--runtime=docker"], "shop/single").run();
    said.refused(&["no container runtime answers at /run/containerd/containerd.sock"]);

    // As kubelet links the logs: a shortcut that must not be believed.
    let logs = "/var/log/containers";
    let link = |pod: &str, namespace: &str, name: &str, id: &str| {
        node.write(format!("{logs}/{pod}_{namespace}_{name}-{id}.log"), "");
    };
    link("cart", "shop", "web", &cart.containers[0].id);
    link("cart", "shop", "cache", &cart.containers[1].id);
    link("single", "shop", "only", &only.id);
    link("single", "shop", "only", &"0".repeat(64));
    link("cart", "office", "web", &twin.containers[0].id);
    check();
    // One that lies.
    link("single", "shop", "web", &cart.containers[0].id);
    link("forged", "shop", "web", &cart.containers[0].id);
    say_space(node, &[], "shop/single/web")
        .run()
        .refused(&["no container"]);
    say_space(node, &[], "shop/forged/web")
        .run()
        .refused(&["no container"]);
    node.command(["rm", "-r", logs]).ok();
    before.assert_same(node);
}

fn refuses_sandbox(node: &Node, cart: &Pod) {
    let words = [
        "is the sandbox of pod shop/cart, not a container",
        "enter one of its containers: shop/cart/cache, shop/cart/web",
    ];
    for target in [
        cart.id.clone(),
        cart.id[..12].to_owned(),
        format!("containerd://{}", cart.id),
    ] {
        say_space(node, &[], &target).run().refused(&words);
    }
}

#[test]
fn containerd_where_k3s_has_it() {
    moved("/run/k3s/containerd", "/run/k3s/containerd/containerd.sock");
}

#[test]
fn containerd_where_microk8s_has_it() {
    let run = "/var/snap/microk8s/common/run";
    moved(
        &format!("{run}/containerd"),
        &format!("{run}/containerd.sock"),
    );
}

#[test]
fn containerd_where_k0s_has_it() {
    moved("/run/k0s/containerd", "/run/k0s/containerd.sock");
}

/// State directory and socket are found by themselves, each without the other.
fn moved(state: &str, socket: &str) {
    let node = Node::start();
    let containerd = Containerd::v2_at(&node, state, socket);
    let mut cri = Cri::connect(&node, socket);
    let pod = cri.run("shop", "cart", &[ContainerSpec::sleeper("web")]);
    let web = &pod.containers[0];
    let all = |flags: &[&str]| {
        for target in [&web.id, &web.id[..12], "web", "shop/cart", "shop/cart/web"] {
            finds(&node, flags, target, web);
        }
        let listed = node.cnsenter(["ls"].iter().chain(flags)).run();
        let listed = listed.quiet();
        assert!(
            listed.contains(&web.id[..13]) && listed.contains("shop/cart"),
            "{listed}"
        );
    };
    all(&[]);
    all(&["--runtime=none"]);
    for target in [&web.id, "shop/cart/web"] {
        let found = from_a_pod(&node, target);
        assert_eq!(found, mount_namespace(&node, web), "{target}");
    }
    // The daemon alone: what it keeps on disk is out of sight.
    node.command([
        "mount",
        "-o",
        "mode=755",
        "-t",
        "tmpfs",
        "none",
        &format!("{state}/io.containerd.runtime.v2.task"),
    ])
    .ok();
    for target in [&web.id[..12], "shop/cart/web"] {
        finds(&node, &[], target, web);
    }
    drop(containerd);
}

/// As in the agent: all that the node has is below /host, and nothing of it elsewhere.
fn from_a_pod(node: &Node, target: &str) -> String {
    const AGENT: &str = "mkdir -p /host && mount --rbind / /host && \
                         mount -t tmpfs none /run && mount -t tmpfs none /var && \
                         exec cnsenter --host-root /host \"$1\" -- readlink /proc/self/ns/mnt";
    node.command(["unshare", "-mC", "sh", "-c", AGENT, "sh", target])
        .ok()
}

fn mount_namespace(node: &Node, container: &Container) -> String {
    let link = node.path(format!("/proc/{}/ns/mnt", container.pid));
    std::fs::read_link(link).unwrap().display().to_string()
}

#[track_caller]
fn finds(node: &Node, flags: &[&str], target: &str, container: &Container) {
    let command = say_space(node, flags, target);
    let said = command.clone().run();
    assert_eq!(said.code, 0, "{command}: {said}");
    assert_eq!(said.quiet(), mount_namespace(node, container), "{command}");
}
