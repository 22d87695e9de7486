//! What a user hears, and what is left, when something on the way to the container goes away.

use kpexec_tests::cluster::{Namespace, PodSpec};
use kpexec_tests::{Cluster, ClusterSpec, Kind, eventually};

/// Cuts the connection under a command that has told that it runs. It must not look as if that had
/// ended by itself, nothing of it may run on, and what it had written must have arrived.
fn cut(shop: &Namespace, time: &str, cut: impl FnOnce()) {
    let machine = &shop.worker_of("web").node;
    let sleeps = format!("^sleep {time}");
    let running = || machine.command(["pgrep", "-fc", &sleeps]).run().out();
    let script = format!("setsid sleep {time} & echo before the cut; sleep {time}");
    let client = shop.kpexec(["web", "--", "sh", "-c", &script]).spawn();
    client.wait_for("before the cut\n");
    eventually("the command runs", || running() == "2\n");
    cut();
    let output = client.wait();
    assert_eq!(
        (output.code, output.out().as_str()),
        (255, "before the cut\n"),
        "{output}"
    );
    let said = "error: the connection to node node-1 was lost: ";
    assert!(output.err().starts_with(said), "{output}");
    assert!(
        output
            .err()
            .contains("on the node) and all that it started is ended"),
        "{output}"
    );
    eventually("nothing of it runs", || running() == "0\n");
}

#[test]
fn parts_of_the_cluster_are_killed() {
    let cluster = Cluster::start(&ClusterSpec::of(&[Kind::Containerd22]));
    cluster.install_nodepause();
    let shop = cluster.namespace();
    shop.run(&PodSpec::locked_down("web"));

    cut(&shop, "43431", || {
        let agent = [
            "delete",
            "--wait=false",
            "--grace-period=0",
            "--force",
            "pods",
            "--all",
        ];
        cluster.nodepause(agent).ok();
    });
    let status = ["rollout", "status", "--timeout=50s", "daemonset/nodepause"];
    cluster.nodepause(status).ok();
    eventually("another agent serves", || {
        shop.kpexec(["web", "--", "true"]).run().code == 0
    });
    cut(&shop, "43432", || cluster.worker("node-1").kubelet.kill());
}
