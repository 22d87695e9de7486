//! Whole searches over state directories made here, whose containers are our own children.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::*;
use crate::request::RuntimeChoice;

const TASKS: &str = "run/containerd/io.containerd.runtime.v2.task/k8s.io";

/// A node's root with containers that are processes with a mount and a PID namespace.
struct Node {
    dir: tempfile::TempDir,
    children: Vec<Child>,
}

impl Drop for Node {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn id(n: u8) -> String {
    format!("{n:02x}").repeat(32)
}

impl Node {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            children: Vec::new(),
        }
    }

    fn lookup(&self) -> Lookup {
        Lookup {
            host_root: self.dir.path().to_owned(),
            runtime: RuntimeChoice::None,
            timeout: Duration::from_millis(200),
            ..Lookup::default()
        }
    }

    /// A process in namespaces of its own, made by `unshare` with these options.
    fn spawn(&mut self, options: &[&str]) -> i32 {
        let unshare = Command::new("unshare");
        let mut command = unshare;
        let child = command.args(options).args(["sleep", "60"]).spawn().unwrap();
        let pid = child.id().cast_signed();
        self.children.push(child);
        let comm = format!("/proc/{pid}/comm");
        while fs::read_to_string(&comm).unwrap().trim() != "sleep" {
            std::thread::sleep(Duration::from_millis(1));
        }
        pid
    }

    fn bundle(&self, id: &str) -> PathBuf {
        self.dir.path().join(TASKS).join(id)
    }

    fn task(&self, id: &str, pid: i32, pod: &str, container: Option<&str>) {
        let bundle = self.bundle(id);
        fs::create_dir_all(&bundle).unwrap();
        let kind = if container.is_some() {
            "container"
        } else {
            "sandbox"
        };
        let spec = serde_json::json!({
            "process": {"env": ["A=b"], "cwd": "/"},
            "annotations": {
                "io.kubernetes.cri.container-type": kind,
                "io.kubernetes.cri.container-name": container.unwrap_or_default(),
                "io.kubernetes.cri.sandbox-id": self::id(0xee),
                "io.kubernetes.cri.sandbox-name": pod,
                "io.kubernetes.cri.sandbox-namespace": "prod",
            },
            "linux": {"namespaces": [{"type": "mount"}]},
        });
        fs::write(bundle.join("config.json"), spec.to_string()).unwrap();
        fs::write(bundle.join("init.pid"), pid.to_string()).unwrap();
    }

    fn resolve(&self, target: &str) -> Result<Found, Error> {
        self.resolve_in(target, &self.lookup())
    }

    fn resolve_in(&self, target: &str, lookup: &Lookup) -> Result<Found, Error> {
        let query = Query::parse(target).unwrap();
        let proc = HostProc::open().unwrap();
        let found = resolve(&proc, &query, lookup, &Trace::new(false))?;
        if let Some(pid) = found.container.state.pid() {
            confirm(&proc, &found.container, &proc.process(pid).unwrap(), lookup)?;
        }
        Ok(found)
    }
}

fn found(result: Result<Found, Error>) -> (String, i32) {
    let container = result.unwrap().container;
    let pid = container.state.pid().unwrap().as_raw();
    (container.id, pid)
}

#[test]
fn finds_by_id_prefix_pod_and_name() {
    let mut node = Node::new();
    let (a, b) = (node.spawn(&["-m"]), node.spawn(&["-m"]));
    node.task(&id(0xaa), a, "web-0", Some("app"));
    node.task(&id(0xab), b, "web-1", Some("log"));
    for target in [
        "aaaa",
        "aaaaaaaaaaaa",
        "prod/web-0",
        "prod/web-0/app",
        "app",
    ] {
        assert_eq!(found(node.resolve(target)), (id(0xaa), a), "{target}");
    }
    let schemed = format!("containerd://{}", id(0xab));
    assert_eq!(found(node.resolve(&schemed)), (id(0xab), b));
    for target in ["aa", "zzz", "prod/web-0/log", "other/web-0", "prod/web"] {
        let e = node.resolve(target).unwrap_err();
        assert!(matches!(e, Error::NotFound { .. }), "{target}: {e}");
    }
    let docker = format!("docker://{}", id(0xab));
    assert!(matches!(node.resolve(&docker), Err(Error::NotFound { .. })));
}

#[test]
fn several_are_listed_and_none_is_taken() {
    let mut node = Node::new();
    let pid = node.spawn(&["-m"]);
    node.task(&id(0xaa), pid, "web-0", Some("app"));
    node.task(&format!("{}b", &id(0xaa)[1..]), pid, "web-0", Some("log"));
    let Err(Error::Ambiguous { candidates, .. }) = node.resolve("prod/web-0") else {
        panic!("not ambiguous");
    };
    let mut sorted = candidates.clone();
    sorted.sort();
    assert_eq!(sorted, ["prod/web-0/app", "prod/web-0/log"]);
    assert!(matches!(node.resolve("aaaa"), Err(Error::Ambiguous { .. })));
    assert_eq!(found(node.resolve("prod/web-0/log")).1, pid);
}

#[test]
fn a_log_link_is_only_a_hint() {
    let mut node = Node::new();
    let (a, b) = (node.spawn(&["-m"]), node.spawn(&["-m"]));
    node.task(&id(0xaa), a, "web-0", Some("app"));
    node.task(&id(0xab), b, "other", Some("app"));
    let logs = node.dir.path().join("var/log/containers");
    fs::create_dir_all(&logs).unwrap();
    for wrong in [0xab, 0xac] {
        let name = format!("web-0_prod_app-{}.log", id(wrong));
        symlink("/x", logs.join(name)).unwrap();
    }
    assert_eq!(found(node.resolve("prod/web-0/app")), (id(0xaa), a));
}

#[test]
fn a_sandbox_is_refused_and_its_containers_named() {
    let mut node = Node::new();
    let pid = node.spawn(&["-m"]);
    node.task(&id(0xee), pid, "web-0", None);
    node.task(&id(0xaa), pid, "web-0", Some("app"));
    let Err(Error::Sandbox { containers, .. }) = node.resolve(&id(0xee)) else {
        panic!("not refused");
    };
    assert_eq!(containers, ["prod/web-0/app"]);
    assert_eq!(found(node.resolve("prod/web-0")).0, id(0xaa));
}

#[test]
fn forged_state_is_refused() {
    let mut node = Node::new();
    let pid = node.spawn(&["-m"]);
    node.task(&id(0xaa), pid, "web-0", Some("app"));
    chown(node.bundle(&id(0xaa)), Some(1000), None).unwrap();
    let e = node.resolve(&id(0xaa)).unwrap_err();
    assert!(matches!(e, Error::Untrusted { .. }), "{e}");
    chown(node.bundle(&id(0xaa)), Some(0), None).unwrap();
    let pid_file = node.bundle(&id(0xaa)).join("init.pid");
    fs::set_permissions(&pid_file, fs::Permissions::from_mode(0o666)).unwrap();
    let e = node.resolve(&id(0xaa)).unwrap_err();
    assert!(matches!(e, Error::Untrusted { .. }), "{e}");
}

/// What Kata's and gVisor's tasks look like: the PID is a process of the node itself.
#[test]
fn a_process_of_the_node_is_no_container() {
    let mut node = Node::new();
    let pid = node.spawn(&["-u"]);
    node.task(&id(0xaa), pid, "web-0", Some("app"));
    let e = node.resolve(&id(0xaa)).unwrap_err();
    assert!(
        matches!(
            e,
            Error::OtherKernel {
                kind: OtherKernel::Unknown,
                ..
            }
        ),
        "{e}"
    );
    let own = node.spawn(&["-m"]);
    node.task(&id(0xab), own, "web-0", Some("vm"));
    fs::write(
        node.bundle(&id(0xab)).join("runtime"),
        "/usr/bin/kata-runtime",
    )
    .unwrap();
    let e = node.resolve(&id(0xab)).unwrap_err();
    assert!(
        matches!(
            e,
            Error::OtherKernel {
                kind: OtherKernel::Kata,
                ..
            }
        ),
        "{e}"
    );
}

#[test]
fn a_users_runtime_is_believed_about_that_users_containers_only() {
    let mut node = Node::new();
    let userdata = |n: u8| {
        let run = node.dir.path().join("run/user/1000");
        run.join(format!("containers/overlay-containers/{}/userdata", id(n)))
    };
    let make = |path: &Path, pid: i32| {
        fs::create_dir_all(path).unwrap();
        fs::write(path.join("pidfile"), pid.to_string()).unwrap();
        fs::write(path.join("config.json"), "{}").unwrap();
        let mut at = path;
        while !at.ends_with("user") {
            chown(at, Some(1000), Some(1000)).unwrap();
            at = at.parent().unwrap();
        }
        chown(path.join("pidfile"), Some(1000), None).unwrap();
    };
    let (forged, roots, theirs) = (userdata(0xaa), userdata(0xab), userdata(0xac));
    make(&forged, std::process::id().cast_signed());
    let root_user_ns = node.spawn(&["-Um"]);
    make(&roots, root_user_ns);
    let own = node.spawn(&["--setuid", "1000", "-m", "unshare", "-Um"]);
    make(&theirs, own);
    for n in [0xaa, 0xab] {
        let e = node.resolve(&id(n)).unwrap_err();
        assert!(matches!(e, Error::NotTheirs { .. }), "{e}");
    }
    let container = node.resolve(&id(0xac)).unwrap().container;
    assert_eq!(
        (container.owner, container.state.pid().unwrap().as_raw()),
        (1000, own)
    );
}

#[test]
fn an_ended_process_and_a_reused_pid_are_told() {
    let mut node = Node::new();
    let pid = node.spawn(&["-m"]);
    node.task(&id(0xaa), pid, "web-0", Some("app"));
    let proc = HostProc::open().unwrap();
    let pinned = proc.process(Pid::from_raw(pid)).unwrap();
    let container = node.resolve(&id(0xaa)).unwrap().container;
    confirm(&proc, &container, &pinned, &node.lookup()).unwrap();
    // As if the state were older than the process: its PID is another's by now.
    let file = fs::File::options()
        .write(true)
        .open(node.bundle(&id(0xaa)).join("init.pid"));
    let old = std::time::SystemTime::UNIX_EPOCH;
    file.unwrap().set_modified(old).unwrap();
    let e = confirm(&proc, &container, &pinned, &node.lookup()).unwrap_err();
    assert!(matches!(e, Error::Vanished { .. }), "{e}");
    let e = node.resolve(&id(0xaa)).unwrap_err();
    assert!(matches!(e, Error::Exited { .. }), "{e}");
    // The runtime names another process.
    node.task(&id(0xaa), 1, "web-0", Some("app"));
    assert!(confirm(&proc, &container, &pinned, &node.lookup()).is_err());
    // The process has ended.
    node.task(&id(0xaa), pid, "web-0", Some("app"));
    node.children[0].kill().unwrap();
    while pinned.is_alive() {
        std::thread::sleep(Duration::from_millis(1));
    }
    // A zombie, until its parent takes notice.
    let e = node.resolve(&id(0xaa)).unwrap_err();
    assert!(matches!(e, Error::Exited { .. }), "{e}");
    node.children[0].wait().unwrap();
    assert!(confirm(&proc, &container, &pinned, &node.lookup()).is_err());
    assert!(matches!(
        node.resolve("prod/web-0"),
        Err(Error::Exited { .. })
    ));
}

#[test]
fn half_a_state_directory_is_told() {
    let node = Node::new();
    fs::create_dir_all(node.bundle(&id(0xaa))).unwrap();
    let e = node.resolve(&id(0xaa)).unwrap_err();
    assert!(matches!(e, Error::InTransition { .. }), "{e}");
    fs::write(node.bundle(&id(0xaa)).join("init.pid"), "1").unwrap();
    fs::write(node.bundle(&id(0xaa)).join("config.json"), "{").unwrap();
    let e = node.resolve(&id(0xaa)).unwrap_err();
    assert!(matches!(e, Error::State { .. }), "{e}");
}

/// A listener that answers whatever it is asked with `answer`, and then nothing.
fn listen(path: &Path, answer: &'static [u8]) {
    use std::io::{Read, Write};
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let listener = UnixListener::bind(path).unwrap();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for mut stream in listener.incoming().flatten() {
            if !answer.is_empty() {
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(answer);
            }
            open.push(stream);
        }
    });
}

#[test]
fn hung_daemons_cost_one_timeout_and_are_told() {
    let mut node = Node::new();
    let pid = node.spawn(&["-m"]);
    node.task(&id(0xaa), pid, "web-0", Some("app"));
    listen(&node.dir.path().join("run/containerd/containerd.sock"), b"");
    listen(&node.dir.path().join("run/docker.sock"), b"");
    let lookup = Lookup {
        runtime: RuntimeChoice::Auto,
        ..node.lookup()
    };
    let start = Instant::now();
    let Err(Error::NotFound { unasked, .. }) = node.resolve_in("nothing", &lookup) else {
        panic!("found");
    };
    assert_eq!(unasked.len(), 2, "{unasked:?}");
    assert!(
        unasked[0]
            .0
            .contains("/run/containerd/containerd.sock did not answer within 0.2 s")
    );
    assert!(
        start.elapsed() < Duration::from_millis(390),
        "{:?}",
        start.elapsed()
    );
    // What is on disk needs no daemon; a list says who was left out.
    assert_eq!(found(node.resolve_in("prod/web-0", &lookup)).1, pid);
    let listing = list(&HostProc::open().unwrap(), &lookup, false).unwrap();
    assert!(listing.containers.iter().any(|c| c.id == id(0xaa)));
    assert_eq!(listing.warnings.len(), 2);
}

#[test]
fn an_endpoint_that_is_no_runtime_is_told() {
    let node = Node::new();
    let at = |name: &str| node.dir.path().join(name);
    listen(&at("silent"), b"");
    listen(&at("garbage"), b"220 mail ready\r\n250 hello\r\n\r\n");
    listen(
        &at("html"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
    );
    listen(
        &at("endless"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
    );
    fs::write(at("file"), "").unwrap();
    let ask = |name: &str, runtime| {
        let lookup = Lookup {
            runtime,
            endpoint: Some(format!("unix:///{name}").into()),
            ..node.lookup()
        };
        match node.resolve_in("abc", &lookup) {
            Err(Error::Endpoint { source, .. }) => source,
            other => panic!("{name}: {other:?}"),
        }
    };
    let auto = RuntimeChoice::Auto;
    assert!(matches!(ask("silent", auto), EndpointError::TimedOut(_)));
    assert!(matches!(ask("garbage", auto), EndpointError::Unknown));
    assert!(matches!(ask("html", auto), EndpointError::Unknown));
    assert!(matches!(ask("file", auto), EndpointError::Connect(_)));
    assert!(matches!(ask("missing", auto), EndpointError::Connect(_)));
    for runtime in [
        RuntimeChoice::Containerd,
        RuntimeChoice::Cri,
        RuntimeChoice::Docker,
    ] {
        assert!(matches!(ask("garbage", runtime), EndpointError::Unknown));
        assert!(matches!(ask("silent", runtime), EndpointError::TimedOut(_)));
    }
    let endless = ask("endless", RuntimeChoice::Docker);
    assert!(matches!(endless, EndpointError::TimedOut(_)), "{endless}");
}
