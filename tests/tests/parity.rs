//! The same commands through cnsenter and through each runtime's own exec, and through nsenter:
//! what they print and their exit codes agree, or it is written down here why not.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use kpexec_tests::{Container, ContainerSpec, Kind, Output, Runtime, on_each_runtime};

on_each_runtime!(agree);

/// Scripts for the container's shell: output, errors and exit code are those of the reference.
const SCRIPTS: &[&str] = &[
    "id",
    "pwd",
    "hostname",
    "for kind in user mnt net pid ipc uts cgroup; do readlink /proc/self/ns/$kind; done",
    "cat /proc/self/mountinfo",
    "echo $COLOR; echo \"$QUOTED\"; echo $PATH",
    "echo out; echo err >&2; exit 3",
    "exit 1",
    "exit 126",
    "exit 255",
    "kill -KILL $$",
    "kill -TERM $$",
    "kill -SEGV $$",
    "umask",
    "tty",
    "grep -E '^Sig(Blk|Cgt)' /proc/self/status",
    "ls /proc/self/fd",
    "cut -d' ' -f18,19 /proc/self/stat",
];

/// Commands that no shell has a hand in.
const COMMANDS: &[&[&str]] = &[
    &["/bin/busybox", "echo", "by path"],
    &["../bin/busybox", "echo", "by relative path"],
    &["printf", "[%s]", "", "a", "", "b c", "\t\"'$HOME*\n"],
];

/// What cannot be executed, and our exit code: the one that shells and Podman have. runc and crun
/// say 255 for all of them, ctr 1, Docker 20.10 126, which could be the command's own as well.
const WRONG: &[(&str, i32)] = &[
    ("no-such-command", 127),
    ("/no/such/command", 127),
    ("./no/such/command", 127),
    ("/etc/passwd", 126),
    ("/tmp", 126),
    ("../etc", 126),
];

fn agree(kind: Kind, runtime: &dyn Runtime) {
    let spec = ContainerSpec::sleeper("web")
        .env("COLOR", "blue")
        .env("QUOTED", " a \"b\" 'c' $D ")
        .cwd("/tmp");
    let container = runtime.run(&spec);
    let pair = Pair {
        kind,
        runtime,
        container: &container,
    };
    for script in SCRIPTS {
        pair.agree(&["sh", "-c", script]);
    }
    for command in COMMANDS {
        pair.agree(command);
    }
    // Nearly as long as one argument may be on Linux, 128 KiB.
    pair.agree(&["sh", "-c", "echo ${#0}", &"x".repeat(120 << 10)]);
    for (command, code) in WRONG {
        pair.both_refuse(command, *code);
    }
    // ctr 1.6 with crun was seen to hang at the end of its input, once; so no ctr is compared here.
    if !matches!(
        kind,
        Kind::Containerd16 | Kind::Containerd16Crun | Kind::Containerd22
    ) {
        pair.agree_on_input();
    }
    if kind != Kind::PodmanRootless {
        pair.agree_with_nsenter();
    }
}

/// cnsenter and a runtime, on one container.
struct Pair<'a> {
    kind: Kind,
    runtime: &'a dyn Runtime,
    container: &'a Container,
}

impl Pair<'_> {
    fn ours(&self, argv: &[&str]) -> Output {
        let fixed = [self.container.id.as_str(), "--"];
        self.runtime.node().cnsenter(fixed.iter().chain(argv)).run()
    }

    fn theirs(&self, argv: &[&str]) -> Output {
        let mut output = self.runtime.exec(self.container, argv).run();
        if matches!(
            self.kind,
            Kind::Docker | Kind::Containerd16 | Kind::Containerd16Crun | Kind::Containerd22
        ) {
            // They list root's primary group among the supplementary ones, too.
            output.stdout = output
                .out()
                .replace("gid=0(root) groups=0(root)", "gid=0(root)")
                .into_bytes();
        }
        if self.kind == Kind::Containerd22 {
            // It warns of cgroup v1 each time.
            let stderr = output.err();
            let rest = stderr.split_inclusive('\n');
            output.stderr = rest
                .filter(|line| !line.contains("DEPRECATION"))
                .collect::<String>()
                .into_bytes();
        }
        output
    }

    fn agree(&self, argv: &[&str]) {
        let (ours, mut theirs) = (self.ours(argv), self.theirs(argv));
        // ctr 1.6 was seen to lose all that a quick command wrote, with crun: then it is asked anew
        // (cnsenter never is).
        let lossy = matches!(self.kind, Kind::Containerd16 | Kind::Containerd16Crun);
        for _ in 0..5 {
            let lost = theirs.stdout.is_empty() && theirs.stderr.is_empty() && theirs.code == 0;
            if lossy && lost && !ours.stdout.is_empty() {
                theirs = self.theirs(argv);
            }
        }
        let short: Vec<_> = argv
            .iter()
            .map(|word| &word[..word.len().min(80)])
            .collect();
        assert_eq!(ours, theirs, "{short:?}: {}", self.runtime.name());
    }

    /// Whatever the words of it are.
    fn both_refuse(&self, command: &str, code: i32) {
        let (ours, theirs) = (self.ours(&[command]), self.theirs(&[command]));
        assert_eq!(ours.code, code, "{command}: {ours}");
        assert_eq!(ours.out(), "");
        let line = ours.err();
        assert!(
            line.starts_with("cnsenter: ") && line.lines().count() <= 2,
            "{line}"
        );
        assert_ne!(theirs.code, 0, "{command}: {theirs}");
    }

    /// Every byte there is passes through `-i` and comes back; without `-i` there is none.
    fn agree_on_input(&self) {
        let bytes: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
        let words = ["-i", &self.container.id, "--", "cat"];
        let ours = self.runtime.node().cnsenter(words);
        let theirs = self.runtime.exec_stdin(self.container, &["cat"]);
        assert!(ours.stdin(bytes.clone()).run().stdout == bytes);
        assert!(theirs.stdin(bytes.clone()).run().stdout == bytes);
        let words = [&self.container.id, "--", "cat"];
        let ours = self.runtime.node().cnsenter(words).stdin(bytes).run();
        assert_eq!((ours.out().as_str(), ours.code), ("", 0));
    }

    /// nsenter has neither the container's environment nor its working directory, and it hands on
    /// whatever descriptors its caller left open.
    fn agree_with_nsenter(&self) {
        let node = self.runtime.node();
        let pid = self.container.pid.to_string();
        // No runtime takes arguments that are not UTF-8 as they are.
        let bytes = OsString::from_vec((1..=255).collect());
        let byte_for_byte = ["/bin/printf".into(), "%s|%s".into(), bytes, OsString::new()];
        let scripts = [
            "id",
            "hostname",
            "cat /proc/self/mountinfo",
            "readlink /proc/self/ns/*",
            "grep -E '^(Cap|NoNew|Seccomp|Sig[BIC])' /proc/self/status",
            "kill -KILL $$",
            "exit 9",
        ];
        let in_shell = |script: &str| ["/bin/sh", "-c", script].map(OsString::from).to_vec();
        let commands = scripts.iter().map(|script| in_shell(script));
        for argv in commands.chain([byte_for_byte.to_vec()]) {
            let words = |fixed: &[&str]| -> Vec<OsString> {
                let fixed = fixed.iter().map(OsString::from);
                fixed.chain(argv.iter().cloned()).collect()
            };
            let ours = node.cnsenter(words(&[&self.container.id, "--"])).run();
            let theirs = words(&["nsenter", "-t", &pid, "-a"]);
            let theirs = node.command(theirs).run();
            assert_eq!(ours, theirs, "{argv:?}");
        }
    }
}
