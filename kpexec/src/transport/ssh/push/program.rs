//! Which file is sent to a node, and whether it could run there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use object::elf::{EM_AARCH64, EM_X86_64, FileHeader64, PT_INTERP};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, FileKind};
use sha2::{Digest, Sha256};

use super::{Error, Push};

/// The most that is sent, in bytes; with all that helps to debug it, cnsenter has a third of it.
const MAX_SIZE: u64 = 96 << 20;

/// Where our packages have it, beside the folder that kpexec is in.
const FOLDERS: [&str; 2] = ["lib/kpexec", "sbin"];

/// A machine that cnsenter is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Machine {
    /// As `uname -m` has it.
    name: &'static str,
    /// As elf(5) has it.
    number: u16,
}

const MACHINES: [Machine; 2] = [
    Machine {
        name: "x86_64",
        number: EM_X86_64,
    },
    Machine {
        name: "aarch64",
        number: EM_AARCH64,
    },
];

/// A cnsenter that is fit for a node.
pub(super) struct Program {
    pub(super) path: PathBuf,
    pub(super) bytes: Bytes,
    /// Its SHA-256, as sha256sum(1) prints it.
    pub(super) sum: String,
}

impl Program {
    /// The one for a node of this machine, as its `uname -m` has it.
    ///
    /// # Errors
    /// When there is none, or it would not run there.
    pub(super) fn find(push: &Push, machine: &str, host: &str) -> Result<Self, Error> {
        let known = MACHINES.into_iter().find(|known| known.name == machine);
        let machine = known.ok_or_else(|| Error::Machine {
            host: host.to_owned(),
            machine: machine.to_owned(),
        })?;
        let places = places(push, machine);
        let mut unfit = None;
        for path in &places {
            let bytes = match read(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                read => read.map_err(|source| Error::Read {
                    path: path.clone(),
                    source,
                })?,
            };
            match check(&bytes, machine) {
                Ok(()) => return Ok(Self::new(path, bytes)),
                // The one for our own machine may be beside those for others.
                Err(why) => unfit = unfit.or(Some((path.clone(), why))),
            }
        }
        let host = host.to_owned();
        Err(match unfit {
            Some((path, why)) => Error::Unfit { host, path, why },
            None => Error::NoProgram {
                host,
                machine: machine.name.to_owned(),
                looked: places,
            },
        })
    }

    fn new(path: &Path, bytes: Vec<u8>) -> Self {
        let sum = Sha256::digest(&bytes);
        Self {
            path: path.to_owned(),
            sum: sum.iter().map(|byte| format!("{byte:02x}")).collect(),
            bytes: bytes.into(),
        }
    }
}

/// Where it may be, the best first.
fn places(push: &Push, machine: Machine) -> Vec<PathBuf> {
    let names = [format!("cnsenter-{}", machine.name), "cnsenter".to_owned()];
    let within = |folder: &Path| names.each_ref().map(|name| folder.join(name));
    match push {
        Push::Path(path) if path.is_dir() => within(path).into(),
        Push::Path(path) => vec![path.clone()],
        Push::Ours | Push::Never => {
            let exe = std::env::current_exe().and_then(fs::canonicalize);
            let exe = exe.unwrap_or_default();
            let mut above = exe.ancestors().skip(1);
            let beside = above.next().map(Path::to_owned);
            let prefix = above.next().into_iter();
            let packaged = prefix.flat_map(|prefix| FOLDERS.map(|name| prefix.join(name)));
            let folders = beside.into_iter().chain(packaged);
            folders.flat_map(|folder| within(&folder)).collect()
        }
    }
}

/// Whether there could be something to send, whatever the node's machine is.
///
/// # Errors
/// When there is nothing there.
pub(crate) fn look_at(path: &Path) -> Result<(), Error> {
    fs::metadata(path).map_err(|source| {
        let path = path.to_owned();
        Error::Read { path, source }
    })?;
    Ok(())
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let found = fs::metadata(path)?;
    match found.is_file() && found.len() <= MAX_SIZE {
        true => fs::read(path),
        false => Err(io::Error::other("it is no program")),
    }
}

/// Whether it runs on the machine with nothing but the kernel; else why not.
fn check(bytes: &[u8], machine: Machine) -> Result<(), String> {
    let no_program = || "it is no program for Linux".to_owned();
    match FileKind::parse(bytes) {
        Ok(FileKind::Elf64) => {}
        _ => return Err(no_program()),
    }
    let header = FileHeader64::<Endianness>::parse(bytes).map_err(|_| no_program())?;
    let endian = header.endian().map_err(|_| no_program())?;
    let number = header.e_machine(endian);
    if number != machine.number {
        let other = MACHINES.iter().find(|known| known.number == number);
        let other = other.map_or("another machine", |other| other.name);
        return Err(format!(
            "it is for {other}, and the node is {}",
            machine.name
        ));
    }
    let segments = header.program_headers(endian, bytes);
    let segments = segments.map_err(|_| no_program())?;
    match segments
        .iter()
        .any(|segment| segment.p_type(endian) == PT_INTERP)
    {
        true => Err("it is not static: it needs libraries, which the node may not have".to_owned()),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const X86_64: Machine = MACHINES[0];
    const AARCH64: Machine = MACHINES[1];

    /// The head of an ELF file with one segment of this kind.
    fn elf(machine: u16, segment: u32) -> Vec<u8> {
        const HEADER: u16 = 64;
        const SEGMENT: u16 = 56;
        let mut bytes = vec![0; usize::from(HEADER + SEGMENT)];
        bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        bytes[18..20].copy_from_slice(&machine.to_le_bytes());
        bytes[20..24].copy_from_slice(&1_u32.to_le_bytes());
        bytes[32..40].copy_from_slice(&u64::from(HEADER).to_le_bytes());
        bytes[54..56].copy_from_slice(&SEGMENT.to_le_bytes());
        bytes[56..58].copy_from_slice(&1_u16.to_le_bytes());
        bytes[64..68].copy_from_slice(&segment.to_le_bytes());
        bytes
    }

    const PT_LOAD: u32 = 1;

    #[test]
    fn what_would_not_run_is_refused() {
        assert_eq!(check(&elf(EM_X86_64, PT_LOAD), X86_64), Ok(()));
        assert_eq!(check(&elf(EM_AARCH64, PT_LOAD), AARCH64), Ok(()));
        let why = |bytes: &[u8]| check(bytes, X86_64).unwrap_err();
        assert_eq!(
            why(&elf(EM_AARCH64, PT_LOAD)),
            "it is for aarch64, and the node is x86_64"
        );
        assert!(why(&elf(EM_X86_64, PT_INTERP)).contains("not static"));
        let whole = elf(EM_X86_64, PT_LOAD);
        for end in [0, 4, 20, 64, 100] {
            assert!(why(&whole[..end]).contains("no program"), "{end}");
        }
        assert!(
            why(b"#!/bin/sh\necho I am a script, and one of some length at that\n")
                .contains("no program")
        );
    }

    #[test]
    fn a_folder_has_one_for_each_machine() {
        let folder = tempfile::tempdir().unwrap();
        let push = Push::Path(folder.path().to_owned());
        let find = |machine| Program::find(&push, machine, "n");
        let name = |machine| find(machine).map(|found| found.path);
        let told = |machine| name(machine).unwrap_err().to_string();
        assert!(told("x86_64").contains("there is no cnsenter for x86_64 to send to n"));
        let put = |name: &str, machine| {
            let path = folder.path().join(name);
            fs::write(&path, elf(machine, PT_LOAD)).unwrap();
            path
        };
        let ours = put("cnsenter", EM_X86_64);
        assert_eq!(name("x86_64").unwrap(), ours);
        assert!(told("aarch64").contains("it is for x86_64, and the node is aarch64"));
        let arm = put("cnsenter-aarch64", EM_AARCH64);
        assert_eq!(name("aarch64").unwrap(), arm);
        assert!(told("riscv64").contains("x86_64 and aarch64"));
    }
}
