//! Nodes that are reached by SSH: a laptop, a node with pods and a real sshd on it, and the network in
//! between.

mod sshd;
mod workers;

use std::ffi::{OsStr, OsString};
use std::net::Ipv4Addr;

pub use sshd::Sshd;

use crate::cluster::Network;
use crate::{Cmd, Node, Shop, cache};

/// The laptop's user's key.
pub const KEY: &str = "/root/.ssh/id_ed25519";

/// The laptop's user's hosts.
pub const KNOWN_HOSTS: &str = "/root/.ssh/known_hosts";

/// A laptop whose user is let in as root at a node with pods.
#[derive(Debug)]
pub struct SshBed {
    /// Where the user is.
    pub laptop: Node,
    /// The node with its pods.
    pub shop: Shop,
    /// Its sshd.
    pub sshd: Sshd,
    /// Its address.
    pub address: Ipv4Addr,
    /// What is between the two.
    pub network: Network,
}

impl SshBed {
    /// Starts all of that.
    pub fn new() -> Self {
        Self::with("")
    }

    /// The same with these lines first in sshd_config(5).
    pub fn with(lines: &str) -> Self {
        let laptop = Node::start();
        // The bridge is a third machine's: what it cuts is cut for both.
        let network = Network::on(&Node::start());
        network.attach(&laptop);
        // Nobody is there to be asked for names, which some resolvers wait long for.
        let resolver = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n";
        laptop.write("/etc/resolv.conf", resolver);
        let shop = Shop::open();
        let address = network.attach(&shop.node);
        let sshd = Sshd::with(&shop.node, lines);
        make_key(&laptop, KEY);
        sshd.authorize("root", &public_key(&laptop, KEY));
        let bed = Self {
            laptop,
            shop,
            sshd,
            address,
            network,
        };
        bed.know(&format!("{address} {}\n", bed.sshd.host_key()));
        bed
    }

    /// Makes this the laptop's known_hosts.
    pub fn know(&self, lines: &str) {
        self.laptop.write(KNOWN_HOSTS, lines);
    }

    /// kpexec on the laptop, for the node's address, with these words after that.
    pub fn kpexec<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Cmd {
        self.kpexec_as("root", words)
    }

    /// The same as one of the node's users.
    pub fn kpexec_as<S: AsRef<OsStr>>(
        &self,
        user: &str,
        words: impl IntoIterator<Item = S>,
    ) -> Cmd {
        self.kpexec_to(&format!("{user}@{}", self.address), words)
    }

    /// The same for any host's name.
    pub fn kpexec_to<S: AsRef<OsStr>>(
        &self,
        host: &str,
        words: impl IntoIterator<Item = S>,
    ) -> Cmd {
        let program: OsString = cache::kpexec().into();
        let fixed = [
            program,
            "-n".into(),
            "shop".into(),
            "--node".into(),
            host.into(),
        ];
        let words = words.into_iter().map(|word| word.as_ref().to_owned());
        self.laptop.command(fixed.into_iter().chain(words))
    }

    /// A user of the node with this login shell, who is let in by the laptop's key.
    pub fn user(&self, name: &str, shell: &str) {
        self.sshd.user(name, shell);
        self.sshd.authorize(name, &public_key(&self.laptop, KEY));
    }

    /// Lets a user run cnsenter as root, without a password, by the file that the packages bring.
    pub fn may_sudo(&self, name: &str) {
        let rules = include_str!("../../../packaging/sudoers.d/kpexec");
        let node = &self.shop.node;
        let file = "/etc/sudoers.d/kpexec";
        node.write(file, rules);
        node.command(["chmod", "440", file]).ok();
        node.command(["visudo", "-c", "-f", file]).ok();
        node.command(["groupadd", "-f", "--system", "kpexec"]).ok();
        node.command(["usermod", "-aG", "kpexec", name]).ok();
    }
}

impl Default for SshBed {
    fn default() -> Self {
        Self::new()
    }
}

/// Makes a key pair at this path of a machine.
pub fn make_key(node: &Node, path: &str) {
    ssh_keygen(node, &["-t", "ed25519", "-N", "", "-C", path, "-f", path]);
}

/// `ssh-keygen -q` with these words, after what would be in the way is removed.
pub fn ssh_keygen(node: &Node, words: &[&str]) {
    let folder = "mkdir -p -m 700 ~/.ssh && exec ssh-keygen -q \"$@\" </dev/null";
    let words = ["sh", "-c", folder, "sh"]
        .into_iter()
        .chain(words.iter().copied());
    node.command(words).ok();
}

/// The public part of a key, as one line.
pub fn public_key(node: &Node, path: &str) -> String {
    node.read(format!("{path}.pub")).trim().to_owned()
}
