//! What a host asks besides keys, on a terminal: PAM's questions, second factors, passwords last of all.

use kpexec_tests::ssh::Sshd;
use kpexec_tests::{Cmd, Pty, SshBed};

/// A bed whose sshd has these lines, and the user pat with a password.
struct Door {
    bed: SshBed,
    _sshd: Sshd,
}

impl Door {
    fn with(lines: &str) -> Self {
        let bed = SshBed::new();
        bed.sshd.daemon.kill();
        let node = &bed.shop.node;
        node.write(
            "/etc/pam.d/sshd",
            "auth required pam_unix.so\naccount required pam_permit.so\n\
             session required pam_permit.so\n",
        );
        let sshd = Sshd::with(node, lines);
        sshd.user("pat", "/bin/sh");
        bed.may_sudo("pat");
        node.command(["chpasswd"]).stdin("pat:let me in\n").ok();
        Self { bed, _sshd: sshd }
    }

    fn run(&self) -> Cmd {
        self.bed.kpexec_as("pat", ["web", "--", "hostname"])
    }

    /// Answers, after this question has been asked so often and not been shown an answer.
    fn enters(&self, mut pty: Pty, question: &str) {
        pty.wait_for(question);
        pty.write("wrong\r");
        pty.wait_for(&format!("\r\n{question}"));
        pty.write("let me in\r");
        let shown = pty.wait_for("web\r\n");
        assert!(
            !shown.contains("let me in") && !shown.contains("wrong"),
            "{shown}"
        );
        assert_eq!(pty.wait(), 0);
        assert!(!pty.is_raw());
    }

    fn refuses(&self, told: &[&str]) {
        let output = self.run().run();
        assert_eq!((output.code, output.out().as_str()), (1, ""), "{output}");
        for part in told {
            assert!(output.err().contains(part), "no {part:?} in {output}");
        }
    }
}

#[test]
fn pams_questions_are_asked() {
    let door = Door::with("UsePAM yes\nKbdInteractiveAuthentication yes\n");
    // Nobody is there to answer.
    door.refuses(&["does not let pat in: tried ", "keyboard-interactive"]);
    door.enters(door.run().pty(), "Password: ");
    // Ctrl-C leaves the terminal as it was.
    let mut pty = door.run().pty();
    pty.wait_for("Password: ");
    pty.write("\x03");
    assert_eq!(pty.wait(), 130);
    assert!(!pty.is_raw());
}

#[test]
fn a_second_factor_comes_after_the_key() {
    let door = Door::with(
        "UsePAM yes\nKbdInteractiveAuthentication yes\n\
         AuthenticationMethods publickey,keyboard-interactive\n",
    );
    let key = kpexec_tests::ssh::public_key(&door.bed.laptop, kpexec_tests::ssh::KEY);
    door.bed.sshd.authorize("pat", &key);
    door.refuses(&[
        "does not let pat in: tried /root/.ssh/id_ed25519",
        "it takes keyboard-interactive",
    ]);
    door.enters(door.run().pty(), "Password: ");
}

/// The host says that it would ask, and has nothing to ask: its patience is left for the password.
#[test]
fn passwords_come_last() {
    let door = Door::with(
        "KbdInteractiveAuthentication yes\nPasswordAuthentication yes\nMaxAuthTries 4\n",
    );
    door.enters(door.run().pty(), "Password of pat on ");
}
