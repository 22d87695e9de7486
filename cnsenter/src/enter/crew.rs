//! What one attempt to start a command has made, and its end.

use std::io;
use std::os::fd::AsFd;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::cgroup::Placement;
use super::guard::Guard;
use crate::supervise::Restorer;

/// The processes and the cgroup of one attempt, ended together unless all goes well.
#[derive(Debug)]
pub(super) struct Crew {
    pub(super) placement: Placement,
    /// Puts the operator's terminal back, if there is one.
    pub(super) restorer: Option<Restorer>,
    pub(super) guard: Option<Guard>,
    pub(super) intermediate: Option<Pid>,
    pub(super) command: Option<Pid>,
}

impl Crew {
    pub(super) fn post_guard(&mut self) -> io::Result<()> {
        let outside = self.placement.outside.as_ref().map(AsFd::as_fd);
        let guard = Guard::post(&self.placement.sites(), self.restorer.as_ref(), outside)?;
        self.guard = Some(guard);
        Ok(())
    }

    pub(super) fn dismiss(&mut self) -> io::Result<()> {
        let removed = self.placement.remove();
        // Not before: whoever kills us now leaves no cgroup behind.
        if let Some(guard) = self.guard.take() {
            guard.dismiss();
        }
        removed
    }

    /// It ends as soon as it has forked the command.
    pub(super) fn reap_intermediate(&mut self) {
        if let Some(pid) = self.intermediate.take() {
            let _ = waitpid(pid, Some(WaitPidFlag::__WALL));
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        if let Some(leaf) = &self.placement.leaf {
            let _ = leaf.kill();
        }
        for pid in [self.intermediate.take(), self.command.take()]
            .into_iter()
            .flatten()
        {
            end(pid);
        }
        let _ = self.dismiss();
        // Last, the guard being gone: a command that was killed before it could tell its PID.
        let any = Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG);
        while waitpid(None, any).is_ok_and(|status| status != WaitStatus::StillAlive) {}
    }
}

/// Ends a process, unless somebody has waited for its end: that number may be another process' by now.
fn end(pid: Pid) {
    let now = Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG);
    if waitpid(pid, now) == Ok(WaitStatus::StillAlive) {
        let _ = kill(pid, Signal::SIGKILL);
        let _ = waitpid(pid, Some(WaitPidFlag::__WALL));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn nobody_elses_process_is_ended() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "sleep 60 >/dev/null 2>&1 & echo $!"]);
        let output = shell.stdin(Stdio::null()).output().unwrap();
        let theirs = String::from_utf8(output.stdout).unwrap();
        let theirs = Pid::from_raw(theirs.trim().parse().unwrap());
        end(theirs);
        // Long enough for it to be gone; of a zombie there is no program.
        std::thread::sleep(std::time::Duration::from_millis(200));
        assert!(std::fs::read_link(format!("/proc/{theirs}/exe")).is_ok());
        kill(theirs, Signal::SIGKILL).unwrap();

        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let ours = Pid::from_raw(i32::try_from(child.id()).unwrap());
        end(ours);
        assert!(child.wait().is_err());
    }
}
