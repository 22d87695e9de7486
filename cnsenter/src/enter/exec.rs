//! Finding and executing the command, and saying what is wrong with it if that fails.

use std::ffi::{CString, OsStr, OsString};
use std::fs::{File, metadata};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::execve;

use super::message::{ExecFailure, ExecReason};
use crate::escape::escaped_start;
use crate::plan::Plan;
use crate::request::Namespace;

/// A command line in the form that execve(2) takes, made before anything is forked.
pub(super) struct CommandLine {
    candidates: Vec<CString>,
    argv: Vec<CString>,
    env: Vec<CString>,
    searched: Option<Vec<u8>>,
    on_node: bool,
}

impl CommandLine {
    /// A name with a slash is a path, any other is looked for in the command's own PATH; no name is
    /// in none. What holds a NUL, as nothing from a command line can, is cut short there.
    pub(super) fn new(plan: &Plan) -> Self {
        let name = plan.argv.first().map_or(&b""[..], |a| a.as_bytes());
        let (candidates, searched) = if name.contains(&b'/') {
            (vec![c_string(name)], None)
        } else {
            let dirs = plan.search_path.split(|b| *b == b':');
            let path = |dir: &[u8]| {
                let dir = if dir.is_empty() { b"." } else { dir };
                c_string(&[dir, b"/", name].concat())
            };
            let dirs = dirs.filter(|_| !name.is_empty());
            (dirs.map(path).collect(), Some(plan.search_path.clone()))
        };
        Self {
            candidates,
            argv: plan
                .argv
                .iter()
                .map(|a: &OsString| c_string(a.as_bytes()))
                .collect(),
            env: plan.env.iter().map(|e| c_string(e)).collect(),
            searched,
            on_node: !plan.joins(Namespace::Mount),
        }
    }

    /// Executes it. Returns only if that failed, as execvp(3) decides: what is found but may not
    /// be executed is passed over in a search, and told if nothing else is found.
    pub(super) fn exec(&self) -> ExecFailure {
        let mut denied = None;
        for candidate in &self.candidates {
            let Err(errno) = execve(candidate, &self.argv, &self.env);
            let path = as_path(candidate);
            match errno {
                Errno::ENOENT | Errno::ENOTDIR => {}
                Errno::EACCES if self.searched.is_some() => {
                    denied.get_or_insert((path, errno));
                }
                _ => return self.failure(path, errno),
            }
        }
        if let Some((path, errno)) = denied {
            return self.failure(path, errno);
        }
        // What is there and "not found" lacks its interpreter.
        if let Some(path) = self
            .candidates
            .iter()
            .map(as_path)
            .find(|path| path.symlink_metadata().is_ok())
        {
            return self.failure(path, Errno::ENOENT);
        }
        let command = self.argv.first().map(|a| escaped_start(a.as_bytes()));
        let reason = match &self.searched {
            Some(path) => ExecReason::NotInPath(escaped_start(path)),
            None => ExecReason::Missing,
        };
        ExecFailure {
            command: command.unwrap_or_default(),
            reason,
            on_node: self.on_node,
        }
    }

    fn failure(&self, path: &Path, errno: Errno) -> ExecFailure {
        ExecFailure {
            command: escaped_start(path.as_os_str().as_bytes()),
            reason: reason(path, errno),
            on_node: self.on_node,
        }
    }
}

fn c_string(bytes: &[u8]) -> CString {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    CString::new(&bytes[..end]).unwrap_or_default()
}

fn as_path(name: &CString) -> &Path {
    Path::new(OsStr::from_bytes(name.as_bytes()))
}

fn reason(path: &Path, errno: Errno) -> ExecReason {
    match errno {
        Errno::EACCES if metadata(path).is_ok_and(|m| m.is_dir()) => ExecReason::Directory,
        Errno::EACCES => ExecReason::Permission,
        Errno::ENOENT | Errno::ENOTDIR if metadata(path).is_err() => ExecReason::Missing,
        Errno::ENOENT | Errno::ENOEXEC | Errno::ELIBBAD => why_not(&head(path), errno),
        other => ExecReason::Other(other as i32),
    }
}

/// The beginning of the file, as far as it explains anything.
fn head(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let flags = nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY;
    if let Ok(file) = File::options().read(true).custom_flags(flags).open(path) {
        let _ = file.take(4096).read_to_end(&mut bytes);
    }
    bytes
}

/// Reads the reason off the file's first bytes (execve(2), elf(5)).
fn why_not(head: &[u8], errno: Errno) -> ExecReason {
    if let Some(line) = head.strip_prefix(b"#!") {
        let line = line.split(|b| *b == b'\n').next().unwrap_or_default();
        let line = line.trim_ascii();
        let interpreter = line
            .split(|b| matches!(b, b' ' | b'\t'))
            .next()
            .unwrap_or_default();
        return ExecReason::Interpreter(escaped_start(interpreter));
    }
    if !head.starts_with(b"\x7fELF") {
        return if errno == Errno::ENOEXEC {
            ExecReason::Format
        } else {
            ExecReason::Other(errno as i32)
        };
    }
    match (machine(head), machine_of_node()) {
        (Some(theirs), ours) if theirs != ours => {
            ExecReason::Architecture(machine_name(theirs), machine_name(ours))
        }
        _ => match loader(head) {
            Some(name) => ExecReason::Loader(escaped_start(name)),
            None => ExecReason::Other(errno as i32),
        },
    }
}

/// `e_machine` of an ELF header, in the byte order that it names.
fn machine(elf: &[u8]) -> Option<u16> {
    let bytes = [*elf.get(18)?, *elf.get(19)?];
    Some(if elf.get(5) == Some(&2) {
        u16::from_be_bytes(bytes)
    } else {
        u16::from_le_bytes(bytes)
    })
}

fn machine_of_node() -> u16 {
    if cfg!(target_arch = "x86_64") {
        62
    } else {
        183
    }
}

fn machine_name(machine: u16) -> String {
    let name = match machine {
        3 => "i386",
        8 => "mips",
        20 => "ppc",
        21 => "ppc64",
        22 => "s390x",
        40 => "arm",
        62 => "x86_64",
        183 => "aarch64",
        243 => "riscv",
        258 => "loongarch",
        other => return format!("machine {other}"),
    };
    name.to_owned()
}

/// The path in the first bytes that PT_INTERP would name: it is near the start in every real file.
fn loader(elf: &[u8]) -> Option<&[u8]> {
    let at = elf.windows(4).position(|w| w == b"/lib")?;
    elf[at..]
        .split(|b| *b == 0)
        .next()
        .filter(|name| name.len() < 256)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(machine: u16) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(64, 0);
        bytes[18..20].copy_from_slice(&machine.to_le_bytes());
        bytes
    }

    #[test]
    fn says_what_a_file_lacks() {
        let why = |head: &[u8]| why_not(head, Errno::ENOEXEC);
        assert_eq!(
            why(b"#! /bin/b\x1b -e\nx"),
            ExecReason::Interpreter("/bin/b\\x1b".into())
        );
        assert_eq!(why(b"echo hi\n"), ExecReason::Format);
        assert_eq!(why(b""), ExecReason::Format);
        let foreign = if machine_of_node() == 62 { 183 } else { 62 };
        assert!(matches!(why(&elf(foreign)), ExecReason::Architecture(..)));
        let mut dynamic = elf(machine_of_node());
        dynamic.extend(b"/lib64/ld-linux-x86-64.so.2\0rest");
        assert_eq!(
            why(&dynamic),
            ExecReason::Loader("/lib64/ld-linux-x86-64.so.2".into())
        );
        assert!(matches!(why(b"\x7fELF"), ExecReason::Other(_)));
    }
}
