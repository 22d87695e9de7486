//! Runs a command in a node, as somebody who is logged in there would.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use nix::sched::{CloneFlags, setns};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::cgroups::Groups;

/// What is to be run in which node, as it is written on the helper's command line. Environment
/// and standard streams are handed on as they are.
pub(crate) struct Request {
    /// The file that names the node's cgroups.
    pub(crate) groups: PathBuf,
    /// The host's process ID of the node's init.
    pub(crate) init: u32,
    pub(crate) user: u32,
    pub(crate) group: u32,
    pub(crate) folder: String,
    pub(crate) argv: Vec<OsString>,
}

impl Request {
    pub(crate) fn to_arguments(&self) -> Vec<OsString> {
        let numbers = [self.init, self.user, self.group].map(|number| number.to_string().into());
        let mut arguments = vec!["enter".into(), self.groups.clone().into_os_string()];
        arguments.extend(numbers);
        arguments.push(self.folder.clone().into());
        arguments.extend_from_slice(&self.argv);
        arguments
    }

    /// Reads what [`Request::to_arguments`] wrote, the first word left out.
    pub(super) fn from_arguments(arguments: &[OsString]) -> Option<Self> {
        let [groups, init, user, group, folder, argv @ ..] = arguments else {
            return None;
        };
        let number = |text: &OsString| text.to_str()?.parse().ok();
        Some(Self {
            groups: groups.into(),
            init: number(init)?,
            user: number(user)?,
            group: number(group)?,
            folder: folder.to_str()?.to_owned(),
            argv: argv.to_vec(),
        })
    }
}

/// Runs the command and hands its exit code on; 128 and the signal's number if one killed it.
pub(super) fn enter(request: &Request) -> io::Result<ExitCode> {
    if ignores_signals()? {
        // The command is to be born without that: a signal may be sent to it at once.
        let mut reset = Command::new("env");
        reset.arg("--default-signal").arg(env::current_exe()?);
        return Err(reset.args(env::args_os().skip(1)).exec());
    }
    let init = i32::try_from(request.init).ok().and_then(Pid::from_raw);
    let init = init.ok_or_else(|| io::Error::other("0 is no process"))?;
    let node = pidfd_open(init, PidfdFlags::empty())?;
    Groups::load(&request.groups)?.join()?;
    setns(
        node,
        CloneFlags::CLONE_NEWCGROUP
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWUTS,
    )?;
    let Some((program, arguments)) = request.argv.split_first() else {
        return Err(io::Error::other("there is no command"));
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(Path::new(&request.folder));
    if (request.user, request.group) != (0, 0) {
        command.uid(request.user).gid(request.group);
    }
    let status = command.status().map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("run {} in the node: {error}", program.display()),
        )
    })?;
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    Ok(ExitCode::from(
        code.and_then(|code| u8::try_from(code).ok())
            .unwrap_or(u8::MAX),
    ))
}

/// Whether something is ignored that Rust does not reset by itself: tests that a shell script runs
/// in the background have it that way with INT and QUIT, an admin who logs in has not.
fn ignores_signals() -> io::Result<bool> {
    const PIPE: u64 = 1 << 12;
    const STANDARD: u64 = (1 << 31) - 1;
    let status = fs::read_to_string("/proc/self/status")?;
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|word| u64::from_str_radix(word.trim(), 16).ok());
    Ok(ignored.unwrap_or(0) & STANDARD & !PIPE != 0)
}
