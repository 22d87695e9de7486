//! ~/.ssh/config where there is no ssh to ask what it means: kpexec reads it by itself, and goes the same
//! way; what it cannot read it says.

use std::sync::OnceLock;

use kpexec_tests::ssh::{KNOWN_HOSTS, Sshd, make_key, public_key};
use kpexec_tests::{Cmd, Node, SshBed};

/// The key that alone opens the node.
const SPECIAL: &str = "/root/.ssh/special";

/// A node behind two jump hosts, each a machine of its own.
struct Way {
    bed: SshBed,
    jumps: [Sshd; 2],
    _sshd: Sshd,
}

fn way() -> &'static Way {
    static WAY: OnceLock<Way> = OnceLock::new();
    WAY.get_or_init(Way::open)
}

impl Way {
    fn open() -> Self {
        let bed = SshBed::new();
        bed.sshd.daemon.kill();
        let sshd = Sshd::with(&bed.shop.node, "Port 22\nPort 2222\n");
        make_key(&bed.laptop, SPECIAL);
        sshd.authorize("root", &public_key(&bed.laptop, SPECIAL));
        bed.know("");

        let key = public_key(&bed.laptop, kpexec_tests::ssh::KEY);
        let mut known = String::new();
        // What comes first holds.
        let mut config = String::from("# Ours\nInclude hosts.d/*.conf \"hosts.d/none here\"\n");
        let jumps = ["first", "second"].map(|name| {
            let machine = Node::start();
            let address = bed.network.attach(&machine);
            let jump = Sshd::start(&machine);
            jump.authorize("root", &key);
            known += &format!("{address} {}\n", jump.host_key());
            config += &format!("Host {name}\n  HostName {address}\n  User root\n  Port 22\n");
            jump
        });
        config += "Host *\n  User nobody-there\n  Port 9\n";
        bed.laptop.write("/root/.ssh/config", config);
        bed.laptop.write(KNOWN_HOSTS, known);
        let of_node = format!("the-node {}\n", sshd.host_key());
        bed.laptop.write("/root/.ssh/known_nodes", of_node);
        let nodes = format!(
            "Host node-? !node-9\n  HostName={}\n  User = root\n  Port 2222\n  \
             IdentityFile {SPECIAL}\n  IdentitiesOnly yes\n  HostKeyAlias the-node\n  \
             UserKnownHostsFile \"~/.ssh/known_nodes\"\n  ProxyJump first,second\n",
            bed.address
        );
        bed.laptop.write("/root/.ssh/hosts.d/nodes.conf", nodes);
        Self {
            bed,
            jumps,
            _sshd: sshd,
        }
    }

    /// Into the pod, where no ssh is found.
    fn alone(&self, host: &str, flags: &[&str]) -> Cmd {
        let script = "PATH=/nonexistent exec \"$@\"";
        self.run(host, flags).within(script)
    }

    fn run(&self, host: &str, flags: &[&str]) -> Cmd {
        let words = flags.iter().chain(&["-v", "web", "--", "hostname"]);
        self.bed.kpexec_to(host, words)
    }

    fn entered(&self) -> [usize; 2] {
        let entered = |jump: &Sshd| jump.log().matches("Accepted publickey for root").count();
        [entered(&self.jumps[0]), entered(&self.jumps[1])]
    }
}

#[test]
fn both_go_the_same_way() {
    let way = way();
    let ssh = way.run("node-1", &[]);
    let alone = way.alone("node-1", &[]);
    let by = format!("connected by SSH to root@{}:2222 through ", way.bed.address);
    let mut ways = Vec::new();
    for (n, command) in [ssh, alone].into_iter().enumerate() {
        let output = command.run();
        assert_eq!(
            (output.code, output.out().as_str()),
            (0, "web\n"),
            "{output}"
        );
        assert_eq!(way.entered(), [n + 1, n + 1]);
        let said = output.err();
        let line = said.lines().find_map(|line| line.split_once(&by));
        let (_, through) = line.unwrap_or_else(|| panic!("no {by:?} in {said}"));
        ways.push(through.to_owned());
    }
    assert_eq!(ways[0], ways[1]);
}

#[test]
fn what_is_not_meant_does_not_hold() {
    // The pattern leaves it out: what holds is what is said of every host.
    let output = way().alone("node-9", &[]).run();
    assert_eq!(output.code, 1, "{output}");
    assert!(
        output.err().contains("cannot connect to node-9:9 by SSH"),
        "{output}"
    );
    // The command line wins.
    let address = way().bed.address.to_string();
    let flags = [
        "--ssh-user=root",
        "--ssh-port=2222",
        "--ssh-identity",
        SPECIAL,
    ];
    let output = way().alone(&address, &flags).run();
    assert_eq!(output.code, 1, "{output}");
    let unknown = format!("the key of [{address}]:2222 is not known");
    assert!(output.err().contains(&unknown), "{output}");
}

/// What is said of one node counts more than what is said of all.
#[test]
fn a_nodes_own_user_is_the_one() {
    let bed = &way().bed;
    let config = format!(
        "Host direct\n  HostName {}\n  Port 2222\n  IdentityFile {SPECIAL}\n  HostKeyAlias the-node\n  \
         UserKnownHostsFile ~/.ssh/known_nodes\n",
        bed.address
    );
    bed.laptop.write("/root/.ssh/direct.conf", config);
    let run = |host: &str| {
        let run = way().run(host, &["--ssh-config=/root/.ssh/direct.conf"]);
        run.env("KPEXEC_SSH_USER", "nobody-there").run()
    };
    assert_eq!(run("root@direct").out(), "web\n");
    let output = run("direct");
    assert!(
        output.err().contains("does not let nobody-there in"),
        "{output}"
    );
}

/// Ctrl-C is the command's, whatever it goes through.
#[test]
fn programs_on_the_way_do_not_hear_keys() {
    let bed = &way().bed;
    let address = bed.address;
    let config = format!(
        "Host proxied\n  User root\n  Port 2222\n  IdentityFile {SPECIAL}\n  HostKeyAlias the-node\n  \
         UserKnownHostsFile ~/.ssh/known_nodes\n  \
         ProxyCommand busybox nc ${{KPEXEC_NOWHERE:-{address}}} %p\n"
    );
    bed.laptop.write("/root/.ssh/proxied.conf", config);
    let script = "trap 'echo heard; exit 3' INT; echo ready; while :; do sleep 0.1; done";
    let words = [
        "--ssh-config=/root/.ssh/proxied.conf",
        "-v",
        "web",
        "--",
        "sh",
        "-c",
        script,
    ];
    let mut pty = bed.kpexec_to("proxied", words).pty();
    assert!(pty.wait_for("ready\r\n").contains("by ProxyCommand"));
    pty.write("\x03");
    pty.wait_for("heard");
    assert_eq!(pty.wait(), 3);
}

#[test]
fn what_ssh_alone_understands_is_told() {
    let laptop = &way().bed.laptop;
    for (name, text, told) in [
        ("match", "Match all\n  User root\n", "match.conf has Match"),
        (
            "circle",
            "Include circle.conf\n",
            "cannot read /root/.ssh/circle.conf",
        ),
        (
            "quote",
            "Include \"hosts.d\n",
            "cannot read /root/.ssh/quote.conf",
        ),
    ] {
        laptop.write(format!("/root/.ssh/{name}.conf"), text);
        let file = format!("--ssh-config=/root/.ssh/{name}.conf");
        let output = way().alone("node-1", &[&file]).run();
        assert_eq!((output.code, output.out().as_str()), (1, ""), "{output}");
        assert!(output.err().contains(told), "{name}: {output}");
    }
}
