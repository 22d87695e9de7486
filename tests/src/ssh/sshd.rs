//! OpenSSH's sshd on a node.

use crate::Node;
use crate::cache::require;
use crate::runtime::Daemon;

/// Where its files are.
const FOLDER: &str = "/etc/kpexec-ssh";

const PROGRAM: &str = "/usr/sbin/sshd";

/// An sshd, on port 22 of all of a node's addresses. It ends when this is dropped.
#[derive(Debug)]
pub struct Sshd {
    node: Node,
    /// The daemon.
    pub daemon: Daemon,
}

impl Sshd {
    /// Starts it, with a host key of its own; it lets in by keys alone.
    ///
    /// # Panics
    /// If it does not come up; with the end of its log.
    pub fn start(node: &Node) -> Self {
        Self::with(node, "")
    }

    /// The same with these lines before its own in sshd_config(5).
    ///
    /// # Panics
    /// If it does not come up; with the end of its log.
    pub fn with(node: &Node, lines: &str) -> Self {
        require(PROGRAM.as_ref());
        // A node's users are not those of the host: its files of keys are in one folder.
        let config = format!(
            "{lines}\nHostKey {FOLDER}/host\nAuthorizedKeysFile {FOLDER}/keys/%u\nUsePAM no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPidFile none\n\
             StrictModes no\nSubsystem sftp internal-sftp\nMaxStartups 100\n"
        );
        node.write(format!("{FOLDER}/sshd_config"), config);
        // sudo looks for it, and would wait for a name server.
        let hosts = format!("127.0.0.1 localhost {}\n", node.name());
        node.write("/etc/hosts", hosts);
        node.command(["mkdir", "-p", "/run/sshd", &format!("{FOLDER}/keys")])
            .ok();
        if !node.path(format!("{FOLDER}/host")).exists() {
            super::make_key(node, &format!("{FOLDER}/host"));
        }
        let config = format!("{FOLDER}/sshd_config");
        let words = [PROGRAM, "-D", "-e", "-f", &config];
        let probe = node.command(["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/22"]);
        let daemon = Daemon::start(node, &words, "/usr/bin", &probe);
        Self {
            node: node.clone(),
            daemon,
        }
    }

    /// Its host key, as known_hosts has it: kind and key.
    pub fn host_key(&self) -> String {
        let line = super::public_key(&self.node, &format!("{FOLDER}/host"));
        let fields: Vec<_> = line.split(' ').take(2).collect();
        fields.join(" ")
    }

    /// The path of its host key on the node.
    pub fn host_key_file(&self) -> String {
        format!("{FOLDER}/host")
    }

    /// Makes these lines all that lets a user in, as authorized_keys(5) has them.
    pub fn authorize(&self, user: &str, lines: &str) {
        self.node
            .write(format!("{FOLDER}/keys/{user}"), format!("{lines}\n"));
    }

    /// A user of the node, with this login shell and no password.
    pub fn user(&self, name: &str, shell: &str) {
        let words = ["useradd", "-m", "-p", "*", "-s", shell, name];
        self.node.command(words).ok();
    }

    /// What it has written so far, the newest line first.
    pub fn log(&self) -> String {
        self.daemon.log_backwards(100)
    }
}
