//! A shell beside a Kubernetes cluster of one node, with a locked-down pod to get into. All of it
//! is gone when the shell ends.

use std::process::ExitCode;

use kpexec_tests::cluster::PodSpec;
use kpexec_tests::{Cluster, ClusterSpec, Kind};

const BANNER: &str = "
  kubectl knows a cluster of one node; pod web may do nothing:
    kubectl exec web -- id
  cnsenter is on that node, in the DaemonSet nodepause:
    agent=$(kubectl -n kpexec get pods -o name)
    kubectl -n kpexec exec -it $agent -- cnsenter --host-root /host default/web -- sh
  Leave with exit: the cluster goes, too.
";

fn main() -> ExitCode {
    eprintln!("Starting Kubernetes (ten seconds or so)...");
    let cluster = Cluster::start(&ClusterSpec::of(&[Kind::Containerd22]));
    cluster.install_nodepause();
    cluster.apply(&PodSpec::locked_down("web").manifest().to_string());
    let ready = ["wait", "--timeout=100s", "--for=condition=Ready", "pod/web"];
    cluster.kubectl(ready).ok();
    eprintln!("{BANNER}");
    let shell = cluster
        .command(["bash", "--norc"])
        .cwd("/root")
        .env("TERM", std::env::var_os("TERM").unwrap_or_default())
        .env("PS1", "kpexec demo$ ");
    let status = shell.command().status().expect("the shell starts");
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.unwrap_or(1))
}
