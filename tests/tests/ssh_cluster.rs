//! `kpexec --ssh`: the API server says where a pod is, and nothing else of the cluster is used; without
//! the API server, `--node` does.

use kpexec_tests::cluster::PodSpec;
use kpexec_tests::ssh::KNOWN_HOSTS;
use kpexec_tests::{Cluster, ClusterSpec, Kind};

#[test]
fn the_node_is_found_and_nodepause_is_not_needed() {
    let cluster = Cluster::start(&ClusterSpec::of(&[Kind::Containerd22]));
    let shop = cluster.namespace();
    shop.run(&PodSpec::locked_down("web").container("side"));
    let worker = cluster.worker("node-1");
    let laptop = cluster.laptop();
    let sshds = cluster.let_in(&laptop.node);

    let ssh = |words: &[&str]| laptop.kpexec(["-n", &shop.name, "--ssh"].iter().chain(words));
    // As kubectl: the first container, and that is told.
    let first = ssh(&[
        "--ssh-user=root",
        "web",
        "--",
        "sh",
        "-c",
        "hostname; exit 4",
    ])
    .run();
    assert_eq!((first.code, first.out().as_str()), (4, "web\n"), "{first}");
    assert!(
        first.err().starts_with("Defaulted container \"web\""),
        "{first}"
    );
    let side = ssh(&["web", "-c", "side", "--", "hostname"]).run();
    assert_eq!((side.code, side.err()), (0, String::new()));

    // ~/.ssh/config knows the node by its name, and that counts.
    let config = "Host node-1\n  HostName nowhere.invalid\n";
    laptop.node.write("/root/.ssh/config", config);
    let odd = ssh(&["web", "--", "id"]).run();
    assert_eq!(odd.code, 1, "{odd}");
    assert!(odd.err().contains("nowhere.invalid:22"), "{odd}");
    // Without a HostName in it, the cluster's address.
    let config = "Host node-1\n  HostKeyAlias the-node\n";
    laptop.node.write("/root/.ssh/config", config);
    let known = format!("the-node {}\n", sshds[0].host_key());
    laptop.node.write(KNOWN_HOSTS, known);
    assert_eq!(ssh(&["web", "-c", "web", "--", "hostname"]).ok(), "web");

    // The user's own program, and the node by its name.
    let config = "Host *\n  User root\n  HostKeyAlias the-node\n";
    laptop.node.write("/root/.ssh/config", config);
    let own = [
        "--ssh-command",
        "ssh -T {address}",
        "web",
        "-c",
        "web",
        "--",
        "hostname",
    ];
    assert_eq!(ssh(&own).ok(), "web");

    // The API server is gone.
    cluster.api_server().kill();
    let address = worker.address.to_string();
    let words = [
        "-n", &shop.name, "--node", &address, "web", "-c", "side", "--", "hostname",
    ];
    assert_eq!(laptop.kpexec(words).ok(), "web");
    let both = ["-n", &shop.name, "--node", &address, "web", "--", "id"];
    let both = laptop.kpexec(both).run();
    assert_eq!(both.code, 125, "{both}");
    assert!(both.err().contains("side"), "{both}");
}
