//! `--ssh-command`: nodes that are containers of Docker and Podman, as kind's are, and ssh with a
//! connection that is there already.

use kpexec_tests::{Cmd, ContainerSpec, Engine, Node, Runtime, SshBed, cache, eventually};

/// kpexec on the machine whose containers the nodes are.
fn kpexec(node: &Node, command: &str, words: &[&str]) -> Cmd {
    let program = cache::kpexec();
    let program = program.to_str().expect("its path is UTF-8");
    let fixed = [program, "-n", "shop", "--ssh-command", command];
    node.command(fixed.iter().chain(words))
}

fn nodes_may_be_containers(node: &Node, engine: &Engine, program: &str) {
    node.cnsenter(["--version"]).ok();
    let (machine, runtime) = engine.machine("kind-1");
    let pod = ContainerSpec::sleeper("app")
        .label("io.kubernetes.cri.sandbox-namespace", "shop")
        .label("io.kubernetes.cri.sandbox-name", "web")
        .label("io.kubernetes.cri.container-name", "app");
    runtime.run(&pod);
    let command = format!("{program} exec -i {{node}}");
    let run = |words: &[&str]| kpexec(node, &command, &[&["--node=kind-1"], words].concat());

    let script = "hostname; cat; echo err >&2; exit 6";
    let words = ["-i", "web", "--", "sh", "-c", script];
    let output = run(&words).stdin("in \\ $x\n").run();
    let told = "err\ncommand terminated with exit code 6\n";
    assert_eq!(
        (output.code, output.out().as_str(), output.err().as_str()),
        (6, "app\nin \\ $x\n", told),
        "{output}"
    );
    let mut pty = run(&["-it", "web", "--", "sh"]).pty();
    pty.write("stty size; tty; exit 5\r");
    pty.wait_for("24 80");
    pty.wait_for("/dev/pts/");
    assert_eq!(pty.wait(), 5);

    // Killed, it leaves nothing behind in there.
    let count = || node.find(&["sleep", "54001"]).len();
    let script = "setsid sleep 54001 & sleep 54001; true";
    let client = run(&["web", "--", "sh", "-c", script]).spawn();
    eventually("the command runs", || count() == 2);
    drop(client);
    eventually("nothing of it runs", || count() == 0);

    // Not every container is a node.
    let other = engine.run(&ContainerSpec::sleeper("other"));
    let output = kpexec(node, &command, &["--node=other", "web", "--", "id"]).run();
    assert_eq!((output.code, output.out().as_str()), (1, ""), "{output}");
    assert!(output.err().contains("cnsenter"), "{output}");
    let output = kpexec(node, &command, &["--node=none", "web", "--", "id"]).run();
    assert_eq!(output.code, 1, "{output}");
    assert!(output.err().contains("none"), "{output}");
    for container in [machine, other] {
        engine.remove(&container);
    }
}

#[test]
fn of_docker() {
    let node = Node::start();
    nodes_may_be_containers(&node, &Engine::docker(&node), "docker");
}

#[test]
fn of_podman() {
    let node = Node::start();
    nodes_may_be_containers(&node, &Engine::podman(&node), "podman");
}

/// OpenSSH's master has logged in: kpexec's commands go the same way, and nothing is asked again.
#[test]
fn a_master_is_used() {
    let bed = SshBed::new();
    let host = format!("root@{}", bed.address);
    let socket = "/root/.ssh/master";
    let master = ["ssh", "-M", "-S", socket, "-f", "-N", &host];
    bed.laptop.command(master).ok();
    // What the master has is all that there is.
    bed.laptop.command(["rm", kpexec_tests::ssh::KEY]).ok();
    let command = format!("ssh -S {socket} -o BatchMode=yes -T root@{{node}}");
    let address = bed.address.to_string();
    let run = |words: &[&str]| {
        let fixed = ["--ssh-command", &command];
        bed.kpexec_to(&address, fixed.iter().chain(words))
    };
    for code in [0, 3] {
        let script = format!("cat; echo 'a  b'; exit {code}");
        let output = run(&["-i", "web", "--", "sh", "-c", &script]);
        let output = output.stdin("in ").run();
        assert_eq!(
            (output.code, output.out().as_str()),
            (code, "in a  b\n"),
            "{output}"
        );
    }
    let entered = bed.sshd.log().matches("Accepted publickey").count();
    assert_eq!(entered, 1);

    // It ends in the middle: so does the command, and that is told.
    let count = || bed.shop.node.find(&["sleep", "54002"]).len();
    let client = run(&["web", "--", "sh", "-c", "echo before; sleep 54002; true"]).spawn();
    client.wait_for("before\n");
    bed.laptop
        .command(["ssh", "-S", socket, "-O", "exit", &host])
        .ok();
    let output = client.wait();
    assert_eq!(output.code, 255, "{output}");
    assert!(output.err().contains("was lost: "), "{output}");
    eventually("nothing of it runs", || count() == 0);
    let output = run(&["web", "--", "id"]).run();
    assert_eq!(output.code, 1, "{output}");
    assert!(output.err().contains("Permission denied"), "{output}");
}
