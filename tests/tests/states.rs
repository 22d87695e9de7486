//! Containers that do not run: ended, paused, not started, going away, replaced.

use std::fs;
use std::thread;
use std::time::Duration;

use kpexec_tests::node::SCRATCH;
use kpexec_tests::{
    Cmd, Container, ContainerSpec, Cri, Engine, Kind, Node, Runtime, on_each_runtime,
};

const TASKS: &str = "/run/containerd/io.containerd.runtime.v2.task";

on_each_runtime!(stops_and_goes);

fn stops_and_goes(kind: Kind, runtime: &dyn Runtime) {
    is_refused_unless_it_runs(kind, runtime);
    is_entered_or_not_while_it_goes(runtime);
}

fn is_refused_unless_it_runs(kind: Kind, runtime: &dyn Runtime) {
    let node = runtime.node();
    let spec = ContainerSpec::sleeper("web");
    let web = runtime.run(&spec);
    // Without root there are no cgroups of version 1, and nothing to freeze a container with.
    if kind != Kind::PodmanRootless {
        let before = node.snapshot();
        runtime.pause(&web);
        for target in [&web.id, "web", &format!("pid:{}", web.pid)] {
            enter(node, target)
                .run()
                .refused(&["is paused", "resume it first"]);
        }
        let listed = node.cnsenter(["ls"]).run().quiet();
        assert!(listed.contains(" paused "), "{listed}");
        runtime.unpause(&web);
        enter(node, &web.id).run().quiet();
        before.assert_same(node);
    }

    // In the moment of its death it is entered in full or not at all.
    node.command(["kill", "-KILL", &web.pid.to_string()]).ok();
    let said = enter(node, &web.id).run();
    if !matches!(said.code, 0 | 137) {
        let text = said.refused(&[]);
        assert!(text.contains("exited") || text.contains("ended"), "{text}");
    }
    wait_for_end(node, &web);
    match kind {
        // Nobody is there to wait for the process, nor to write down how it ended.
        Kind::Runc11 | Kind::Runc15 | Kind::Crun => {
            enter(node, "web")
                .run()
                .refused(&["container web has exited", "restart it"]);
        }
        Kind::Containerd16 | Kind::Containerd16Crun | Kind::Containerd22 => {
            let words = ["container web has exited with code 137 at 20", " s ago)"];
            enter(node, "web").run().refused(&words);
        }
        // How it ended goes from a file to Podman's database, which cnsenter does not read: it is
        // known for a moment only.
        Kind::Podman | Kind::PodmanRootless => {
            for target in [web.id.as_str(), &web.id[..12], "web"] {
                enter(node, target).run().refused(&["has exited", &web.id]);
            }
        }
        Kind::Docker => {
            until_it_says(node, &web.id, "exited with code");
            let words = ["has exited with code 137 at 20", " s ago)", &web.id];
            for target in [web.id.as_str(), &web.id[..12], "web"] {
                enter(node, target).run().refused(&words);
            }
        }
    }
    let listed = node.cnsenter(["ls"]).run().quiet();
    assert!(!listed.contains("web"), "{listed}");
    let listed = node.cnsenter(["ls", "-a"]).run().quiet();
    assert!(listed.contains(" exited"), "{listed}");
    runtime.remove(&web);
    enter(node, &web.id)
        .run()
        .refused(&["no container", &web.id]);
}

/// Whatever the moment, a container that is being removed is entered in full or not at all.
fn is_entered_or_not_while_it_goes(runtime: &dyn Runtime) {
    let node = runtime.node();
    runtime.remove(&runtime.run(&ContainerSpec::sleeper("web")));
    let before = node.snapshot();
    let mut refused = 0;
    for _ in 0..3 {
        let web = runtime.run(&ContainerSpec::sleeper("web"));
        thread::scope(|scope| {
            let removal = scope.spawn(|| runtime.remove(&web));
            loop {
                let last = removal.is_finished();
                let said = node
                    .cnsenter([&web.id, "--", "/bin/busybox", "echo", "in"])
                    .run();
                match said.code {
                    0 => assert_eq!(said.quiet(), "in"),
                    // With its PID namespace, the kernel killed the command as well.
                    137 => {
                        let told = said.err();
                        let why = "cnsenter: the command was killed, for its container ended\n";
                        assert!(told.is_empty() || told == why, "{said}");
                    }
                    // The file is gone, the process not yet.
                    127 => {
                        said.failed(127, &["/bin/busybox"]);
                    }
                    _ => {
                        said.refused(&[]);
                        refused += 1;
                    }
                }
                if last {
                    break;
                }
            }
        });
    }
    assert!(refused >= 3, "{}", runtime.name());
    before.assert_same(node);
}

#[test]
fn never_started_in_runc() {
    never_started_in_an_oci_runtime(Kind::Runc11, "/usr/sbin/runc");
}

#[test]
fn never_started_in_crun() {
    never_started_in_an_oci_runtime(Kind::Crun, "/usr/bin/crun");
}

fn never_started_in_an_oci_runtime(kind: Kind, program: &str) {
    let node = Node::start();
    let runtime = kind.start(&node);
    runtime.run(&ContainerSpec::sleeper("web"));
    let script = format!(
        "{program} create --bundle {SCRATCH}/bundles/web waiting </dev/null >/dev/null 2>&1"
    );
    node.command(["sh", "-c", &script]).ok();
    let before = node.snapshot();
    enter(&node, "waiting").run().refused(&[
        "container waiting is created but not started",
        "start it first",
    ]);
    let listed = node.cnsenter(["ls"]).run().quiet();
    let line = listed
        .lines()
        .find(|line| line.starts_with("waiting"))
        .unwrap();
    assert!(line.contains(" created "), "{listed}");
    before.assert_same(&node);
    node.command([program, "start", "waiting"]).ok();
    enter(&node, "waiting").run().quiet();
}

#[test]
fn never_started_in_docker() {
    let node = Node::start();
    never_started_in_an_engine(&Engine::docker(&node), &["create"]);
}

#[test]
fn never_started_in_podman() {
    let node = Node::start();
    let podman = Engine::podman(&node);
    never_started_in_an_engine(&podman, &["create"]);
    // Podman can make the process that waits, too.
    podman
        .command([
            "create",
            "--name=ready",
            "--network=none",
            "kpexec/busybox:1",
            "sleep",
            "1000",
        ])
        .ok();
    let id = podman.command(["init", "ready"]).ok();
    let words = ["is created but not started", "start it first"];
    enter(&node, "ready").run().refused(&words);
    assert!(!id.is_empty());
}

fn never_started_in_an_engine(engine: &Engine, create: &[&str]) {
    let node = engine.node();
    let words = [
        "--name=new",
        "--network=none",
        "docker.io/kpexec/busybox:1",
        "sleep",
        "1000",
    ];
    let id = engine.command(create.iter().chain(&words)).ok();
    for target in [id.as_str(), &id[..12], "new"] {
        enter(node, target)
            .run()
            .refused(&["has no process: it was not started", &id]);
    }
    let listed = node.cnsenter(["ls", "-a"]).run().quiet();
    assert!(listed.contains(" created "), "{listed}");
    engine.command(["start", "new"]).ok();
    enter(node, "new").run().quiet();
}

#[test]
fn containers_of_a_pod() {
    let node = Node::start();
    let _containerd = Kind::Containerd16.start(&node);
    let mut cri = Cri::connect(&node, "/run/containerd/containerd.sock");
    let sleeper = ContainerSpec::sleeper;
    let pod = cri.run("shop", "cart", &[sleeper("web"), sleeper("ended")]);
    let new = cri.create(&pod, &sleeper("new"));
    for target in [&new, &new[..12], "shop/cart/new", "new"] {
        enter(&node, target)
            .run()
            .refused(&[&new, "was not started"]);
    }
    let ended = &pod.containers[1];
    node.command(["kill", "-KILL", &ended.pid.to_string()]).ok();
    // The task knows how it ended, and is then deleted; what is asked from then on is CRI's record.
    let task = format!("{TASKS}/k8s.io/{}", ended.id);
    while node.path(&task).exists() {
        thread::sleep(Duration::from_millis(5));
    }
    until_it_says(&node, &ended.id, "exited with code");
    for target in [&ended.id, &ended.id[..12], "shop/cart/ended", "ended"] {
        enter(&node, target)
            .run()
            .refused(&[&ended.id, "has exited with code 137 at 20"]);
    }
    // Of a pod's containers only one runs: that is the one that is meant.
    enter(&node, "shop/cart").run().quiet();
    cri.remove(&pod);
    enter(&node, "shop/cart")
        .run()
        .refused(&["no container \"shop/cart\""]);
}

/// The state names a process that is another one by now.
#[test]
fn a_reused_pid() {
    let node = Node::start();
    let runtime = Kind::Containerd22.start(&node);
    let [web, other] = ["web", "other"].map(|name| runtime.run(&ContainerSpec::sleeper(name)));
    let file = node.path(format!("{TASKS}/default/web/init.pid"));
    let written = fs::metadata(&file).unwrap().modified().unwrap();
    // Neither containerd nor its shim may mend it.
    runtime.daemon().unwrap().kill();
    node.command(["kill", "-KILL", &web.pid.to_string()]).ok();
    wait_for_end(&node, &web);
    let mut late = node.command(["sleep", "1000"]).spawn();
    let own = node.command(["sh", "-c", "pgrep -n -x sleep"]).ok();
    for pid in [
        other.pid.to_string(),
        own,
        "1".to_owned(),
        "4194304".to_owned(),
    ] {
        fs::write(&file, &pid).unwrap();
        let hour = Duration::from_secs(3600);
        fs::File::options()
            .write(true)
            .open(&file)
            .unwrap()
            .set_modified(written - hour)
            .unwrap();
        enter(&node, "web")
            .run()
            .refused(&["container web has exited"]);
    }
    for nonsense in ["", "0", "-1", "web", "99999999999999999999", "1\n2"] {
        fs::write(&file, nonsense).unwrap();
        enter(&node, "web").run().refused(&[
            "cannot read the state of container web",
            "does not hold a PID",
        ]);
    }
    late.close_stdin();
}

#[test]
fn a_reused_pid_in_runc_and_crun() {
    for (kind, file) in [
        (Kind::Runc11, "/run/runc/web/state.json"),
        (Kind::Crun, "/run/crun/web/status"),
    ] {
        let node = Node::start();
        let runtime = kind.start(&node);
        let [web, other] = ["web", "other"].map(|name| runtime.run(&ContainerSpec::sleeper(name)));
        enter(&node, "web").run().quiet();
        let state = node
            .read(file)
            .replace(&format!(":{}", web.pid), &format!(":{}", other.pid));
        let state = state.replace(&format!(": {}", web.pid), &format!(": {}", other.pid));
        assert!(state.contains(&other.pid.to_string()), "{state}");
        node.write(file, state);
        enter(&node, "web")
            .run()
            .refused(&["container web has exited"]);
    }
}

fn enter(node: &Node, target: &str) -> Cmd {
    node.cnsenter([target, "--", "/bin/busybox", "true"])
        .deadline(Duration::from_secs(30))
}

fn wait_for_end(node: &Node, container: &Container) {
    while fs::read_link(node.path(format!("/proc/{}/exe", container.pid))).is_ok() {
        thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until the runtime has written down how a container ended.
fn until_it_says(node: &Node, target: &str, words: &str) {
    for _ in 0..100 {
        if enter(node, target).run().err().contains(words) {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("it never said {words:?}: {}", enter(node, target).run());
}
