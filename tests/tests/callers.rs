//! Where cnsenter is run from: without rights, and with a /proc that shows something else.

use kpexec_tests::{Cmd, ContainerSpec, Kind, Node, Output};

/// Everybody but root: what is missing is named.
#[test]
fn without_rights() {
    let node = Node::start();
    let runtime = Kind::Containerd22.start(&node);
    let web = runtime.run(&ContainerSpec::sleeper("web"));
    let before = node.snapshot();
    for target in [
        "web",
        "containerd://web",
        "shop/cart",
        &format!("pid:{}", web.pid),
    ] {
        let said = node.cnsenter([target, "--", "true"]).user(1000, 1000).run();
        said.refused(&["takes CAP_", "as root"]);
    }
    // Root with some capabilities missing, as in a container.
    for name in [
        "sys_admin",
        "sys_ptrace",
        "sys_chroot",
        "setuid",
        "setgid",
        "setpcap",
    ] {
        let said = node.command([
            "capsh",
            &format!("--drop=cap_{name}"),
            "--",
            "-c",
            "cnsenter web -- true",
        ]);
        let named = format!("CAP_{}", name.to_uppercase());
        let said = said.run();
        if said.code != 0 {
            said.refused(&["takes", &named]);
        }
        assert!(name != "sys_admin" || said.code == 125, "{said}");
    }
    let none = [
        "setpriv",
        "--bounding-set=-all",
        "--inh-caps=-all",
        "cnsenter",
        "web",
        "--",
        "true",
    ];
    node.command(none)
        .run()
        .refused(&["takes CAP_", "CAP_SYS_ADMIN"]);
    // Everybody may ask what can be written.
    let said = node.cnsenter(["--help"]).user(1000, 1000).run();
    assert!(said.quiet().contains("Usage:"), "{said}");
    before.assert_same(&node);
}

#[test]
fn a_proc_that_is_not_the_nodes() {
    let node = Node::start();
    let runtime = Kind::Runc11.start(&node);
    let web = runtime.run(&ContainerSpec::sleeper("web"));
    let before = node.snapshot();
    let all = [
        "cnsenter web -- true",
        &format!("cnsenter pid:{} -- true", web.pid),
        "cnsenter ls",
    ];
    for command in all {
        within(&node, &format!("umount -l /proc; {command}")).refused(&["/proc"]);
        within(&node, &format!("mount -t tmpfs none /proc; {command}")).refused(&["/proc"]);
        let other = node.command(["sh", "-c", &format!("unshare --pid --fork {command}")]);
        other
            .run()
            .refused(&["/proc belongs to another PID namespace", "hostPID"]);
        // Root still sees everything.
        let said = within(
            &node,
            &format!("mount -t proc -o hidepid=2 proc /proc; {command}"),
        );
        said.quiet();
    }
    let hidden = "mount -t proc -o hidepid=2 proc /proc; exec setpriv --reuid=1000 --clear-groups cnsenter pid:1 -- true";
    within(&node, hidden).refused(&["takes CAP_"]);
    before.assert_same(&node);
}

/// A program with the marks of a setuid root is no way to become root.
#[test]
fn its_environment_is_the_callers() {
    let node = Node::start();
    let runtime = Kind::Runc11.start(&node);
    runtime.run(&ContainerSpec::sleeper("web"));
    // What the re-execution into the sealed copy is told by, set by hand.
    let strings = node.command([
        "sh",
        "-c",
        "grep -aoE 'CNSENTER_[A-Z_]+' $(command -v cnsenter) | sort -u",
    ]);
    node.cnsenter(["--help"]).run();
    for name in strings.ok().lines() {
        let said = node.cnsenter(["web", "--", "true"]).env(name, "0").run();
        assert!(said.code == 0 || said.code == 125, "{name}: {said}");
    }
}

/// Runs a script in a mount namespace of its own.
fn within(node: &Node, script: &str) -> Output {
    let _ = node.cnsenter(["--version"]).run();
    let command: Cmd = node.command(["unshare", "--mount", "sh", "-c", script]);
    command.run()
}
