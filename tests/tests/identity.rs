//! Who the command is, what it is given and where it is: users, groups, environment, working
//! directory, capabilities, descriptors, namespaces.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use kpexec_tests::{Container, ContainerSpec, Kind, Node, Output, Runtime};

/// A hardened container of user 1000, and the node it is on.
struct Stage {
    node: Node,
    runtime: Box<dyn Runtime>,
    container: Container,
}

impl Stage {
    fn new(spec: ContainerSpec) -> Self {
        let node = Node::start();
        let runtime = Kind::Runc11.start(&node);
        let container = runtime.run(&spec);
        Self {
            node,
            runtime,
            container,
        }
    }

    fn hardened() -> Self {
        let spec = ContainerSpec::sleeper("web")
            .uid(1000)
            .drop_all_caps()
            .read_only()
            .env("COLOR", "blue")
            .cwd("/tmp");
        Self::new(spec)
    }

    fn run(&self, flags: &[&str], command: &[&str]) -> Output {
        let target = [self.container.id.as_str(), "--"];
        let words = flags.iter().chain(&target).chain(command);
        self.node
            .cnsenter(words)
            .env("SECRET", "of the caller")
            .run()
    }

    fn ok(&self, flags: &[&str], command: &[&str]) -> String {
        let output = self.run(flags, command);
        assert_eq!((output.code, output.err().as_str()), (0, ""), "{flags:?}");
        output.out().trim_end().to_owned()
    }
}

#[test]
fn users_and_groups() {
    let stage = Stage::hardened();
    for (flags, expected) in [
        (&[][..], "0 0 0"),
        (&["-u", "0"], "0 0 0"),
        (&["-u", "1000"], "1000 1000 1000 2000"),
        (&["--user=app"], "1000 1000 1000 2000"),
        (&["-u", "app:extra"], "1000 2000 2000"),
        (&["-u", "1000:0"], "1000 0 0"),
        (&["-u", "root:app"], "0 1000 1000"),
        (&["-u", "4242"], "4242 0 0"),
        (&["-u", "4242:4343"], "4242 4343 4343"),
        (&["--group-add", "extra,77"], "0 0 0 77 2000"),
        (
            &["-u", "app", "--group-add=5", "--group-add=root"],
            "1000 1000 1000 0 5 2000",
        ),
        (&["-u", "4294967294"], "4294967294 0 0"),
    ] {
        let found = stage.ok(flags, &["sh", "-c", "echo $(id -u) $(id -g) $(id -G)"]);
        assert_eq!(found, expected, "{flags:?}");
    }
    for (flags, why) in [
        (&["-u", "nobody2"][..], "no user \"nobody2\""),
        (&["-u", "app:none"], "no group \"none\""),
        (&["--group-add", "none"], "no group \"none\""),
        (&["-u", "4294967295"], "4294967295"),
        (&["-u", "-1"], "-1"),
        (&["-u", ""], ""),
    ] {
        let output = stage.run(flags, &["id"]);
        assert!(
            output.code != 0 && output.out().is_empty(),
            "{flags:?}: {output}"
        );
        assert!(output.err().contains(why), "{flags:?}: {output}");
    }
}

#[test]
fn environment_and_directory() {
    let stage = Stage::hardened();
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    for (flags, expected) in [
        (&[][..], vec!["COLOR=blue", "HOME=/root", path]),
        (&["-u", "app"], vec!["COLOR=blue", "HOME=/home/app", path]),
        (&["-u", "77"], vec!["COLOR=blue", "HOME=/", path]),
        (
            &["-e", "COLOR=red", "-e", "B=", "-e", "C=a=b c"],
            vec!["B=", "C=a=b c", "COLOR=red", "HOME=/root", path],
        ),
        (
            &["-e", "SECRET", "-e", "NOT_SET"],
            vec!["COLOR=blue", "HOME=/root", path, "SECRET=of the caller"],
        ),
        (&["--clear-env"], vec![""]),
        (&["--clear-env", "-e", "A=1"], vec!["A=1"]),
    ] {
        let found = stage.ok(flags, &["/bin/env"]);
        let mut found: Vec<_> = found.split('\n').collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{flags:?}");
    }
    assert_eq!(stage.ok(&[], &["pwd"]), "/tmp");
    assert_eq!(stage.ok(&["-w", "/etc"], &["pwd"]), "/etc");
    let output = stage.run(&["-w", "/none"], &["pwd"]);
    assert_eq!(output.code, 125, "{output}");
    assert!(output.err().contains("/none"), "{output}");
}

#[test]
fn privileges() {
    let stage = Stage::hardened();
    let fields = "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status";
    let of = |text: String| -> BTreeMap<String, String> {
        let pairs = text.lines().filter_map(|line| line.split_once(":\t"));
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    };
    let ours = of(stage.ok(&[], &["sh", "-c", fields]));
    let callers = of(stage.node.command(["sh", "-c", fields]).ok());
    assert_eq!(ours, callers);
    assert_eq!(ours["CapInh"], "0000000000000000");
    assert_eq!(ours["CapAmb"], "0000000000000000");
    let container = of(stage
        .runtime
        .exec(&stage.container, &["sh", "-c", fields])
        .ok());
    assert_eq!(container["CapBnd"], "0000000000000000");
    assert_eq!(container["NoNewPrivs"], "1");

    let users = of(stage.ok(&["-u", "1000"], &["sh", "-c", fields]));
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(users[set], "0000000000000000", "{set}");
    }
}

#[test]
fn nothing_of_the_callers_is_left() {
    let stage = Stage::hardened();
    let script = "exec 7</ 8</etc/shadow; umask 0; cd /etc; exec \"$@\"";
    let listing = [
        "sh",
        "-c",
        "ls /proc/self/fd; pwd; umask; cut -d' ' -f6 /proc/$$/stat; echo $$",
    ];
    let node = &stage.node;
    node.cnsenter(["--version"]).ok();
    let with = |entry: &[&str]| {
        let shell = ["sh", "-c", script, "-"];
        let words = shell.iter().chain(entry).chain(&listing);
        node.command(words).ok()
    };
    let pid = stage.container.pid.to_string();
    let ours = with(&["cnsenter", &stage.container.id, "--"]);
    let naive = with(&["nsenter", "-t", &pid, "-a"]);
    assert!(naive.contains("\n7\n8\n"), "{naive}");
    assert!(ours.starts_with("0\n1\n2\n3\n/tmp\n0022\n"), "{ours}");
    let session: Vec<_> = ours.lines().rev().take(2).collect();
    assert_eq!(session[0], session[1], "it leads a session of its own");

    // The kernel is to take the command before the application.
    let adjust = format!("echo 700 >/proc/{pid}/oom_score_adj");
    node.command(["sh", "-c", &adjust]).ok();
    assert_eq!(stage.ok(&[], &["cat", "/proc/self/oom_score_adj"]), "700");
}

const KINDS: [(&str, &str); 6] = [
    ("mnt", "--no-mount"),
    ("net", "--no-net"),
    ("pid", "--no-pid"),
    ("ipc", "--no-ipc"),
    ("uts", "--no-uts"),
    ("cgroup", "--no-cgroup"),
];

#[test]
fn namespaces() {
    let stage = Stage::hardened();
    let node = &stage.node;
    let of = |folder: &Path| -> BTreeMap<String, String> {
        let entries = fs::read_dir(folder.join("ns")).unwrap().flatten();
        let links = entries.filter_map(|entry| {
            let link = fs::read_link(entry.path()).ok()?;
            Some((
                entry.file_name().into_string().ok()?,
                link.display().to_string(),
            ))
        });
        links.collect()
    };
    let nodes = of(&node.path("/proc/1"));
    let containers = of(&node.path(format!("/proc/{}", stage.container.pid)));
    // Read from outside: with some of these the command cannot see itself in /proc.
    let entered = |flags: &[&str]| {
        let target = [stage.container.id.as_str(), "--", "sleep", "1000"];
        let live = node.cnsenter(flags.iter().chain(&target)).spawn();
        let cnsenter = live.pid();
        loop {
            let children = fs::read_to_string(format!("/proc/{cnsenter}/task/{cnsenter}/children"));
            let children = children.unwrap();
            let is_it = |pid: &&str| {
                fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sleep\n")
            };
            if let Some(pid) = children.split_whitespace().find(is_it) {
                return of(&Path::new("/proc").join(pid));
            }
            assert!(
                Path::new(&format!("/proc/{cnsenter}/exe")).exists(),
                "{:?}",
                live.so_far()
            );
        }
    };
    let expected = |outside: &[&str]| {
        let mut all = containers.clone();
        for kind in outside {
            all.insert((*kind).to_owned(), nodes[*kind].clone());
            if *kind == "pid" {
                all.insert("pid_for_children".to_owned(), nodes["pid"].clone());
            }
        }
        all
    };
    assert_eq!(entered(&[]), expected(&[]));
    for (kind, flag) in KINDS {
        assert_ne!(nodes[kind], containers[kind]);
        assert_eq!(entered(&[flag]), expected(&[kind]), "{flag}");
    }
    let but_net = ["mnt", "pid", "ipc", "uts", "cgroup"];
    assert_eq!(entered(&["--namespaces=net"]), expected(&but_net));
    let but_two = ["net", "ipc", "uts", "cgroup"];
    assert_eq!(entered(&["--namespaces", "mount,pid"]), expected(&but_two));
}

/// The node's own programs, with the caller's environment and directory.
#[test]
fn without_the_mount_namespace() {
    let stage = Stage::hardened();
    let target = ["--no-mount", &stage.container.id, "--"];
    let script = "echo $SECRET $COLOR; pwd; hostname; test -e /usr/bin/apt && echo node";
    let argv = ["sh", "-c", script];
    let words = target.iter().chain(&argv);
    let command = stage.node.cnsenter(words).env("SECRET", "mine").cwd("/etc");
    assert_eq!(command.ok(), "mine\n/etc\nweb\nnode");
}
