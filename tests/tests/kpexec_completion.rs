//! TAB in real shells, and in `kubectl pexec`, with words from a real cluster.

use std::sync::OnceLock;

use kpexec_tests::cluster::{Namespace, PodSpec};
use kpexec_tests::{Cluster, ClusterSpec, Kind, Live, Pty};
use serde_json::json;

struct Stage {
    cluster: Cluster,
    /// Takes connections, and says nothing.
    _silent: Live,
}

fn cluster() -> &'static Cluster {
    static STAGE: OnceLock<Stage> = OnceLock::new();
    let stage = STAGE.get_or_init(|| {
        let cluster = Cluster::start(&ClusterSpec::of(&[Kind::Containerd22]));
        cluster.install_kpexec();
        let config = json!({
            "apiVersion": "v1", "kind": "Config",
            "clusters": [{"name": "silent", "cluster": {"server": "https://127.0.0.1:7777"}}],
            "contexts": [
                {"name": "arn:aws:eks:here", "context": {"cluster": "silent", "user": "u"}},
                {"name": "$(touch /root/pwned)", "context": {"cluster": "silent", "user": "u"}},
            ],
            "users": [{"name": "user@silent", "user": {}}],
            "current-context": "arn:aws:eks:here",
        });
        let machine = &cluster.machine;
        machine.write("/root/other.conf", config.to_string());
        let silent = ["busybox", "nc", "-ll", "-p", "7777", "-e", "sleep", "1000"];
        let _silent = machine.command(silent).spawn();
        Stage { cluster, _silent }
    });
    &stage.cluster
}

/// Something of each kind to be named. Nothing of it has to run.
fn filled(shop: &Namespace) {
    let nowhere = PodSpec::sleeper("cart-1").container("helper").on("nowhere");
    shop.apply(&nowhere.manifest().to_string());
    let template = PodSpec::sleeper("front").manifest();
    let template = json!({"metadata": template["metadata"], "spec": template["spec"]});
    let spec = json!({
        "replicas": 0, "selector": {"matchLabels": {"app": "front"}}, "template": template,
    });
    let name = json!({"name": "front"});
    let front =
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": name, "spec": spec});
    shop.apply(&front.to_string());
}

/// What makes zsh one that completes, and whose screen can be read.
const ZSH: &str = "PS1='$ ' PROMPT_EOL_MARK=; autoload -Uz compinit; compinit -u -D";

/// An interactive shell, and what it is to do first.
fn shell(argv: &[&str], start: &str) -> Pty {
    let mut shell = cluster().installed(argv).pty();
    shell.resize(50, 200);
    shell.write(format!("{start}; echo rea''-dy\r"));
    shell.wait_until(|screen| screen.contains("rea-dy"));
    shell
}

/// Types the line and TAB, and waits for what it should be then.
fn press(shell: &mut Pty, line: &str, wanted: &str) {
    // What is typed after TAB is shown once that is done. Ctrl-U empties the line.
    shell.write(format!("{line}\t#"));
    shell.wait_until(|screen| screen.contains(&format!("{wanted}#")));
    shell.write("\x15");
}

fn complete(shell: &mut Pty, namespace: &str) {
    for (line, wanted) in [
        ("kpexec -n kube-sy", "kpexec -n kube-system "),
        ("kpexec -n NS ca", "kpexec -n NS cart-1 "),
        ("kpexec --namespace=NS ca", "kpexec --namespace=NS cart-1 "),
        ("kpexec -n NS depl", "kpexec -n NS deployments/"),
        ("kpexec -n NS deploy/fr", "kpexec -n NS deploy/front "),
        (
            "kpexec -n NS cart-1 -c hel",
            "kpexec -n NS cart-1 -c helper ",
        ),
        (
            "kpexec -n NS cart-1 --container=hel",
            "kpexec -n NS cart-1 --container=helper ",
        ),
        ("kpexec --kill", "kpexec --kill-on-exit "),
        ("kpexec uninst", "kpexec uninstall "),
        (
            "kpexec install --force",
            "kpexec install --force-conflicts ",
        ),
        (
            "kpexec install -n kube-sy",
            "kpexec install -n kube-system ",
        ),
        (
            "kpexec --kubeconfig /root/oth",
            "kpexec --kubeconfig /root/other.conf ",
        ),
        (
            "kpexec --kubeconfig /root/other.conf --context arn:aws:e",
            "kpexec --kubeconfig /root/other.conf --context arn:aws:eks:here ",
        ),
        (
            "kpexec --kubeconfig /root/other.conf --context=ar",
            "kpexec --kubeconfig /root/other.conf --context=arn:aws:eks:here ",
        ),
        (
            "kpexec --kubeconfig /root/other.conf --context arn:",
            "kpexec --kubeconfig /root/other.conf --context arn:aws:eks:here ",
        ),
        (
            "kpexec --kubeconfig /root/other.conf --kubeconfig-user us",
            "kpexec --kubeconfig /root/other.conf --kubeconfig-user user@silent ",
        ),
        // Nothing is known, and nothing is said: of what the container holds, of a server that
        // never answers, of a name that a shell would run.
        ("kpexec -n NS cart-1 -- ca", "kpexec -n NS cart-1 -- ca"),
        (
            "kpexec --kubeconfig /root/other.conf we",
            "kpexec --kubeconfig /root/other.conf we",
        ),
        (
            "kpexec --kubeconfig /root/other.conf --context '$(to",
            "kpexec --kubeconfig /root/other.conf --context '$(to",
        ),
    ] {
        let [line, wanted] = [line, wanted].map(|text| text.replace("NS", namespace));
        press(shell, &line, &wanted);
    }
    let pwned = cluster()
        .machine
        .command(["test", "-e", "/root/pwned"])
        .run();
    assert_eq!(pwned.code, 1);
}

#[test]
fn bash() {
    let shop = cluster().namespace();
    filled(&shop);
    let start = "PS1='$ '; source <(kpexec -C bash)";
    let mut shell = shell(&["bash", "--norc", "--noprofile", "-i"], start);
    complete(&mut shell, &shop.name);
    press(&mut shell, "kpexec cart-1 ", "kpexec cart-1 -- ");
}

#[test]
fn zsh() {
    let shop = cluster().namespace();
    filled(&shop);
    let start = format!("{ZSH}; source <(kpexec -C zsh)");
    let mut shell = shell(&["zsh", "-f", "-i"], &start);
    complete(&mut shell, &shop.name);
    press(&mut shell, "kpexec cart-1 ", "kpexec cart-1 -- ");
}

#[test]
fn fish() {
    let shop = cluster().namespace();
    filled(&shop);
    let start = "function fish_prompt; echo '$ '; end; kpexec -C fish | source";
    let mut shell = shell(&["fish", "--no-config", "--private", "-i"], start);
    complete(&mut shell, &shop.name);
    // fish puts no blank after a dash.
    press(&mut shell, "kpexec cart-1 ", "kpexec cart-1 --");
}

#[test]
fn kubectl() {
    let shop = cluster().namespace();
    filled(&shop);
    let words = |line: &[&str]| {
        let line: Vec<_> = line
            .iter()
            .map(|word| word.replace("NS", &shop.name))
            .collect();
        let call = ["kubectl", "__complete", "pexec"].map(str::to_owned);
        cluster()
            .installed(call.into_iter().chain(line))
            .run()
            .out()
    };
    assert_eq!(words(&["-n", "NS", "ca"]), "cart-1\t0/2 Pending\n:4\n");
    assert_eq!(words(&["-n", "NS", "deploy/"]), "deploy/front\t0/0\n:4\n");
    assert_eq!(words(&["-n", "NS", "depl"]), "deployments/\n:6\n");
    assert_eq!(
        words(&["-n", "NS", "cart-1", "-c", ""]),
        "cart-1\nhelper\n:4\n"
    );
    assert_eq!(words(&["--namespace=kube-sy"]), "kube-system\tActive\n:4\n");
    assert_eq!(words(&["-n", "NS", "cart-1", "--", "c"]), ":4\n");

    // In a real shell, by kubectl's own script.
    let mut shell = shell(
        &["zsh", "-f", "-i"],
        &format!("{ZSH}; source <(kubectl completion zsh)"),
    );
    let line = format!("kubectl pexec -n {} car", shop.name);
    press(
        &mut shell,
        &line,
        &format!("kubectl pexec -n {} cart-1 ", shop.name),
    );
}
