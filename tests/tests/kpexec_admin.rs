//! `kpexec install`, `uninstall`, `check` and `version`, each in an agents' namespace of its own.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use kpexec_tests::cluster::{PodSpec, nodepause_image};
use kpexec_tests::{Cluster, ClusterSpec, Output, eventually};
use serde_json::Value;

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let cluster = Cluster::start(&ClusterSpec::default());
        cluster.load_image("nodepause.tar", &nodepause_image());
        cluster
    })
}

fn kpexec(words: &[&str]) -> Output {
    cluster().kpexec(words).run()
}

/// Ends as it should, and says nothing but this on stdout.
#[track_caller]
fn says(output: &Output, stdout: &str) {
    assert_eq!(
        (output.code, output.out().as_str()),
        (0, stdout),
        "{output}"
    );
}

/// Ends with 1, and says all this.
#[track_caller]
fn fails(output: &Output, texts: &[&str]) {
    assert_eq!(output.code, 1, "{output}");
    let all = output.out() + &output.err();
    for text in texts {
        assert!(all.contains(text), "no {text:?} in {output}");
    }
}

fn get(object: &[&str]) -> Value {
    let words = ["get", "-o=json"].into_iter().chain(object.iter().copied());
    serde_json::from_str(&cluster().kubectl(words).ok()).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&output.out()).unwrap_or_else(|_| panic!("no JSON: {output}"))
}

#[test]
fn the_life_of_an_installation() {
    let shop = cluster().namespace();
    shop.run(&PodSpec::locked_down("web"));
    let client = "kpexec 0.1.0, session protocol 1\n";

    // Before.
    let check = kpexec(&["check"]);
    fails(
        &check,
        &[
            "rights 4 of 4\n",
            "\nnode-1  -      -        -         missing\n",
            "\nthere is no nodepause in namespace kpexec\n  kpexec install\n",
        ],
    );
    let version = kpexec(&["version"]);
    says(&version, client);
    assert_eq!(
        version.err(),
        "the agents' versions are not known: none runs in namespace kpexec\n"
    );
    let none = cluster()
        .kpexec(["version"])
        .env("KUBECONFIG", "/no/such")
        .run();
    says(&none, client);
    assert!(none.err().contains("not known: no kubeconfig: "), "{none}");
    says(
        &kpexec(&["uninstall"]),
        "nothing of nodepause was in namespace kpexec\n",
    );
    let dry = kpexec(&["install", "--dry-run"]);
    assert_eq!(
        (dry.code, dry.err().as_str()),
        (
            0,
            "namespace kpexec is not there yet: the server could check nothing else\n"
        )
    );
    let nothing = cluster().kubectl(["get", "namespace", "kpexec"]).run();
    assert_eq!(nothing.code, 1, "{nothing}");

    // What is installed is the manifest, and what a dry run prints.
    let install = kpexec(&["install"]);
    says(
        &install,
        "nodepause is ready on 2 nodes (namespace kpexec)\n",
    );
    assert!(
        install.err().starts_with("applying namespace/kpexec\n"),
        "{install}"
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deployments/nodepause.yaml");
    for manifest in [fs::read(path).unwrap(), dry.stdout.clone()] {
        let difference = cluster().kubectl(["diff", "-f", "-"]).stdin(manifest).run();
        says(&difference, "");
    }
    let set = ["-n=kpexec", "daemonset/nodepause"];
    let before = get(&set);
    let quiet = kpexec(&["install", "-q"]);
    assert_eq!(
        (quiet.code, quiet.out(), quiet.err()),
        (0, String::new(), String::new())
    );
    assert_eq!(
        get(&set)["metadata"]["generation"],
        before["metadata"]["generation"]
    );
    let again = kpexec(&["install", "--dry-run"]);
    assert_eq!(
        (again.stdout, again.stderr, again.code),
        (dry.stdout, Vec::new(), 0)
    );

    // It is in order, and does what it is for.
    let check = kpexec(&["check"]);
    assert_eq!(check.code, 0, "{check}");
    assert!(check.out().ends_with("\nall is well\n"), "{check}");
    let report = json(&kpexec(&["check", "-o", "json"]));
    assert_eq!(report["problems"], serde_json::json!([]), "{report:#}");
    for (node, name) in report["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .zip(["node-1", "node-2"])
    {
        let found = ["name", "state", "version"].map(|field| node[field].as_str().unwrap());
        assert_eq!(found, [name, "ready", "0.1.0"], "{report:#}");
    }
    let version = kpexec(&["version"]);
    says(
        &version,
        &format!("{client}cnsenter 0.1.0 on node-1, node-2\n"),
    );
    assert_eq!(version.err(), "");
    let versions = json(&kpexec(&["version", "-o", "json"]));
    assert_eq!(versions["agents"][0]["nodes"][1], "node-2", "{versions:#}");
    assert_eq!(shop.kpexec(["web", "--", "id", "-u"]).ok(), "0");

    // And away with it.
    says(
        &kpexec(&["uninstall"]),
        "deleted daemonset/nodepause, serviceaccount/nodepause, networkpolicy/nodepause, \
         resourcequota/nodepause, namespace/kpexec\n",
    );
    let nothing = cluster().kubectl(["get", "namespace", "kpexec"]).run();
    assert_eq!(nothing.code, 1, "{nothing}");
    let missing = shop.kpexec(["web", "--", "true"]).run();
    fails(
        &missing,
        &["has no nodepause pod in namespace kpexec\n  kpexec install puts"],
    );
}

#[test]
fn an_image_that_cannot_be_had_is_told_for_each_node() {
    let install = [
        "install",
        "-n",
        "pulled",
        "--timeout=10s",
        "--image-pull-secret=regcred",
    ];
    let wrong = kpexec(&[&install[..], &["--image=localhost/no/such:1"]].concat());
    fails(
        &wrong,
        &[
            "secret regcred is not there yet; make it with: kubectl -n pulled create secret",
            "error: nodepause is not ready on 2 of 2 nodes after 10s (--timeout)\n",
            "\n  node-1: ErrImagePull: ",
            "\n  node-2: ",
            "name that place with --image",
        ],
    );
    let secrets = "jsonpath={.spec.template.spec.imagePullSecrets[0].name}";
    let words = ["get", "-n=pulled", "daemonset/nodepause", "-o", secrets];
    assert_eq!(cluster().kubectl(words).ok(), "regcred");
    let check = kpexec(&["check", "--agent-namespace=pulled"]);
    fails(
        &check,
        &[
            "not running\n",
            "node-1: the agent's image cannot be had: ",
            "kpexec install -n pulled --image IMAGE",
        ],
    );
    // An image that somebody chose is not forgotten without a word.
    fails(
        &kpexec(&["install", "-n", "pulled"]),
        &[
            "the image localhost/no/such:1, and --image names none\n  add --image localhost/no/such:1 to keep it, or --image localhost/kpexec/nodepause:",
        ],
    );
    let right = [
        "install",
        "-n",
        "pulled",
        "--image=localhost/kpexec/nodepause:0.1.0",
    ];
    says(
        &kpexec(&right),
        "nodepause is ready on 2 nodes (namespace pulled)\n",
    );

    // An update that cannot come through: the agents that are there work on.
    let update = ["--image=127.0.0.1:1/np:1", "--timeout=15s"];
    let update = kpexec(&[&["install", "-n", "pulled"][..], &update].concat());
    fails(
        &update,
        &["\n  see whether 127.0.0.1:1/np:1 is in that registry"],
    );
    let check = kpexec(&["check", "--agent-namespace=pulled"]);
    fails(
        &check,
        &["its agent works, but the update of it has not come through: "],
    );

    // What a kpexec that was killed left is ours; what others put there is left.
    let job = serde_json::json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "nodepause-0",
            "namespace": "pulled",
            "labels": { "app.kubernetes.io/name": "nodepause-ephemeral" },
        },
        "spec": { "suspend": true, "template": { "spec": {
            "restartPolicy": "Never",
            "containers": [{ "name": "nodepause", "image": "localhost/kpexec/nodepause:0.1.0" }],
        }}},
    });
    cluster().apply(&job.to_string());
    let secret = ["-n=pulled", "create", "secret", "generic", "mine"];
    cluster().kubectl(secret).ok();
    let gone = kpexec(&["uninstall", "-n", "pulled"]);
    assert!(
        gone.out().starts_with("deleted job/nodepause-0, "),
        "{gone}"
    );
    assert!(
        gone.out()
            .ends_with("left namespace/pulled: others' objects are in it: secrets/mine\n"),
        "{gone}"
    );
    let pods = get(&["-n=pulled", "pods"]);
    assert_eq!(pods["items"], serde_json::json!([]), "{pods:#}");
}

#[test]
fn what_is_somebody_elses_is_left_to_them() {
    fails(
        &kpexec(&["install", "-n", "default"]),
        &[
            "error: namespace default is there, and is not nodepause's",
            "choose another one with -n",
        ],
    );
    says(
        &kpexec(&["uninstall", "-n", "default"]),
        "nothing of nodepause was in namespace default\n\
         left namespace/default: it has no label app.kubernetes.io/part-of=kpexec\n",
    );

    let install = ["install", "-n", "shared"];
    says(
        &kpexec(&install),
        "nodepause is ready on 2 nodes (namespace shared)\n",
    );
    let patch = r#"{"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 6}}}}"#;
    let other = [
        "-n=shared",
        "patch",
        "daemonset/nodepause",
        "--field-manager=tuner",
        "-p",
        patch,
    ];
    cluster().kubectl(other).ok();
    let quota = ["-n=shared", "delete", "resourcequota/nodepause"];
    cluster().kubectl(quota).ok();
    fails(
        &kpexec(&install),
        &[
            "error: cannot apply daemonset/nodepause: Error from server (Conflict): ",
            "conflict with \"tuner\"",
            ".spec.template.spec.terminationGracePeriodSeconds",
            "--force-conflicts",
        ],
    );
    // Nothing was applied before that was found.
    let quotas = get(&["-n=shared", "resourcequotas"]);
    assert_eq!(quotas["items"], serde_json::json!([]), "{quotas:#}");
    let force = [&install[..], &["--force-conflicts"]].concat();
    says(
        &kpexec(&force),
        "nodepause is ready on 2 nodes (namespace shared)\n",
    );
}

#[test]
fn rights_that_are_missing_are_named() {
    let dora = cluster().user("dora");
    let install = dora.kpexec(["install", "-n", "dora"]).run();
    fails(
        &install,
        &["User \"dora\" cannot patch resource \"namespaces\" in API group \"\""],
    );
    for words in [
        &["create", "namespace", "dora"][..],
        &[
            "-n=dora",
            "create",
            "role",
            "user",
            "--verb=get,list",
            "--resource=pods,pods/exec",
        ],
        &[
            "-n=dora",
            "create",
            "rolebinding",
            "user",
            "--role=user",
            "--user=dora",
        ],
    ] {
        cluster().kubectl(words).ok();
    }
    eventually("the role holds", || {
        let check = dora.kpexec(["check", "-n", "dora"]).run();
        assert_eq!(check.code, 1, "{check}");
        check.out().contains("rights 2 of 4\n")
    });
    let check = dora.kpexec(["check", "-n", "dora"]).run();
    fails(
        &check,
        &[
            "nodes without an agent are not shown: ",
            "you may not get pods in namespace default\n",
            "you may not create pods/exec in namespace dora\n  kubectl -n dora create role",
            "there is no nodepause in namespace dora\n  kpexec install -n dora\n",
        ],
    );
    assert!(!check.out().contains("you may not list pods"), "{check}");
}

#[test]
fn on_a_terminal_progress_is_a_line_that_goes_away() {
    let install = ["install", "-n", "watched"];
    let mut pty = cluster().kpexec(install).pty();
    assert_eq!(pty.wait(), 0);
    // What was written last may not have been read yet.
    let screen = pty.wait_until(|screen| screen.contains("(namespace watched)"));
    assert!(pty.raw().contains(" nodes\u{1b}["), "{:?}", pty.raw());
    let ready = "nodepause is ready on 2 nodes (namespace watched)\n";
    assert!(screen.starts_with(ready), "{screen}");
    says(&kpexec(&["uninstall", "-q", "-n", "watched"]), "");
}
