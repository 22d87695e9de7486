//! What kpexec says where kubectl exec says something too: the same, word for word, or something
//! else for a reason that is written down here.

use std::sync::OnceLock;

use kpexec_tests::cluster::{Namespace, PodSpec};
use kpexec_tests::{Cluster, ClusterSpec, Kind, Output, eventually};
use serde_json::json;

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start(&ClusterSpec::of(&[Kind::Containerd22])))
}

/// Both fail, and in the same words.
fn agree(shop: &Namespace, words: &[&str]) {
    let theirs = shop.kubectl(["exec"].iter().chain(words)).run();
    let ours = shop.kpexec(words).run();
    assert_ne!(theirs.code, 0, "{words:?}: {theirs}");
    assert_eq!(ours, theirs, "{words:?}\nours: {ours}\ntheirs: {theirs}");
}

/// Fails before anything is run, with this text in its words.
fn fails(output: &Output, text: &str) {
    assert_eq!((output.code, output.out()), (1, String::new()), "{output}");
    assert!(output.err().contains(text), "no {text:?} in {output}");
}

#[test]
fn what_is_not_there() {
    let shop = cluster().namespace();
    for object in [
        "nosuch",
        "pod/nosuch",
        "po/nosuch",
        "deploy/nosuch",
        "rs/nosuch",
        "sts/nosuch",
        "ds/nosuch",
        "job/nosuch",
        "cj/nosuch",
        "svc/nosuch",
        "rc/nosuch",
        "deployments.v1.apps/nosuch",
    ] {
        agree(&shop, &[object, "--", "true"]);
    }
    agree(&shop, &["-n", "nosuch", "web", "--", "true"]);
    // However long it would be waited for.
    let ages = "--pod-running-timeout=18446744073709551615";
    fails(
        &shop.kpexec([ages, "nosuch", "--", "true"]).run(),
        "pods \"nosuch\" not found",
    );
}

#[test]
fn what_cannot_be_meant() {
    let shop = cluster().namespace();
    for words in [
        &["deploy/web/x", "--", "true"][..],
        &["deploy/", "--", "true"],
        &["/web", "--", "true"],
        &["a%b", "--", "true"],
        &["nosuch/web", "--", "true"],
        &["web", "--"],
        &["--context", "nope", "web", "--", "true"],
        &["--cluster", "nope", "web", "--", "true"],
    ] {
        agree(&shop, words);
    }
    // kubectl asks for the object first, and its words name Go's types.
    fails(
        &shop
            .kpexec(["configmap/kube-root-ca.crt", "--", "true"])
            .run(),
        "error: the pods of a configmap cannot be found, for it has no scale subresource",
    );
    // kubectl's words name its own command line.
    fails(
        &shop.kpexec(["web", "true"]).run(),
        "no \"--\" before a command",
    );
    fails(&shop.kpexec(["web"]).run(), "no \"--\" before a command");
    fails(
        &shop.kpexec(["--", "true"]).run(),
        "pod, type/name or --filename must be specified",
    );
    // kubectl drops the word, and runs something else than was meant.
    fails(
        &shop.kpexec(["web", "extra", "--", "true"]).run(),
        "'extra'",
    );
}

/// What a script gives to kubectl it can give to kpexec.
#[test]
fn flags_of_kubectl() {
    let shop = cluster().namespace();
    shop.run(&PodSpec::sleeper("web"));
    let quiet = [
        "-i=false",
        "--tty=F",
        "--quiet=true",
        "nosuch",
        "--",
        "true",
    ];
    agree(&shop, &quiet);
    let extra = ["--as=nobody", "--as-user-extra=a=b", "web", "--", "true"];
    agree(&shop, &extra);

    let found = "error: node node-1 has no nodepause pod in namespace kpexec";
    let run = |flags: &[&str]| {
        let url = cluster().url();
        let fixed = ["--server", &url, "-n", &shop.name, "web", "--", "true"];
        let words = flags.iter().chain(&fixed);
        cluster().kpexec(words).env("KUBECONFIG", "/no/such").run()
    };
    let authority = "--certificate-authority=/etc/kubernetes/pki/ca.crt";
    let certificate = "--client-certificate=/etc/kubernetes/pki/kubelet-client.crt";
    let key = "--client-key=/etc/kubernetes/pki/kubelet-client.key";
    fails(&run(&[authority, certificate, key]), found);
    fails(
        &run(&["--insecure-skip-tls-verify", certificate, key]),
        found,
    );
    let other = run(&[authority, certificate, key, "--tls-server-name=other"]);
    fails(&other, "Unable to connect to the server: 10.77.0.1:6443: ");
    let nobody = run(&[authority, "--token=wrong"]);
    fails(
        &nobody,
        "error: You must be logged in to the server (Unauthorized)",
    );

    let told = |flag: &str| shop.kpexec([flag, "web", "--", "true"]).run();
    fails(&told("--stdin=maybe"), "it is true or false");
    fails(
        &told("--cache-dir=/tmp"),
        "--cache-dir is kubectl's, and has no meaning here",
    );
    fails(&told("--v=6"), "here each step is told by -v");
}

/// What is to be run is for the same cluster.
#[test]
fn what_to_run_has_the_flags_that_were_given() {
    let shop = cluster().namespace();
    shop.run(&PodSpec::sleeper("web"));
    let context = cluster().kubectl(["config", "current-context"]).ok();
    let flags = ["--context", &context, "--agent-namespace=default"];
    let output = shop
        .kpexec(flags.iter().chain(&["web", "--", "true"]))
        .run();
    fails(
        &output,
        &format!("  kpexec install --context {context} -n default puts one on every node"),
    );
}

#[test]
fn manifests() {
    let shop = cluster().namespace();
    let machine = &cluster().machine;
    let pod = |namespace: &str| {
        let mut pod = PodSpec::sleeper("nosuch").manifest();
        pod["metadata"]["namespace"] = json!(namespace);
        pod.to_string()
    };
    machine.write("/root/default.yaml", pod("default"));
    machine.write("/root/nowhere.yaml", pod("nowhere"));
    agree(&shop, &["-f", "/root/default.yaml", "--", "true"]);
    // The manifest's own namespace, where none is asked for. kubectl takes the manifest for the pod,
    // and says later that it cannot upgrade a connection.
    for (file, missing) in [
        ("default", "pods \"nosuch\""),
        ("nowhere", "namespaces \"nowhere\""),
    ] {
        let words = ["-f", &format!("/root/{file}.yaml"), "--", "true"];
        let told = format!("Error from server (NotFound): {missing} not found\n");
        fails(&cluster().kpexec(words).run(), &told);
    }
    let fails_with = |words: &[&str], text: &str| fails(&shop.kpexec(words).run(), text);
    fails_with(
        &["-f", "/no/such.yaml", "--", "true"],
        "error: cannot read the manifest /no/such.yaml: No such file or directory\n",
    );
    fails_with(
        &["-f", "/root/default.yaml", "web", "--", "true"],
        "cannot be used with",
    );
    fails_with(
        &["-i", "-f", "-", "--", "true"],
        "error: -f - reads the manifest from stdin",
    );
    fails_with(
        &["-f", "https://h/a.yaml", "--", "true"],
        "curl -fsS https://h/a.yaml |",
    );
}

#[test]
fn as_a_plugin_of_kubectl() {
    cluster().install_kpexec();
    let plugin = |words: &[&str]| {
        let words = ["kubectl", "pexec"].iter().chain(words);
        cluster().installed(words).run()
    };
    let help = plugin(&["--help"]);
    assert_eq!(help.code, 0, "{help}");
    assert!(
        help.out().contains("Usage: kubectl pexec [OPTIONS] (POD |"),
        "{help}"
    );
    fails(&plugin(&["web", "true"]), "write kubectl pexec [OPTIONS]");
    fails(&plugin(&["--nonsense"]), "kubectl pexec --help says more");
    fails(
        &plugin(&["nosuch", "--", "true"]),
        "Error from server (NotFound): pods \"nosuch\" not found",
    );
    assert!(plugin(&["version"]).out().starts_with("kpexec "));
}

#[test]
fn containers() {
    let shop = cluster().namespace();
    shop.run(&PodSpec::sleeper("web").container("helper"));
    let done = PodSpec::sleeper("done")
        .with("restartPolicy", json!("Never"))
        .with_container("command", json!(["true"]));
    shop.apply(&done.manifest().to_string());
    shop.wait("jsonpath={.status.phase}=Succeeded", "pod/done");
    agree(&shop, &["done", "--", "true"]);
    agree(&shop, &["web", "-c", "nosuch", "--", "true"]);

    // Whatever comes of it, this is said first.
    let first = |words: &[&str]| {
        let theirs = shop.kubectl(["exec"].iter().chain(words)).run().err();
        let ours = shop.kpexec(words).run().err();
        let line = theirs.lines().next().unwrap_or_default();
        assert_eq!(ours.lines().next(), Some(line));
        line.to_owned()
    };
    let chosen = "Defaulted container \"web\" out of: web, helper";
    assert_eq!(first(&["web", "--", "true"]), chosen);
    assert_eq!(first(&["-it", "web", "--", "true"]), chosen);
}

#[test]
fn a_container_that_does_not_run() {
    let shop = cluster().namespace();
    let crash = PodSpec::sleeper("crash").with_container("command", json!(["false"]));
    shop.apply(&crash.manifest().to_string());
    let waiting = "jsonpath={.status.containerStatuses[0].state.waiting.reason}";
    shop.wait(&format!("{waiting}=CrashLoopBackOff"), "pod/crash");
    // kubectl: "container not found", whatever the reason is.
    let crashed = shop.kpexec(["crash", "--", "true"]).run();
    fails(
        &crashed,
        "error: container crash of pod crash does not run: CrashLoopBackOff: back-off ",
    );
    let told = format!(
        "; it ended with exit code 1 (Error)\n  kubectl -n {} logs crash -c crash -p says more\n",
        shop.name
    );
    fails(&crashed, &told);

    let lost = PodSpec::sleeper("lost").on("nowhere");
    shop.apply(&lost.manifest().to_string());
    let wait = ["--pod-running-timeout=1s", "lost", "--", "true"];
    let pending = shop.kpexec(wait).run();
    fails(
        &pending,
        "did not run within 1s (--pod-running-timeout); it waits for",
    );
}

#[test]
fn what_is_waited_for_is_shown_on_a_terminal_and_gone_afterwards() {
    let shop = cluster().namespace();
    let lost = PodSpec::sleeper("lost").on("nowhere");
    shop.apply(&lost.manifest().to_string());
    let waiting = "waiting for pod lost to run (a node (";
    let run = |flags: &[&str]| {
        let fixed = ["--pod-running-timeout=3s", "lost", "--", "true"];
        shop.kpexec(flags.iter().chain(&fixed))
    };
    let mut pty = run(&[]).pty();
    pty.wait_until(|screen| screen.contains(waiting));
    assert_eq!(pty.wait(), 1);
    let screen = pty.wait_until(|screen| screen.contains("did not run within 3s"));
    assert!(
        screen.starts_with("error: ") && !screen.contains("waiting"),
        "{screen}"
    );

    let mut quiet = run(&["-q"]).pty();
    assert_eq!(quiet.wait(), 1);
    let mut dumb = run(&[]).env("TERM", "dumb").pty();
    assert_eq!(dumb.wait(), 1);
    for pty in [quiet, dumb] {
        pty.wait_for("did not run within 3s");
        assert!(
            !pty.raw().contains("waiting") && !pty.raw().contains('\x1b'),
            "{}",
            pty.raw()
        );
    }
}

#[test]
fn rights() {
    let shop = cluster().namespace();
    shop.run(&PodSpec::sleeper("web"));
    agree(&shop, &["--as", "nobody", "web", "--", "true"]);
    agree(
        &shop,
        &[
            "--as",
            "nobody",
            "--as-group",
            "none",
            "deploy/web",
            "--",
            "true",
        ],
    );

    // The right to see pods is not enough: the agent is in another namespace.
    let dora = cluster().user("dora");
    let reader = ["create", "role", "reader", "--verb=get", "--resource=pods"];
    shop.kubectl(reader).ok();
    let bind = [
        "create",
        "rolebinding",
        "reader",
        "--role=reader",
        "--user=dora",
    ];
    shop.kubectl(bind).ok();
    let exec = ["-n", &shop.name, "web", "--", "true"];
    let listing =
        "User \"dora\" cannot list resource \"pods\" in API group \"\" in the namespace \"kpexec\"";
    eventually("the role holds", || {
        dora.kpexec(exec).run().err().contains(listing)
    });

    let missing = shop.kpexec(["web", "--", "true"]).run();
    fails(
        &missing,
        "error: node node-1 has no nodepause pod in namespace kpexec",
    );
}

#[test]
fn servers_that_cannot_be_reached() {
    let machine = &cluster().machine;
    let config = |name: &str, server: &str, user: &str| {
        let path = format!("/root/{name}.conf");
        machine.write(
            &path,
            format!(
                "{{apiVersion: v1, kind: Config, current-context: c, \
                 contexts: [{{name: c, context: {{cluster: c, user: u}}}}], \
                 clusters: [{{name: c, cluster: {{server: '{server}', insecure-skip-tls-verify: true}}}}], \
                 users: [{{name: u, user: {user}}}]}}"
            ),
        );
        path
    };
    let alike = |path: &str, hint: &str| {
        let words = ["web", "--", "true"];
        let theirs = cluster()
            .kubectl(["exec"].iter().chain(&words))
            .env("KUBECONFIG", path)
            .run();
        let ours = cluster().kpexec(words).env("KUBECONFIG", path).run();
        // kubectl's discovery complains first, in its log.
        let last = theirs.err().lines().last().unwrap_or_default().to_owned();
        let told = (ours.code, ours.err());
        assert_eq!(told, (theirs.code, format!("{last}\n{hint}")));
    };
    let way = "  --ssh goes to the pod's node without the API server\n";
    alike(&config("refused", "https://127.0.0.1:1", "{token: t}"), way);
    // Who is denied is not told of ways around that.
    alike(&config("stranger", &cluster().url(), "{token: wrong}"), "");

    // kubectl: "dial tcp: lookup nosuch.invalid: no such host". Nobody is there to be asked for names,
    // which some resolvers wait long for.
    let resolver = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n";
    cluster().machine.write("/etc/resolv.conf", resolver);
    let path = config("nosuch", "https://nosuch.invalid:6443", "{token: t}");
    let run = |path: &str, proxy: &str| {
        let command = cluster().kpexec(["web", "--", "true"]);
        command
            .env("KUBECONFIG", path)
            .env("HTTPS_PROXY", proxy)
            .run()
    };
    let told = "Unable to connect to the server: nosuch.invalid:6443: the name does not resolve (";
    fails(&run(&path, ""), told);
    let path = config("proxied", &cluster().url(), "{token: t}");
    for (proxy, reason) in [
        ("http", "refuses connections"),
        ("socks5", "cannot be reached"),
    ] {
        let output = run(&path, &format!("{proxy}://127.0.0.1:1"));
        fails(&output, &format!("6443: the proxy 127.0.0.1:1 {reason}\n"));
    }

    let _listener = machine
        .command(["busybox", "nc", "-ll", "-p", "7777", "-e", "sleep", "1000"])
        .spawn();
    let connect = ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/7777"];
    eventually("somebody listens", || {
        machine.command(connect).run().code == 0
    });
    let hung = config("hung", "https://127.0.0.1:7777", "{token: t}");
    let silent = cluster()
        .kpexec(["web", "--", "true"])
        .env("KUBECONFIG", hung)
        .run();
    let told = "Unable to connect to the server: 127.0.0.1:7777";
    fails(
        &silent,
        &format!("{told} did not answer within 5s (--request-timeout)\n"),
    );
    let silent = run(&path, "http://127.0.0.1:7777");
    let told =
        "6443, by way of the proxy 127.0.0.1:7777, did not answer within 5s (--request-timeout)";
    fails(&silent, told);

    let plugin = r#"{exec: {apiVersion: client.authentication.k8s.io/v1, command: sh,
        interactiveMode: IfAvailable, args: [-c,
        'echo called >>/root/calls; echo "{\"status\":{\"token\":\"wrong\"}}"']}}"#;
    let path = config("plugin", &cluster().url(), plugin);
    let refused = cluster()
        .kpexec(["web", "--", "true"])
        .env("KUBECONFIG", path)
        .run();
    fails(
        &refused,
        "error: You must be logged in to the server (Unauthorized)",
    );
    assert_eq!(machine.read("/root/calls"), "called\n");

    let slow = r#"{exec: {apiVersion: client.authentication.k8s.io/v1, command: sleep,
        interactiveMode: Never, args: ["1000"]}}"#;
    let path = config("slow", &cluster().url(), slow);
    let words = ["web", "--", "true"];
    let mut pty = cluster().kpexec(words).env("KUBECONFIG", path).pty();
    pty.wait_for("waiting for the credential plugin sleep (Ctrl-C ends this)");
    pty.write("\x03");
    assert_ne!(pty.wait(), 0);

    let none = cluster()
        .kpexec(["web", "--", "true"])
        .env("KUBECONFIG", "")
        .run();
    fails(&none, "error: no kubeconfig");
    let absent = cluster()
        .kpexec(["--kubeconfig", "/no/such", "web", "--", "true"])
        .run();
    fails(
        &absent,
        "error: cannot read the kubeconfig /no/such: No such file or directory\n",
    );
}
