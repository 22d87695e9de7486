//! A shell beside a Kubernetes cluster of one node, with a locked-down pod to get into. All of it
//! is gone when the shell ends.

use std::process::ExitCode;

use kpexec_tests::cluster::PodSpec;
use kpexec_tests::{Cluster, ClusterSpec, Kind, cache};

const BANNER: &str = "
  A cluster of one node, and a pod that may do nothing:
    kubectl exec web -- ip link add debug0 type veth
    kpexec web -- ip link add debug0 type veth
    kpexec -it web -- sh
    kpexec --ssh web -- id
  Leave with exit: the cluster goes, too.
";

fn main() -> ExitCode {
    eprintln!("Starting Kubernetes (ten seconds or so)...");
    let cluster = Cluster::start(&ClusterSpec::of(&[Kind::Containerd22]));
    cluster.install_nodepause();
    cluster.apply(&PodSpec::locked_down("web").manifest().to_string());
    let ready = ["wait", "--timeout=100s", "--for=condition=Ready", "pod/web"];
    cluster.kubectl(ready).ok();
    let _sshds = cluster.let_in(&cluster.machine);
    eprintln!("{BANNER}");
    let kpexec = cache::kpexec();
    let shell = cluster
        .command(["bash", "--norc"])
        .path_first(kpexec.parent().expect("a program is in a folder"))
        .cwd("/root")
        .env("TERM", std::env::var_os("TERM").unwrap_or_default())
        .env("PS1", "kpexec demo$ ");
    let status = shell.command().status().expect("the shell starts");
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.unwrap_or(1))
}
