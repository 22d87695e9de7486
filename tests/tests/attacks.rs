//! The threat table as attacks by a container: each succeeds against `nsenter -t PID -a`, the
//! naive way, and fails against cnsenter.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use kpexec_tests::{Container, ContainerSpec, Kind, Live, Node};

mod stage;
use stage::{Stage, strong};

/// What the container lies in wait with.
const BAIT: &str = "/tmp/bait";

impl Stage {
    /// A hostile process of the container, in wait for whoever executes the bait.
    fn peer(&self, user: u32, names: &[&str]) -> Live {
        self.node.program("peer", self.inside("/tmp/peer"));
        self.node.program("inject", self.inside(BAIT));
        let own = self.inside(BAIT);
        let owner = user.to_string();
        self.node.command(["chown", &owner, &own]).ok();
        let argv = [&["/tmp/peer", BAIT], names].concat();
        let peer = self.runtime.exec(&self.container, &argv).spawn();
        peer.wait_for("ready");
        peer
    }

    /// An nsenter that may be harmed.
    fn nsenter(&self) -> String {
        let path = "/run/nsenter";
        self.node.command(["cp", "/usr/bin/nsenter", path]).ok();
        path.to_owned()
    }

    fn naive(&self) -> [String; 4] {
        let pid = self.container.pid.to_string();
        [self.nsenter(), "-t".to_owned(), pid, "-a".to_owned()]
    }
}

/// CVE-2019-5736: a peer with every right in the container overwrites the host's program that
/// enters, through /proc/PID/exe.
#[test]
fn the_executable_is_overwritten() {
    let stage = Stage::new(strong());
    let node = &stage.node;
    let hacked = |path: &str| fs::read(node.path(path)).unwrap().starts_with(b"HACKED");

    // As it is; from a read-only mount to which a descriptor is left; from a copy in memory that is
    // not sealed, for whatever else runs from it.
    node.program("unsealed", "/usr/local/bin/unsealed");
    for way in [
        &[][..],
        &["/usr/local/bin/unsealed", "bind"],
        &["/usr/local/bin/unsealed", "memory"],
    ] {
        // What is executed by descriptor is called by its number, since Linux 6.14 by its name.
        let peer = stage.peer(0, &["nsenter", "3", "memfd:copy"]);
        let naive = stage.naive();
        let naive = naive.iter().map(String::as_str).chain(["--", BAIT]);
        node.command(way.iter().copied().chain(naive)).run();
        let told = peer.wait_for("end");
        assert!(told.contains("overwrite: done"), "{way:?}: {told}");
        assert_eq!(hacked("/run/nsenter"), !way.contains(&"memory"));
    }

    // From a read-only mount; from memory where there is none, or where it cannot be made, since
    // the program is in another mount namespace.
    node.program("older", "/usr/local/bin/older");
    let foreign = "/proc/1/root/usr/local/sbin/cnsenter";
    for (way, program, sealed) in [
        (&[][..], "cnsenter", "EROFS"),
        (
            &["/usr/local/bin/older", "428=38", "--"],
            "cnsenter",
            "EPERM",
        ),
        (&["unshare", "--mount"], foreign, "EPERM"),
    ] {
        let peer = stage.peer(0, &["cnsenter"]);
        let words = [program, &stage.container.id, "--", BAIT];
        node.command(way.iter().chain(&words)).run();
        let told = peer.wait_for("end");
        assert!(
            told.contains("waits: yes") && told.contains("exe: done"),
            "{told}"
        );
        // A documented limit of profile `full`: a peer with SYS_PTRACE takes the command over.
        assert!(told.contains("trace: done"), "{told}");
        for attempt in [
            "clear by fd",
            "clear by path",
            "remount",
            "remount by fd",
            "overwrite",
        ] {
            assert!(!told.contains(&format!("{attempt}: done")), "{told}");
        }
        assert!(told.contains(&format!("overwrite: {sealed}")), "{told}");
        let fds = told
            .lines()
            .filter(|line| line.starts_with("has fd"))
            .count();
        assert!(fds <= 1, "but for the pipe of exec's error: {told}");
        assert!(!hacked("/usr/local/sbin/cnsenter"));
    }
    let script = "#!/proc/self/exe\n";
    fs::write(node.path(stage.inside("/tmp/script")), script).unwrap();
    node.command(["chmod", "755", &stage.inside("/tmp/script")])
        .ok();
    let output = node
        .cnsenter([&stage.container.id, "--", "/tmp/script"])
        .run();
    assert_ne!(output.code, 0, "{output}");
    assert!(!hacked("/usr/local/sbin/cnsenter"));
}

/// CVE-2016-9962: peers look into the process that is about to become the command. One with
/// SYS_PTRACE can, under profile `full` (a documented limitation); others cannot, even as the user
/// that the command will be.
#[test]
fn the_waiting_process_is_looked_into() {
    let spec = ContainerSpec::sleeper("web").uid(1000).drop_all_caps();
    let stage = Stage::new(spec);
    let peer = stage.peer(1000, &["cnsenter"]);
    let words = ["-u", "1000:1000", &stage.container.id, "--", BAIT];
    stage.node.cnsenter(words).run();
    let told = peer.wait_for("end");
    assert!(told.contains("waits: yes"), "{told}");
    for attempt in ["fds", "memory", "trace", "exe", "overwrite"] {
        assert!(!told.contains(&format!("{attempt}: done")), "{told}");
    }
    // The same peer against the same command, once that is the container's own.
    let peer = stage.peer(1000, &["sh"]);
    let argv = ["sh", "-c", "/tmp/bait; true"];
    stage.runtime.exec(&stage.container, &argv).run();
    let told = peer.wait_for("end");
    assert!(told.contains("trace: done"), "{told}");
}

/// A peer with SYS_PTRACE opens whatever the process has open that is about to become the command.
#[test]
fn what_is_open_is_opened() {
    let stage = Stage::new(strong());
    stage.node.program("watcher", stage.inside("/tmp/watcher"));
    let watch = |name: &str, meanwhile: &dyn Fn()| {
        let argv = ["/tmp/watcher", name, "3"];
        let watcher = stage.runtime.exec(&stage.container, &argv).spawn();
        watcher.wait_for("ready");
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(2) {
            meanwhile();
        }
        watcher.wait_for("seen:")
    };
    let [nsenter, rest @ ..] = stage.naive();
    let told = watch("sleep", &|| {
        let script = "exec 7</boot; exec \"$@\" sleep 0.2";
        let words = ["sh", "-c", script, "-", &nsenter].map(str::to_owned);
        stage.node.command(words.iter().chain(&rest)).ok();
    });
    assert!(told.contains("has /boot\n"), "{told}");

    let words = ["-u", "1000", &stage.container.id, "--", "true"];
    let told = watch("cnsenter", &|| {
        stage.node.cnsenter(words).ok();
    });
    assert!(told.contains("seen: yes"), "{told}");
    assert!(!told.contains("has "), "{told}");
}

/// CVE-2024-21626: a descriptor that leads to the node's files, as a working directory or by name.
#[test]
fn descriptors_lead_to_the_node() {
    let stage = Stage::new(strong().cwd("/tmp"));
    let holding = |entry: &[&str], argv: &[&str]| {
        let script = "exec 7</; exec \"$@\"";
        let shell = ["sh", "-c", script, "-"];
        let words = shell.iter().chain(entry).chain(argv);
        stage.node.command(words).run()
    };
    let naive = stage.naive();
    let naive: Vec<_> = naive.iter().map(String::as_str).collect();
    let by_name = ["/bin/ls", "/proc/self/fd/7/boot/.."];
    let output = holding(&naive, &by_name);
    assert!(output.out().contains("boot"), "{output}");
    // As a working directory, of which nobody asks where it is.
    stage.node.program("naive", "/usr/local/bin/naive");
    let pid = stage.container.pid.to_string();
    let enter = ["/usr/local/bin/naive", &pid];
    let output = holding(&enter, &["cwd", "/proc/self/fd/7"]);
    assert!(output.out().contains("boot"), "{output}");

    let id = stage.container.id.as_str();
    let output = holding(&["cnsenter", id, "--"], &by_name);
    assert!(
        output.code != 0 && !output.out().contains("boot"),
        "{output}"
    );
    let plain = holding(&["cnsenter", "-w", "/", id, "--"], &["/bin/ls"]);
    let root = plain.out();
    assert!(!root.contains("boot"), "{plain}");
    for number in 3..16 {
        for tail in ["", "/..", "/../../..", "/1/root", "/1/root/etc"] {
            let folder = format!("/proc/self/fd/{number}{tail}");
            let output = holding(&["cnsenter", "-w", &folder, id, "--"], &["/bin/ls"]);
            if output.code == 0 {
                // The container's own root, which cnsenter holds on to.
                assert_eq!(output, plain, "{folder}");
                continue;
            }
            assert_eq!(output.code, 125, "{folder}: {output}");
            assert!(output.err().contains(&folder), "{output}");
        }
    }
    // A link in the place of the working directory that the image names.
    let cwd = holding(&["cnsenter", id, "--"], &["/bin/pwd"]);
    assert_eq!(cwd.out(), "/tmp\n");
    for number in 3..16 {
        let link = format!("rm -rf $0; ln -s /proc/self/fd/{number} $0");
        stage
            .node
            .command(["sh", "-c", &link, &stage.inside("/tmp")])
            .ok();
        let output = holding(&["cnsenter", id, "--"], &["/bin/ls"]);
        assert!(output.code == 125 || output.out() == root, "{output}");
    }
}

/// CVE-2016-10124: the command types at the operator's terminal.
#[test]
fn the_operators_terminal_is_typed_at() {
    if fs::read_to_string("/proc/sys/dev/tty/legacy_tiocsti").is_ok_and(|on| on.trim() == "0") {
        panic!("this kernel has TIOCSTI turned off: set dev.tty.legacy_tiocsti=1");
    }
    let stage = Stage::new(strong());
    stage.node.program("inject", stage.inside("/tmp/inject"));
    let naive = stage.naive().join(" ");
    let id = &stage.container.id;
    for (entry, injected) in [
        (naive, true),
        (format!("cnsenter -it {id} --"), false),
        (format!("cnsenter {id} --"), false),
        (format!("cnsenter -T {id} --"), false),
        (format!("cnsenter -i {id} --"), false),
    ] {
        let script = format!("{entry} /tmp/inject; echo read on; read line; echo \"<$line>\"");
        let mut terminal = stage.node.command(["sh", "-c", &script]).pty();
        terminal.wait_for("read on");
        terminal.write("typed\r");
        let shown = terminal.wait_for(">");
        let expected = if injected { "<INJECTED>" } else { "<typed>" };
        assert!(shown.contains(expected), "{entry}: {shown}");
        terminal.wait();
    }
}

/// A command that stops itself stops nsenter, too, and with it the operator's script.
#[test]
fn a_stop_is_passed_on() {
    let stage = Stage::new(strong());
    let stop = ["/bin/sh", "-c", "echo stops; kill -STOP $$; echo goes on"];
    let state = |live: &Live| {
        let stat = fs::read_to_string(format!("/proc/{}/stat", live.pid())).unwrap();
        stat.rsplit_once(") ").unwrap().1.chars().next().unwrap()
    };
    let naive = stage.naive();
    let words = naive.iter().map(String::as_str).chain(stop);
    let live = stage.node.command(words).spawn();
    live.wait_for("stops");
    while state(&live) != 'T' {}
    drop(live);
    stage
        .node
        .command(["pkill", "-KILL", "-f", "^/bin/sh -c echo stops"])
        .ok();

    let words = [stage.container.id.as_str(), "--"];
    let live = stage.node.cnsenter(words.iter().chain(&stop)).spawn();
    live.wait_for("stops");
    let find = "until pid=$(grep -lE '^State:.T' /proc/[0-9]*/status); do :; done; echo $pid";
    let file = stage.node.command(["sh", "-c", find]).ok();
    assert_ne!(state(&live), 'T');
    let pid = file.split('/').nth(2).unwrap();
    stage.node.command(["kill", "-CONT", pid]).ok();
    let output = live.wait();
    assert_eq!(
        (output.out().as_str(), output.code),
        ("stops\ngoes on\n", 0)
    );
}

/// The keys of the operator's session are found by the command.
#[test]
fn keys_are_inherited() {
    let stage = Stage::new(ContainerSpec::sleeper("web"));
    stage.node.program("keys", "/usr/local/bin/keys");
    stage.node.program("keys", stage.inside("/tmp/keys"));
    let naive = stage.naive();
    let naive: Vec<_> = naive.iter().map(String::as_str).collect();
    let ours = ["cnsenter", &stage.container.id, "--"];
    for (entry, expected) in [(&naive[..], "found"), (&ours, "none")] {
        let hide = ["/usr/local/bin/keys", "hide"];
        let words = hide.iter().chain(entry).chain(&["/tmp/keys", "find"]);
        assert_eq!(stage.node.command(words).ok(), expected, "{entry:?}");
    }
}

/// CVE-2022-24769: capabilities that an exec by whichever user would take up again.
#[test]
fn capabilities_are_inherited() {
    let stage = Stage::new(strong());
    let naive = stage.naive();
    let naive: Vec<_> = naive.iter().map(String::as_str).collect();
    let ours = ["cnsenter", &stage.container.id, "--"];
    let raw = 1 << 13;
    for (entry, expected) in [(&naive[..], raw), (&ours, 0)] {
        let with = ["setpriv", "--inh-caps=+net_raw", "--ambient-caps=+net_raw"];
        let show = ["grep", "-E", "^Cap(Inh|Amb)", "/proc/self/status"];
        let words = with.iter().chain(entry).chain(&show);
        let shown = stage.node.command(words).ok();
        let sets = shown.lines().map(|line| line.split_once('\t').unwrap().1);
        let sets: Vec<_> = sets.map(|set| u64::from_str_radix(set, 16)).collect();
        assert_eq!(sets, [Ok(expected), Ok(expected)], "{entry:?}: {shown}");
    }
}

/// The kernel says that it has made the command the user's and has not, as it does here under a
/// seccomp filter: nothing is run.
#[test]
fn rights_are_other_than_planned() {
    const SILENT: [(&str, &str); 3] = [
        ("117=0", "user IDs would be [0, 0, 0, 0] instead of [1000"),
        ("119=0", "group IDs would be [0, 0, 0, 0] instead of [1000"),
        ("116=0", "supplementary groups would be ["),
    ];
    let stage = Stage::new(strong());
    stage.node.program("older", "/usr/local/bin/older");
    let older = "/usr/local/bin/older";
    let naive = stage.naive();
    let entry = naive.iter().map(String::as_str).chain(["-S", "1000"]);
    let setuid = [older, "105=0", "--"].into_iter();
    let words = setuid.chain(entry).chain(["id", "-u"]);
    assert_eq!(stage.node.command(words).ok(), "0");

    let before = stage.node.snapshot();
    for (call, found) in SILENT {
        let id = stage.container.id.as_str();
        let user = ["-u", "1000:1000", "--group-add", "5"];
        let words = [older, call, "--", "cnsenter"].into_iter().chain(user);
        let words = words.chain([id, "--", "touch", "/tmp/ran"]);
        let output = stage.node.command(words).run();
        output.refused(&["would not run as planned: its ", found, "nothing was run"]);
    }
    assert!(!stage.node.path(stage.inside("/tmp/ran")).exists());
    before.assert_same(&stage.node);
}

/// Ends the container, together with all that watches over it, and has its PID become a process of
/// the node's. Nobody writes that down.
fn reuse_pid(node: &Node, container: &Container) {
    // A PID is free a moment after its process has left /proc, hence the loop.
    let script = "pkill -KILL -x containerd; pkill -KILL -f containerd-shi[m]; pkill -KILL conmon
        kill -KILL $0
        until [ \"$!\" = $0 ]; do
            [ -n \"$!\" ] && kill $!
            echo $(($0 - 1)) >/proc/sys/kernel/ns_last_pid
            sleep 1234 >/dev/null 2>&1 &
        done
        echo $!";
    let pid = container.pid.to_string();
    assert_eq!(node.command(["sh", "-c", script, &pid]).ok(), pid);
    let naive = node.command(["nsenter", "-t", &pid, "-a", "hostname"]);
    assert_eq!(naive.ok(), node.name(), "the naive way is on the node");
}

/// What the state directory says is not true any more.
#[test]
fn the_pid_is_reused() {
    for kind in [Kind::Runc11, Kind::Crun, Kind::Containerd16, Kind::Podman] {
        let node = Node::start();
        let runtime = kind.start(&node);
        let container = runtime.run(&ContainerSpec::sleeper("web"));
        let id = container.id.as_str();
        assert_eq!(node.cnsenter([id, "--", "true"]).run().code, 0);
        reuse_pid(&node, &container);
        let output = node.cnsenter([id, "--", "hostname"]).run();
        assert_eq!(
            (output.code, output.out().as_str()),
            (125, ""),
            "{kind:?}: {output}"
        );
    }
}

/// It was true when cnsenter looked, and is not any more when it takes hold of the process, or
/// while it does.
#[test]
fn the_pid_is_reused_meanwhile() {
    const PIDFD_OPEN: &str = "434";
    // Before Linux 5.3 there is no such thing.
    let older = ["/usr/local/bin/older", "434=38", "--"];
    for (kind, moment, kernel) in [
        (Kind::Runc11, "before", &[][..]),
        (Kind::Runc11, "after", &[]),
        (Kind::Runc11, "before", &older),
        (Kind::Crun, "before", &[]),
        (Kind::Containerd16, "before", &[]),
        (Kind::Containerd16, "before", &older),
        (Kind::Podman, "before", &[]),
    ] {
        let node = Node::start();
        for name in ["breakpoint", "older"] {
            node.program(name, format!("/usr/local/bin/{name}"));
        }
        let runtime = kind.start(&node);
        let container = runtime.run(&ContainerSpec::sleeper("web"));
        node.cnsenter(["--version"]).ok();
        let stop = ["/usr/local/bin/breakpoint", moment, PIDFD_OPEN];
        let words = ["cnsenter", &container.id, "--", "hostname"];
        let words = stop.iter().chain(kernel).chain(&words);
        let mut live = node.command(words).spawn();
        live.wait_for("stopped");
        reuse_pid(&node, &container);
        live.write("\n");
        let output = live.wait();
        assert_eq!(
            (output.code, output.out().as_str()),
            (125, "stopped\n"),
            "{kind:?} {moment}: {output}"
        );
    }
}

/// What SECURITY.md says is defended is shown by a test of that name.
#[test]
fn every_defence_is_shown() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("../SECURITY.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| "));
    let rows: Vec<_> = rows.skip(2).collect();
    assert!(!rows.is_empty());
    for row in rows {
        let shown = row.rsplit('|').nth(1).unwrap();
        let names: Vec<_> = shown.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "{row}");
        for name in names {
            let (suite, test) = name.split_once("::").unwrap();
            let source = fs::read_to_string(root.join(format!("tests/{suite}.rs"))).unwrap();
            assert!(source.contains(&format!("#[test]\nfn {test}()")), "{name}");
        }
    }
}
