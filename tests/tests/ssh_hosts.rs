//! Who is who: the keys of hosts and of users, jump hosts and proxies, as ssh has them; and what is told
//! if a host is not there, not itself, or lets nobody in.

use std::sync::OnceLock;
use std::time::Duration;

use kpexec_tests::ssh::{KEY, KNOWN_HOSTS, Sshd, make_key, public_key, ssh_keygen};
use kpexec_tests::{Cmd, Output, SshBed, eventually};
use nix::sys::signal::Signal;

/// Tests that only write files of their own share one.
fn bed() -> &'static SshBed {
    static BED: OnceLock<SshBed> = OnceLock::new();
    BED.get_or_init(SshBed::new)
}

/// `hostname` in the pod by the configuration of this text, which is kept under this name.
fn by_config(name: &str, host: &str, config: &str) -> Cmd {
    let file = format!("/root/.ssh/{name}");
    bed().laptop.write(&file, config);
    let words = ["--ssh-config", &file, "web", "--", "hostname"];
    bed().kpexec_to(host, words)
}

/// The configuration for a host that only `lines` tell more of.
fn host(lines: &str) -> String {
    let address = bed().address;
    format!("Host node\n  HostName {address}\n  User root\n{lines}\n")
}

fn by_hosts(name: &str, known: &str) -> Cmd {
    let file = format!("/root/.ssh/known_{name}");
    bed().laptop.write(&file, known);
    let lines = format!("  UserKnownHostsFile {file}\n  HashKnownHosts no\n");
    by_config(name, "node", &host(&lines))
}

#[track_caller]
fn refused(output: &Output, told: &[&str]) {
    assert_eq!(output.code, 1, "{output}");
    assert!(output.stdout.is_empty(), "{output}");
    let said = output.err();
    assert!(
        said.starts_with("error: ") && said.lines().count() <= 2,
        "{said}"
    );
    for word in told {
        assert!(said.contains(word), "no {word:?} in: {said}");
    }
}

#[test]
fn unknown_hosts_are_asked_for() {
    let address = bed().address.to_string();
    let off_terminal = by_hosts("unknown", "").run();
    let hint = "ssh-keyscan";
    refused(
        &off_terminal,
        &[&address, "is not known: ssh-ed25519 SHA256:", hint],
    );

    let command = by_hosts("asked", "other ssh-ed25519 AAAA");
    let mut pty = command.clone().pty();
    pty.wait_for("(yes, no or its fingerprint) ");
    pty.write("maybe\r");
    pty.wait_for("Write yes");
    pty.write("yes\r");
    pty.wait_for("web\r\n");
    assert_eq!(pty.wait(), 0);
    let line = format!("\n{address} {}\n", bed().sshd.host_key());
    let known = bed().laptop.read("/root/.ssh/known_asked");
    assert!(known.ends_with(&line), "{known}");
    // It is remembered now.
    let words = ["--ssh-config", "/root/.ssh/asked", "web", "--", "hostname"];
    assert_eq!(bed().kpexec_to("node", words).ok(), "web");

    let mut pty = by_hosts("refused", "").pty();
    pty.wait_for("fingerprint) ");
    pty.write("no\r");
    assert_eq!(pty.wait(), 1);

    let file = "/root/.ssh/known_new";
    let lines = format!(
        "  UserKnownHostsFile {file}\n  StrictHostKeyChecking accept-new\n  HashKnownHosts yes\n"
    );
    let output = by_config("new", "node", &host(&lines)).run();
    assert_eq!((output.code, output.out().trim()), (0, "web"), "{output}");
    let warning = format!("Warning: the key of {address}, ssh-ed25519 SHA256:");
    assert!(output.err().starts_with(&warning), "{output}");
    let known = bed().laptop.read(file);
    assert!(
        known.starts_with("|1|") && !known.contains(&address),
        "{known}"
    );
    assert_eq!(by_config("new", "node", &host(&lines)).ok(), "web");
}

#[test]
fn hosts_with_other_keys_are_refused() {
    let address = bed().address.to_string();
    make_key(&bed().laptop, "/root/.ssh/other");
    let other = public_key(&bed().laptop, "/root/.ssh/other");
    let own = bed().sshd.host_key();
    let changed = by_hosts("changed", &format!("# mine\n\n{address} {other}\n")).run();
    let places = [
        "/root/.ssh/known_changed line 3",
        "somebody may be in between",
        "ssh-keygen -R",
    ];
    refused(&changed, &places);
    // However it is to be trusted.
    let lines = "  UserKnownHostsFile /root/.ssh/known_changed\n  StrictHostKeyChecking no\n";
    refused(&by_config("lax", "node", &host(lines)).run(), &places);

    let revoked = by_hosts("revoked", &format!("{address} {own}\n@revoked * {own}\n")).run();
    refused(&revoked, &["is revoked by /root/.ssh/known_revoked line 2"]);

    let hashed = "/root/.ssh/known_hashed";
    bed().laptop.write(hashed, format!("{address} {own}\n"));
    ssh_keygen(&bed().laptop, &["-H", "-f", hashed]);
    let hashed = bed().laptop.read(hashed);
    assert!(!hashed.contains(&address));
    assert_eq!(by_hosts("hashed", &hashed).ok(), "web");
    let patterns = format!("10.77.0.?,!10.77.0.200 {own}\n");
    assert_eq!(by_hosts("patterns", &patterns).ok(), "web");
    let negated = format!("10.77.0.*,!{address} {own}\n");
    refused(&by_hosts("negated", &negated).run(), &["is not known"]);
}

#[test]
fn hosts_may_be_known_elsewhere() {
    let address = bed().address.to_string();
    let own = bed().sshd.host_key();
    // The folder's name has a blank, which ssh -G does not quote.
    let file = "/root/.ssh/John Doe/known_hosts";
    bed()
        .laptop
        .command(["mkdir", "-p", "/root/.ssh/John Doe"])
        .ok();
    bed().laptop.write(file, format!("{address} {own}\n"));
    let lines = format!("  UserKnownHostsFile \"{file}\" /dev/null\n");
    assert_eq!(by_config("blank", "node", &host(&lines)).ok(), "web");

    let program = "/root/.ssh/hosts";
    let script = format!(
        "#!/bin/sh\necho \"$@\" >/root/.ssh/asked\n[ $1 = {address} ] || exit 7\necho \"$1 {own}\"\n"
    );
    bed().laptop.write(program, script);
    bed().laptop.command(["chmod", "755", program]).ok();
    let asking = |arguments: &str| {
        let lines = "  UserKnownHostsFile /dev/null\n  KnownHostsCommand";
        let lines = format!("{lines} {program} {arguments}\n");
        by_config("asking", "node", &host(&lines))
    };
    assert_eq!(asking("%H %I %t \"a  b\" %%").ok(), "web");
    assert_eq!(
        bed().laptop.read("/root/.ssh/asked"),
        format!("{address} ORDER NONE a  b %\n")
    );
    let failing = asking("web").run();
    assert_eq!(failing.code, 1, "{failing}");
    for told in [
        "Warning: KnownHostsCommand ",
        "failed: exit status: 7",
        "is not known",
    ] {
        assert!(failing.err().contains(told), "no {told:?} in {failing}");
    }
}

#[test]
fn certificates_of_hosts_and_users_hold() {
    let bed = SshBed::new();
    let (laptop, node) = (&bed.laptop, &bed.shop.node);
    let address = bed.address.to_string();
    make_key(node, "/root/ca");
    let authority = public_key(node, "/root/ca");
    let sign = |words: &[&str], key: &str| {
        let fixed = ["-s", "/root/ca", "-I", "test"];
        let words: Vec<_> = fixed.iter().chain(words).copied().chain([key]).collect();
        ssh_keygen(node, &words);
    };
    let host_key = bed.sshd.host_key_file();
    bed.sshd.daemon.kill();
    let restart = |lines: &str| Sshd::with(node, lines);
    let run = || bed.kpexec(["web", "--", "hostname"]);
    bed.know(&format!("# of\n@cert-authority 10.77.0.* {authority}\n"));
    let sshd = |principal: &str| {
        sign(&["-h", "-n", principal], &format!("{host_key}.pub"));
        restart(&format!(
            "HostCertificate {host_key}-cert.pub\nTrustedUserCAKeys /root/ca.pub\n"
        ))
    };
    let running = sshd(&address);
    assert_eq!(run().ok(), "web");
    drop(running);
    let running = sshd("somebody-else");
    refused(&run().run(), &["certificate", "another host's"]);
    // As with ssh, its key may be known all the same, or become so.
    let known = format!("@cert-authority * {authority}\n");
    let own = running.host_key();
    bed.know(&format!("{known}{address} {own}\n"));
    assert_eq!(run().ok(), "web");
    bed.know(&known);
    let mut pty = run().pty();
    pty.wait_for("does not hold: it is another host's\r\n");
    pty.wait_for("(yes, no or its fingerprint) ");
    pty.write("yes\r");
    pty.wait_for("web\r\n");
    assert_eq!(pty.wait(), 0);
    assert!(laptop.read(KNOWN_HOSTS).ends_with(&format!("{own}\n")));
    drop(running);
    let running = sshd(&address);
    bed.know(&format!(
        "@cert-authority * {authority}\n@revoked * {authority}\n{address} {own}\n"
    ));
    refused(&run().run(), &["revoked"]);

    // The user's: the key alone opens nothing any more.
    bed.know(&format!("@cert-authority * {authority}\n"));
    running.authorize("root", "");
    let alone = run().run();
    refused(
        &alone,
        &[
            "does not let root in",
            &format!("tried {KEY}"),
            "publickey",
            "-I",
        ],
    );
    node.write("/root/user.pub", public_key(laptop, KEY));
    sign(&["-n", "root"], "/root/user.pub");
    let certificate = format!("{KEY}-cert.pub");
    laptop.write(&certificate, node.read("/root/user-cert.pub"));
    assert_eq!(run().ok(), "web");
    // The agent was given the key before there was a certificate.
    let script = format!(
        "ssh-agent sh -c 'mv {certificate} /root/c && ssh-add -q {KEY} && mv /root/c {certificate} && \
         exec \"$@\"' sh \"$@\""
    );
    assert_eq!(run().within(&script).ok(), "web");
    // RSA's signatures have other names than its keys.
    let rsa = "/root/.ssh/rsa";
    ssh_keygen(laptop, &["-t", "rsa", "-N", "", "-f", rsa]);
    node.write("/root/rsa.pub", public_key(laptop, rsa));
    sign(&["-n", "root"], "/root/rsa.pub");
    laptop.write(format!("{rsa}-cert.pub"), node.read("/root/rsa-cert.pub"));
    laptop.command(["rm", &certificate]).ok();
    let by_rsa = ["-I", rsa, "web", "--", "hostname"];
    assert_eq!(bed.kpexec(by_rsa).ok(), "web");
    // A certificate that is of no use hides no key that is, and a passphrase is asked for as it should be.
    let locked = "/root/.ssh/locked";
    ssh_keygen(laptop, &["-t", "ed25519", "-N", "open", "-f", locked]);
    node.write("/root/locked.pub", public_key(laptop, locked));
    sign(&["-n", "somebody"], "/root/locked.pub");
    laptop.write(
        format!("{locked}-cert.pub"),
        node.read("/root/locked-cert.pub"),
    );
    running.authorize("root", &public_key(laptop, locked));
    let mut pty = bed.kpexec(["-I", locked, "web", "--", "hostname"]).pty();
    pty.wait_for("Passphrase for ");
    pty.write("open\r");
    pty.wait_for("web\r\n");
    assert_eq!(pty.wait(), 0);
    drop(running);
}

#[test]
fn keys_are_the_agents_or_in_files() {
    let laptop = &bed().laptop;
    // A key that only a passphrase opens.
    let locked = "/root/.ssh/locked";
    let words = [
        "-t",
        "ed25519",
        "-N",
        "open sesame",
        "-C",
        "locked",
        "-f",
        locked,
    ];
    ssh_keygen(laptop, &words);
    bed().sshd.user("locked", "/bin/sh");
    bed().may_sudo("locked");
    bed().sshd.authorize("locked", &public_key(laptop, locked));
    let words = ["-I", locked, "web", "--", "hostname"];
    let run = || bed().kpexec_as("locked", words);
    refused(
        &run().run(),
        &["locked in", "has a passphrase: load it with ssh-add"],
    );
    let mut pty = run().pty();
    pty.wait_for("Passphrase for /root/.ssh/locked: ");
    pty.write("wrong\r");
    pty.wait_for("\r\nPassphrase");
    pty.write("open sesame\r");
    let shown = pty.wait_for("web\r\n");
    assert!(!shown.contains("sesame"), "{shown}");
    assert_eq!(pty.wait(), 0);
    assert!(!pty.is_raw());
    // Nobody is asked for a key that the host does not take.
    let both = ["-I", locked, "-I", KEY, "web", "--", "hostname"];
    let mut pty = bed().kpexec(both).pty();
    assert!(!pty.wait_for("web\r\n").contains("Passphrase"));
    assert_eq!(pty.wait(), 0);
    // Ctrl-C leaves the terminal as it was.
    let mut pty = run().pty();
    pty.wait_for("Passphrase");
    pty.write("\x03");
    assert_eq!(pty.wait(), 130);
    assert!(!pty.is_raw());

    // The agent signs with a key that has no file.
    laptop.command(["cp", KEY, "/root/held"]).ok();
    bed().sshd.user("held", "/bin/sh");
    bed().may_sudo("held");
    make_key(laptop, "/root/in-agent");
    bed()
        .sshd
        .authorize("held", &public_key(laptop, "/root/in-agent"));
    let script =
        "ssh-agent sh -c 'ssh-add -q /root/in-agent && rm /root/in-agent && exec \"$@\"' sh \"$@\"";
    let by_agent = bed().kpexec_as("held", ["web", "--", "hostname"]);
    assert_eq!(by_agent.within(script).ok(), "web");
    let lost = ["-I", "/root/in-agent", "web", "--", "hostname"];
    let warning = "Warning: there is no key /root/in-agent\n";
    let told = "/root/in-agent (which is not there)";
    let alone = bed().kpexec_as("held", lost).run();
    assert!(alone.err().starts_with(warning), "{alone}");
    assert!(alone.err().contains(told), "{alone}");
    let output = bed().kpexec(lost).run();
    assert_eq!(
        (output.code, output.err().as_str()),
        (0, warning),
        "{output}"
    );
}

/// An agent that hangs, as a forwarded one may, is told of, and not waited for.
#[test]
fn an_agent_may_hang() {
    let laptop = &bed().laptop;
    let socket = "/root/stopped.sock";
    let agent = laptop.command(["ssh-agent", "-D", "-a", socket]).spawn();
    agent.wait_for("SSH_AUTH_SOCK=");
    agent.signal(Signal::SIGSTOP);
    let run = bed().kpexec(["web", "--", "hostname"]);
    let output = run.env("SSH_AUTH_SOCK", socket).run();
    assert_eq!(output.out(), "web\n", "{output}");
    let told = "Warning: the ssh-agent has not answered within 3s\n";
    assert_eq!(output.err(), told, "{output}");
    agent.signal(Signal::SIGKILL);
}

#[test]
fn keys_are_read_as_ssh_reads_them() {
    let laptop = &bed().laptop;
    let key = "/root/.ssh/open";
    make_key(laptop, key);
    bed().sshd.user("open", "/bin/sh");
    bed().may_sudo("open");
    bed().sshd.authorize("open", &public_key(laptop, key));
    laptop.write("/root/.ssh/only", "IdentitiesOnly yes\n");
    let with = |identity: &str| {
        let config = "--ssh-config=/root/.ssh/only";
        let words = [config, "-I", identity, "web", "--", "hostname"];
        bed().kpexec_as("open", words)
    };
    assert_eq!(with(key).ok(), "web");
    laptop.command(["chmod", "644", key]).ok();
    let told = format!("tried {key} (which others may read: chmod 600)");
    refused(&with(key).run(), &[&told]);
    laptop.command(["chmod", "600", key]).ok();

    // The public key names one that the agent alone has.
    let public = format!("{key}.pub");
    let told = format!("{public} (a public key, whose private one the agent does not hold)");
    refused(&with(&public).run(), &[&told]);
    let script =
        format!("ssh-agent sh -c 'ssh-add -q {KEY} {key} && rm {key} && exec \"$@\"' sh \"$@\"");
    assert_eq!(with(&public).within(&script).ok(), "web");
}

#[test]
fn passwords_are_asked_for_on_a_terminal() {
    let bed = SshBed::new();
    bed.sshd.daemon.kill();
    let sshd = Sshd::with(&bed.shop.node, "PasswordAuthentication yes\n");
    sshd.user("pat", "/bin/sh");
    bed.may_sudo("pat");
    bed.shop
        .node
        .command(["chpasswd"])
        .stdin("pat:let me in\n")
        .ok();
    let run = || bed.kpexec_as("pat", ["web", "--", "hostname"]);
    refused(
        &run().run(),
        &["does not let pat in", "publickey, password"],
    );
    let mut pty = run().pty();
    pty.wait_for("Password of pat on ");
    pty.write("wrong\r");
    pty.wait_for("\r\nPassword");
    pty.write("let me in\r");
    let shown = pty.wait_for("web\r\n");
    assert!(!shown.contains("let me in"), "{shown}");
    assert_eq!(pty.wait(), 0);
}

#[test]
fn other_hosts_lead_there() {
    let address = bed().address;
    // Only the node itself reaches this one: its own loopback.
    let behind = "127.0.0.1";
    let own = bed().sshd.host_key();
    let known = format!("{address},{behind},localhost,alias {own}\n");
    bed().laptop.write("/root/.ssh/known_all", known);
    let all = "  UserKnownHostsFile /root/.ssh/known_all\n";
    let everywhere = format!("Host *\n  User root\n{all}");
    let jump = |jump: &str| {
        bed().laptop.write("/root/.ssh/everywhere", &everywhere);
        let words = [
            "--ssh-config",
            "/root/.ssh/everywhere",
            "-J",
            jump,
            "web",
            "--",
            "hostname",
        ];
        bed().kpexec_to(behind, words)
    };
    assert_eq!(jump(&format!("root@{address}")).ok(), "web");
    assert_eq!(jump(&format!("{address}:22,localhost")).ok(), "web");
    refused(
        &jump("nowhere.invalid").run(),
        &["the way leads through nowhere.invalid:22: cannot connect to nowhere.invalid:22"],
    );
    let closed = bed().kpexec_to(
        behind,
        [
            "--ssh-port=9",
            "-J",
            &address.to_string(),
            "web",
            "--",
            "id",
        ],
    );
    refused(
        &closed.run(),
        &[
            &format!("{address}:22 does not connect us to {behind}:9"),
            "ConnectFailed",
        ],
    );

    let in_config = format!("Host far\n  HostName {behind}\n  ProxyJump {address}\n{everywhere}");
    assert_eq!(by_config("jump", "far", &in_config).ok(), "web");
    let circle = format!("Host far\n  HostName {behind}\n  ProxyJump far\n{everywhere}");
    refused(&by_config("circle", "far", &circle).run(), &["circle"]);
    let proxy = format!("  ProxyCommand ssh -F /root/.ssh/everywhere -W {behind}:%p %h\n");
    assert_eq!(
        by_config("proxy", "node", &(host(&proxy) + all)).ok(),
        "web"
    );
    // One that leads nowhere does not stay.
    let silent = by_config("silent", "node", &host("  ProxyCommand sleep 54321\n")).run();
    refused(&silent, &["did not answer by SSH within 5s"]);
    eventually("it is gone", || {
        bed().laptop.find(&["sleep", "54321"]).is_empty()
    });
    let matched = format!(
        "Match host node exec \"true\"\n  HostName {address}\n  HostKeyAlias alias\n{everywhere}"
    );
    assert_eq!(by_config("match", "node", &matched).ok(), "web");
}

#[test]
fn what_is_no_sshd_is_told() {
    let address = bed().address;
    let to = |port: &str| bed().kpexec(["--ssh-port", port, "web", "--", "id"]);
    refused(
        &to("9").run(),
        &[&format!(
            "cannot connect to {address}:9 by SSH: Connection refused"
        )],
    );
    let server = |answer: &str, port: &str| {
        let script = format!("{answer} | busybox nc -l -p {port}");
        bed().shop.node.command(["sh", "-c", &script]).spawn()
    };
    let listens = |port: &str| {
        let wait = format!("until ss -Hltn 'sport = :{port}' | grep -q .; do :; done");
        bed().shop.node.command(["sh", "-c", &wait]).ok();
    };
    let _http = server("yes 'HTTP/1.1 400 Bad Request'", "8022");
    listens("8022");
    refused(&to("8022").run(), &["cannot speak SSH", "no sshd"]);
    let _silent = server("sleep 100", "8023");
    listens("8023");
    let silent = to("8023").deadline(Duration::from_secs(20)).run();
    refused(&silent, &["did not answer by SSH within 5s"]);

    for name in ["-oProxyCommand=id", "a b", "$(id)", "a;id"] {
        let host = format!("--node={name}");
        let output = bed()
            .kpexec_to("x", [host.as_str(), "web", "--", "id"])
            .run();
        refused(&output, &["is no host's name"]);
    }
    for name in ["-oProxyCommand=id", "a b", "$(id)", "a;id"] {
        let user = format!("--ssh-user={name}");
        let own = "--ssh-command=ssh {user}@{node}";
        for words in [&[user.as_str()][..], &[&user, own]] {
            let words = [words, &["web", "--", "id"]].concat();
            let output = bed().kpexec_to(&address.to_string(), words).run();
            refused(&output, &["is no user's name"]);
        }
    }
    let none = by_config("none", "nobody.invalid", "").run();
    refused(&none, &["cannot connect to nobody.invalid:22 by SSH"]);
    let odd = by_config("odd", "node", "Nonsense yes\n").run();
    refused(&odd, &["cannot ask ssh -G", "nonsense; "]);
    assert!(bed().laptop.path(KNOWN_HOSTS).exists());
}
