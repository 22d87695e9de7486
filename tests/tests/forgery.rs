//! State that somebody else than root could have written: it may name any process, and is not
//! believed.

use std::fs;
use std::os::unix::fs::chown;

use kpexec_tests::{Cmd, Container, ContainerSpec, Engine, Kind, Node, Output, eventually};

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// The user who forges.
const EVE: u32 = 1000;

/// A user may write what a runtime of theirs would, about whatever process.
#[test]
fn a_users_own_runtime_names_any_process() {
    let node = Node::start();
    let podman = Engine::podman_rootless(&node);
    let theirs = podman_container(&podman);
    let roots = Kind::Crun.start(&node);
    let plain = roots.run(&ContainerSpec::sleeper("plain"));
    let mapped = roots.run(&ContainerSpec::sleeper("mapped").userns());
    let before = node.snapshot();
    let victims = [
        (1, "in the node's own user namespace"),
        (plain.pid, "in the node's own user namespace"),
        (mapped.pid, "in a user namespace of uid 0"),
        (theirs.pid, "in a user namespace of uid 1500"),
    ];
    for (pid, found) in victims {
        for forge in [forge_crun, forge_runc, forge_podman] {
            forge(&node, "/run/user/1000", pid);
            give_to_eve(&node);
            if pid == 1 {
                assert_eq!(believed(&node), node.name());
            }
            let words = [
                "/run/user/1000",
                "belongs to uid 1000",
                &format!("PID {pid} is {found}"),
            ];
            for target in [ID, &ID[..12]] {
                enter(&node, &[], target).refused(&words);
                enter(&node, &["--runtime=none"], target).refused(&words);
            }
            let listed = node.cnsenter(["ls"]).run();
            assert!(!listed.out().contains(&ID[..13]), "{listed}");
            assert!(listed.err().contains("belongs to uid 1000"), "{listed}");
            // What is right beside it is found nevertheless.
            enter(&node, &[], "plain").quiet();
            enter(&node, &[], &theirs.id).quiet();
            fs::remove_dir_all(node.path("/run/user/1000")).unwrap();
        }
    }
    // Links to where root's state is do not make it the user's.
    fs::create_dir_all(node.path("/run/user/1000")).unwrap();
    give_to_eve(&node);
    node.command(["ln", "-s", "/run/crun", "/run/user/1000/crun"])
        .user(EVE, EVE)
        .ok();
    enter(&node, &[], "plain").quiet();
    enter(&node, &[], ID).refused(&["no container"]);
    before.assert_same(&node);
}

/// The node's own state directories, but anybody's: containers in them are not entered by them.
#[test]
fn the_nodes_state_in_other_hands() {
    let node = Node::start();
    let crun = Kind::Crun.start(&node);
    let web = crun.run(&ContainerSpec::sleeper("web"));
    let runc = Kind::Runc11.start(&node);
    runc.run(&ContainerSpec::sleeper("other"));
    for (path, mode) in [
        ("/run/crun", "755"),
        ("/run/crun/web", "700"),
        ("/run/crun/web/status", "644"),
    ] {
        enter(&node, &[], "web").quiet();
        node.command(["chown", "1000", path]).ok();
        let text = enter(&node, &[], "web").refused(&[path, "is not believed: uid 1000 owns it"]);
        assert!(text.contains("web"), "{text}");
        node.command(["chown", "0", path]).ok();
        for open in ["777", "1777", "775", "757"] {
            node.command(["chmod", open, path]).ok();
            enter(&node, &[], "web")
                .refused(&[path, "is not believed: others than its owner may write it"]);
            enter(&node, &[], "other").quiet();
        }
        node.command(["chmod", mode, path]).ok();
        let status = format!("{}", web.pid);
        assert!(node.read("/run/crun/web/status").contains(&status));
    }
    enter(&node, &[], "web").quiet();
}

/// A runtime that is not there at all: a user makes its folders first.
#[test]
fn folders_that_a_user_made_first() {
    let node = Node::start();
    let before = node.snapshot();
    for (store, forge) in [
        (
            "/run/containerd/io.containerd.runtime.v2.task",
            forge_task as fn(&Node, &str, u32),
        ),
        (
            "/run/k3s/containerd/io.containerd.runtime.v2.task",
            forge_task,
        ),
        (
            "/run/docker/containerd/daemon/io.containerd.runtime.v2.task",
            forge_task,
        ),
        ("/run/containers/storage", forge_storage),
        ("/run/crun", |node, store, pid| {
            forge_status(node, store, pid)
        }),
        ("/run/runc", |node, store, pid| {
            forge_state(node, store, pid)
        }),
    ] {
        let own = node.command(["sleep", "1000"]).spawn();
        let mut victims = Vec::new();
        eventually("only this sleep is there", || {
            victims = node.find(&["sleep", "1000"]);
            victims.len() == 1
        });
        forge(&node, store, victims[0]);
        node.command(["chown", "-R", "1000", store]).ok();
        let text = enter(&node, &[], ID).refused(&[store, "is not believed: uid 1000 owns it"]);
        assert!(text.starts_with("cnsenter: no container"), "{text}");
        let listed = node.cnsenter(["ls"]).run();
        assert!(!listed.out().contains(&ID[..13]), "{listed}");
        // In root's hands the same would be believed, up to where the process is: on the node.
        node.command(["chown", "-R", "0", store]).ok();
        let text = enter(&node, &[], ID).refused(&[ID]);
        assert!(
            text.contains("not on this node's kernel") || text.contains("has exited"),
            "{store}: {text}"
        );
        fs::remove_dir_all(node.path(store)).unwrap();
        drop(own);
    }
    before.assert_same(&node);
}

/// A user's daemon may say whatever it likes, too.
#[test]
fn a_daemon_of_a_user() {
    let node = Node::start();
    let socket = "/run/user/1000/docker.sock";
    fs::create_dir_all(node.path("/run/user/1000")).unwrap();
    give_to_eve(&node);
    node.write("/usr/local/bin/fake-docker", FAKE_DOCKER);
    let fake = node
        .command(["perl", "/usr/local/bin/fake-docker", socket, ID])
        .user(EVE, EVE);
    let fake = fake.spawn();
    while !node.path(socket).exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let words = [
        socket,
        "belongs to uid 1000, but PID 1 is in the node's own user namespace",
    ];
    let endpoint = format!("--runtime-endpoint={socket}");
    for target in [ID, "web"] {
        enter(&node, &[&endpoint], target).refused(&words);
        let by_host = node
            .cnsenter([target, "--", "true"])
            .env("DOCKER_HOST", format!("unix://{socket}"));
        by_host.run().refused(&words);
    }
    drop(fake);
}

/// Docker's API, as far as it is asked: one container, whose init is PID 1.
const FAKE_DOCKER: &str = r#"
use IO::Socket::UNIX;
my ($path, $id) = @ARGV;
my $listener = IO::Socket::UNIX->new(Local => $path, Listen => 5) or die "$path: $!";
my $state = qq({"Status":"running","Running":true,"Pid":1,"ExitCode":0});
$SIG{CHLD} = "IGNORE";
while (my $client = $listener->accept) {
    next if fork;
    while (my $request = <$client>) {
        while (<$client>) { last if /^\r?$/ }
        my $list = $request =~ m{/containers/json};
        my $body = $list
            ? qq([{"Id":"$id","Names":["/web"],"State":"running","Labels":{}}])
            : qq({"Id":"$id","Name":"/web","State":$state,"Config":{"Labels":{}}});
        my $length = length $body;
        print $client "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            . "Content-Length: $length\r\n\r\n$body";
    }
    exit;
}
"#;

/// Where a tool is that enters whatever process the state names.
fn believed(node: &Node) -> String {
    let script = r#"pid=$(grep -rhoE '^1$|pid":1\b' /run/user/1000 | grep -oE '1$' | head -n 1)
        exec nsenter -t $pid -a hostname"#;
    node.command(["sh", "-c", script]).ok()
}

fn podman_container(podman: &Engine) -> Container {
    use kpexec_tests::Runtime;
    podman.run(&ContainerSpec::sleeper("theirs"))
}

fn forge_crun(node: &Node, run: &str, pid: u32) {
    forge_status(node, &format!("{run}/crun"), pid);
}

fn forge_runc(node: &Node, run: &str, pid: u32) {
    forge_state(node, &format!("{run}/runc"), pid);
}

fn forge_podman(node: &Node, run: &str, pid: u32) {
    forge_storage(node, &format!("{run}/containers"), pid);
}

/// crun's state.
fn forge_status(node: &Node, store: &str, pid: u32) {
    let start = start_of(node, pid);
    let status = format!(r#"{{"pid":{pid},"process-start-time":{start},"bundle":"{store}/{ID}"}}"#);
    node.write(format!("{store}/{ID}/status"), status);
    node.write(format!("{store}/{ID}/config.json"), SPEC);
}

/// runc's state.
fn forge_state(node: &Node, store: &str, pid: u32) {
    let start = start_of(node, pid);
    let state = format!(
        r#"{{"id":"{ID}","init_process_pid":{pid},"init_process_start":{start},
        "config":{{"labels":["bundle={store}/{ID}"],"namespaces":[{{"type":"NEWNS"}}]}}}}"#
    );
    node.write(format!("{store}/{ID}/state.json"), state);
    node.write(format!("{store}/{ID}/config.json"), SPEC);
}

/// A task of containerd.
fn forge_task(node: &Node, store: &str, pid: u32) {
    node.write(format!("{store}/k8s.io/{ID}/init.pid"), pid.to_string());
    node.write(format!("{store}/k8s.io/{ID}/config.json"), SPEC);
}

/// A container of Podman.
fn forge_storage(node: &Node, store: &str, pid: u32) {
    let folder = format!("{store}/overlay-containers/{ID}/userdata");
    node.write(format!("{folder}/pidfile"), pid.to_string());
    node.write(format!("{folder}/config.json"), SPEC);
}

const SPEC: &str = r#"{"ociVersion":"1.0.2","process":{"args":["x"],"cwd":"/"},"root":{"path":"rootfs"},
"linux":{"namespaces":[{"type":"mount"},{"type":"pid"}]}}"#;

/// When a process started, in clock ticks since boot (proc(5)): anybody may read that.
fn start_of(node: &Node, pid: u32) -> u64 {
    let stat = node.read(format!("/proc/{pid}/stat"));
    let (_, rest) = stat.rsplit_once(')').unwrap();
    rest.split_whitespace().nth(19).unwrap().parse().unwrap()
}

fn give_to_eve(node: &Node) {
    let folder = node.path("/run/user/1000");
    chown(&folder, Some(EVE), Some(EVE)).unwrap();
    node.command(["chmod", "700", "/run/user/1000"]).ok();
    node.command(["chown", "-R", "1000:1000", "/run/user/1000"])
        .ok();
}

fn enter(node: &Node, flags: &[&str], target: &str) -> Output {
    let words = flags.iter().copied().chain([target, "--", "true"]);
    let command: Cmd = node.cnsenter(words);
    command.run()
}
