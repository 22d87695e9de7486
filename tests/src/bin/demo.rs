//! What kpexec is for, shown on a Kubernetes cluster of one node, and a pod that may do nothing:
//! `make demo`. It fails if any step does not behave as it is told here, and leaves nothing behind.

use std::io::{self, IsTerminal};
use std::ops::RangeInclusive;

use kpexec_tests::cluster::PodSpec;
use kpexec_tests::{Cluster, ClusterSpec, Cmd, Kind, Output, eventually};
use nix::sys::signal::Signal;

fn main() {
    println!("Starting Kubernetes, one node (half a minute) ...");
    let cluster = Cluster::start(&ClusterSpec::of(&[Kind::Containerd22]));
    let demo = Demo { cluster: &cluster };

    tell("1. One manifest puts cnsenter on every node: nodepause, a DaemonSet that sleeps.");
    println!("  $ kubectl apply -f deployments/nodepause.yaml");
    cluster.install_nodepause();
    demo.works("kubectl -n kpexec get pods -o wide", "nodepause");

    tell("2. A locked-down pod: uid 1000, no capability, a seccomp filter, a read-only root.");
    cluster.apply(&PodSpec::locked_down("web").manifest().to_string());
    demo.works(
        "kubectl wait --for=condition=Ready pod/web",
        "condition met",
    );
    demo.works(
        "kubectl exec web -- grep -E 'Uid|CapBnd|Seccomp:' /proc/self/status",
        "0000000000000000",
    );

    tell("3. kubectl exec may do no more than that, so nothing a debugger needs works:");
    demo.fails("kubectl exec web -- ip link add debug0 type veth", 1..=255);
    demo.fails("kubectl exec web -- ping -c 1 127.0.0.1", 1..=255);
    demo.fails("kubectl exec web -- mount -t tmpfs none /tmp", 1..=255);

    tell("4. The same words to kpexec: full privileges in the same container.");
    demo.works("kpexec web -- ip link add debug0 type veth", "");
    demo.works("kpexec web -- ip link show debug0", "debug0");
    demo.works("kpexec web -- ping -c 1 127.0.0.1", "1 packets received");
    demo.works("kpexec web -- mount -t tmpfs none /tmp", "");
    demo.works(
        "kpexec web -- grep -E 'Uid|CapEff|Seccomp:' /proc/self/status",
        "Seccomp:\t0",
    );

    tell("5. What the image has not comes from the node: its tools, in the pod's network.");
    demo.works("kpexec --no-mount web -- ip -brief link", "debug0");

    tell("6. As the application's user, with the command's own exit code, and bounded in time:");
    demo.works("kpexec -u 1000 web -- id -u", "1000");
    demo.fails("kpexec web -- sh -c 'exit 42'", 42..=42);
    demo.fails("kpexec --timeout 1s web -- sleep 100", 124..=124);

    tell("7. A client that dies takes its command along; kubectl exec leaves it running.");
    demo.orphans();

    tell("8. The application noticed nothing: it still runs, with the rights it always had.");
    demo.works("kubectl get pod web", "Running");
    demo.works(
        "kubectl exec web -- grep -E 'CapBnd|Seccomp:' /proc/1/status",
        "0000000000000000",
    );

    tell(
        "9. The API server and etcd are gone. By SSH kpexec goes on: it remembers where the pod was.",
    );
    let _sshds = cluster.let_in(&cluster.machine);
    println!("  $ pkill -KILL kube-apiserver etcd");
    cluster.api_server().kill();
    cluster.etcd().kill();
    demo.fails("kubectl exec web -- id", 1..=255);
    demo.works("kpexec --ssh=auto web -- ip link show debug0", "debug0");

    tell("All of it as told. The cluster goes now. `make demo-shell` leaves you one to play with.");
}

/// The stage, and how a step is shown on it.
struct Demo<'a> {
    cluster: &'a Cluster,
}

impl Demo<'_> {
    /// Shows a command that works and prints this.
    fn works(&self, line: &str, expected: &str) {
        let output = self.show(line);
        assert!(output.code == 0, "`{line}` should have worked: {output}");
        assert!(
            output.out().contains(expected),
            "`{line}` should have printed {expected:?}"
        );
    }

    /// Shows a command that ends with such a code.
    fn fails(&self, line: &str, codes: RangeInclusive<i32>) {
        let output = self.show(line);
        assert!(
            codes.contains(&output.code),
            "`{line}` should have failed: {output}"
        );
        println!("    -> exit code {}", output.code);
    }

    /// Kills both clients in the middle of a command, and looks for it.
    fn orphans(&self) {
        self.kill_client("kubectl exec web -- sleep 1111");
        self.kill_client("kpexec web -- sleep 2222");
        eventually("the command is gone", || !self.runs("sleep 2222"));
        let processes = self.show("kpexec web -- ps -o pid,args").out();
        assert!(processes.contains("sleep 1111") && !processes.contains("sleep 2222"));
    }

    fn kill_client(&self, line: &str) {
        println!("  $ {line} &\n  $ kill -KILL %1");
        let mut client = self.command(line).spawn();
        let (_, command) = line.split_once(" -- ").expect("the line has a command");
        eventually("the command runs", || self.runs(command));
        client.signal(Signal::SIGKILL);
        client.wait_exit();
    }

    fn runs(&self, command: &str) -> bool {
        let processes = self.cluster.kpexec(["web", "--", "ps", "-o", "args"]).ok();
        processes.lines().any(|line| line.trim() == command)
    }

    fn show(&self, line: &str) -> Output {
        println!("  $ {line}");
        let output = self.command(line).run();
        for line in output.out().lines().chain(output.err().lines()) {
            println!("    {line}");
        }
        output
    }

    /// A line as one would type it; a word in quotes is one.
    fn command(&self, line: &str) -> Cmd {
        let mut words = Vec::new();
        for (number, part) in line.split('\'').enumerate() {
            match number % 2 {
                0 => words.extend(part.split_whitespace().map(str::to_owned)),
                _ => words.push(part.to_owned()),
            }
        }
        let (program, arguments) = words.split_first().expect("a line has a program");
        match program.as_str() {
            "kpexec" => self.cluster.kpexec(arguments),
            _ => self.cluster.kubectl(arguments),
        }
    }
}

fn tell(text: &str) {
    let (bold, plain) = match io::stdout().is_terminal() {
        true => ("\x1b[1m", "\x1b[0m"),
        false => ("", ""),
    };
    println!("\n{bold}{text}{plain}");
}
