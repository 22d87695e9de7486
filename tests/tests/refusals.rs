//! Commands, users, folders and command lines that make no sense: each is told apart, in one or
//! two lines.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use kpexec_tests::{Cmd, Container, ContainerSpec, Kind, Node};

/// The same wherever the command line is read: before anything is looked for.
#[test]
fn targets_and_flags_that_mean_nothing() {
    let node = Node::start();
    let before = node.snapshot();
    for (target, words) in [
        ("", "TARGET is empty"),
        ("..", "\"..\" is no container ID"),
        (".hidden", "is no container ID"),
        ("a b", "\"a b\" is no container ID"),
        ("x;id", "is no container ID"),
        ("a\x1b[31m\n", "\"a\\x1b[31m\\n\" is no container ID"),
        ("a\u{202e}b", "\"a\\u{202e}b\" is no container ID"),
        ("pid:", "is no process ID; write pid:1234"),
        ("pid:0", "\"pid:0\" is no process ID"),
        ("pid:-1", "is no process ID"),
        ("pid:x", "is no process ID"),
        ("pid:99999999999", "is no process ID"),
        ("pid:4194303", "no process 4194303"),
        ("shop/", "is no pod; write NS/POD or NS/POD/CONTAINER"),
        ("/web", "is no pod"),
        ("/", "is no pod"),
        ("//", "is no pod"),
        ("a//b", "is no pod"),
        ("a/b/c/d", "is no pod"),
        (
            "rkt://0abc",
            "\"rkt://\" is no container runtime known here; use containerd://",
        ),
        ("://", "is no container runtime"),
        ("docker://", "is no container ID"),
        ("docker://../../etc", "is no container ID"),
        ("../../etc/passwd", "is no pod"),
        ("unknown", "no container \"unknown\" on this node"),
        ("un", "no container \"un\" on this node"),
    ] {
        let said = node.cnsenter([target, "--", "true"]).run();
        said.refused(&[words]);
    }
    let long = "x".repeat(300);
    node.cnsenter([&long, "--", "true"])
        .run()
        .refused(&["is no container ID"]);

    for (arguments, words) in [
        (&["web"][..], "COMMAND"),
        (&["web", "--"], "COMMAND"),
        (&["--nonsense", "web", "--", "true"], "--nonsense"),
        (&["--no-dns", "web", "--", "true"], "did you mean --no-"),
        (&["--\x1b[31m", "web", "--", "true"], "unexpected argument"),
        (&["-u", "web", "--", "true"], ""),
        (&["-u", "", "web", "--", "true"], "is no user or group"),
        (
            &["-u", "4294967295", "web", "--", "true"],
            "\"4294967295\" is no user or group",
        ),
        (
            &["-u", "4294967296", "web", "--", "true"],
            "is no user or group",
        ),
        (
            &["-u", "0:-1", "web", "--", "true"],
            "\"0:-1\" is no user or group",
        ),
        (&["-u", ":0", "web", "--", "true"], "is no user or group"),
        (
            &["--group-add", "+5", "web", "--", "true"],
            "\"+5\" is no user or group",
        ),
        (&["-e", "=x", "web", "--", "true"], "is no variable"),
        (&["--timeout", "soon", "web", "--", "true"], "soon"),
        (&["--namespaces", "net,dns", "web", "--", "true"], "dns"),
        (&["--cgroup", "mine", "web", "--", "true"], "mine"),
        (&["--runtime", "rkt", "web", "--", "true"], "rkt"),
        (&["-v", "ls"], "it comes first: cnsenter ls"),
        (&["ls", "-o", "xml"], "xml"),
        (&["ls", "--pod", "web"], "\"web\" is no pod"),
        (&["ls", "web"], "web"),
        (&["inspect"], "TARGET"),
        (&["inspect", "unknown"], "no container \"unknown\""),
        (&["completion", "tcsh"], "tcsh"),
    ] {
        node.cnsenter(arguments).run().refused(&[words]);
    }
    // Whoever writes nothing at all is told everything.
    let said = node.cnsenter::<&str>([]).run();
    assert!(said.code == 125 && said.err().contains("Usage:"), "{said}");
    before.assert_same(&node);
}

#[test]
fn commands_that_cannot_be_executed() {
    let node = Node::start();
    let runtime = Kind::Runc11.start(&node);
    // A tenth of what a command line may hold.
    let big = "x".repeat(100_000);
    let spec = ContainerSpec::sleeper("web")
        .env("ONE", &big)
        .env("TWO", &big);
    let web = runtime.run(&spec);
    let root = root_of(&node, &web);
    let make = |name: &str, mode: u32, content: &[u8]| {
        let path = root.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let busybox = fs::read("/bin/busybox").unwrap();
    let mut foreign = busybox.clone();
    foreign[18] = 183;
    make("plain", 0o644, b"#!/bin/sh\n");
    make("foreign", 0o755, &foreign);
    make("script", 0o755, b"#!/bin/none -x\necho in\n");
    make("text", 0o755, b"echo in\n");
    make("empty", 0o755, b"");
    make("half", 0o755, &busybox[..40]);
    make("dynamic", 0o755, &fs::read("/bin/true").unwrap());
    make("dev/shm/tool", 0o755, &busybox);
    make("bin/hidden", 0o644, b"");
    make("odd\x1b[31m", 0o644, b"");
    symlink("loop", root.join("loop")).unwrap();
    symlink("nowhere", root.join("dangling")).unwrap();
    node.command([
        "mkfifo",
        "-m",
        "755",
        &format!("/proc/{}/root/fifo", web.pid),
    ])
    .ok();
    let before = node.snapshot();
    for (code, command, words) in [
        (
            127,
            "nothing",
            "no command \"nothing\" in the container (its PATH is /usr/local/sbin:",
        ),
        (
            127,
            "/bin/nothing",
            "no file \"/bin/nothing\" in the container",
        ),
        (127, "./nothing", "no file \"./nothing\""),
        (127, "/dangling", "no file \"/dangling\""),
        (127, "", "\"\""),
        (127, "no\x1b[31m", "\"no\\x1b[31m\""),
        (126, "/bin", "\"/bin\" is a directory"),
        (126, "./bin", "\"./bin\" is a directory"),
        (126, "/plain", "\"/plain\" may not be executed"),
        (126, "hidden", "hidden\" may not be executed"),
        (126, "/odd\x1b[31m", "\"/odd\\x1b[31m\" may not be executed"),
        (126, "/fifo", "\"/fifo\" may not be executed"),
        (
            126,
            "/dev/shm/tool",
            "may not be executed: its mode or a noexec mount",
        ),
        (127, "/plain/x", "no file \"/plain/x\""),
        (
            126,
            "/foreign",
            "is built for aarch64, and this node is x86_64",
        ),
        (
            126,
            "/script",
            "\"/script\" is a script for \"/bin/none\", which the container does not have",
        ),
        (
            126,
            "/text",
            "is neither a program nor a script with a #! line; for a shell script: sh /text",
        ),
        (126, "/empty", "\"/empty\" is neither"),
        (126, "/half", "\"/half\""),
        (
            126,
            "/dynamic",
            "needs the dynamic loader \"/lib64/ld-linux-x86-64.so.2\", which",
        ),
        (126, "/loop", "\"/loop\": Too many symbolic links"),
    ] {
        for flags in [&[][..], &["-u", "1000"]] {
            let words_of = flags.iter().copied().chain(["web", "--", command]);
            node.cnsenter(words_of).run().failed(code, &[words]);
        }
    }
    let name = "x".repeat(300);
    node.cnsenter(["web", "--", &name])
        .run()
        .failed(126, &["File name too long"]);
    // As much as the kernel lets cnsenter have, to which the container's environment is added.
    let many = vec![big.as_str(); 20];
    let said = node
        .cnsenter(["web", "--", "true"].iter().chain(&many))
        .run();
    said.failed(126, &["\"/bin/true\": Argument list too long"]);
    before.assert_same(&node);
}

#[test]
fn users_and_folders_that_are_not_there() {
    let node = Node::start();
    let runtime = Kind::Containerd22.start(&node);
    let web = runtime.run(&ContainerSpec::sleeper("web"));
    let mapped = runtime.run(&ContainerSpec::sleeper("mapped").userns());
    let static_only = runtime.run(&ContainerSpec::shell_less("static"));
    let before = node.snapshot();
    let run = |container: &Container, flags: &[&str]| -> Cmd {
        let program = if container.id == "static" {
            "/sleep"
        } else {
            "id"
        };
        node.cnsenter(
            flags
                .iter()
                .copied()
                .chain([container.id.as_str(), "--", program]),
        )
    };
    for (container, flags, words) in [
        (
            &web,
            &["-u", "eve"][..],
            "no user \"eve\" in the container's /etc/passwd",
        ),
        (
            &web,
            &["-u", "app:eve"],
            "no group \"eve\" in the container's /etc/group",
        ),
        (
            &web,
            &["--group-add", "eve"],
            "no group \"eve\" in the container's /etc/group",
        ),
        (&web, &["-u", "e\x1b[31m"], "no user \"e\\x1b[31m\""),
        (
            &static_only,
            &["-u", "app"],
            "no user \"app\" in the container's /etc/passwd",
        ),
        (
            &static_only,
            &["-u", "0:app"],
            "no group \"app\" in the container's /etc/group",
        ),
        (
            &mapped,
            &["-u", "65536"],
            "uid 65536 does not exist in the container's user namespace; it has ",
        ),
        (
            &mapped,
            &["-u", "0:70000"],
            "gid 70000 does not exist in the container's user namespace",
        ),
        (
            &mapped,
            &["--group-add", "70000"],
            "gid 70000 does not exist",
        ),
        (
            &web,
            &["-w", "/nothing"],
            "cannot change to the working directory",
        ),
        (&web, &["-w", "/etc/passwd"], "/etc/passwd"),
        (&web, &["-w", "/no\x1b[31m"], "/no\\x1b[31m"),
        (&web, &["-u", "app", "-w", "/root"], "/root"),
    ] {
        run(container, flags).run().refused(&[words]);
    }
    assert!(
        run(&mapped, &["-u", "65535"])
            .run()
            .quiet()
            .starts_with("uid=65535")
    );
    before.assert_same(&node);
}

/// However few files may be open, the reason is told, not what else it could have been.
#[test]
fn too_few_files() {
    let node = Node::start();
    let runtime = Kind::Containerd16.start(&node);
    let web = runtime.run(&ContainerSpec::sleeper("web"));
    node.cnsenter([&web.id, "--", "true"]).run().quiet();
    let before = node.snapshot();
    let mut refusals = 0;
    for limit in 4..32 {
        let script = format!("ulimit -n {limit}; exec cnsenter web -- true");
        let said = node.command(["sh", "-c", &script]).run();
        if said.code == 0 {
            said.quiet();
        } else {
            said.refused(&["Too many open files\n", "allow more: ulimit -n 1024\n"]);
            refusals += 1;
        }
    }
    assert!((10..28).contains(&refusals), "{refusals}");
    before.assert_same(&node);
}

fn root_of(node: &Node, container: &Container) -> PathBuf {
    let root = node.path(format!("/proc/{}/root", container.pid));
    assert!(Path::new(&root.join("bin")).exists());
    root
}
