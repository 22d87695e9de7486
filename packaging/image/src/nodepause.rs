//! The image of the DaemonSet `nodepause`: cnsenter, and nothing else.

use std::io;

use serde_json::json;

use crate::{Archive, Layer};

/// The name that `deployments/nodepause.yaml` has it by. No registry is behind `localhost`: whoever
/// pushes the image somewhere names that place with kustomize.
pub const NAME: &str = concat!("localhost/kpexec/nodepause:", env!("CARGO_PKG_VERSION"));

/// Why no image was made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program is none of a Linux node's.
    #[error("no program for Linux on amd64 or arm64; build one with `make dist`")]
    Program,
    /// It needs an interpreter or libraries, which the image has not.
    #[error("not a static program; build one with `make dist`")]
    Dynamic,
    /// Writing to memory.
    #[error("write the archive")]
    Write(#[from] io::Error),
}

/// The image.
#[derive(Debug)]
pub struct Image {
    /// As the OCI spells it.
    pub architecture: &'static str,
    /// What is to be written to a file.
    pub archive: Vec<u8>,
}

/// Makes the image of a static cnsenter, for the architecture that it was built for.
///
/// # Errors
/// If it is not such a program.
pub fn image(cnsenter: &[u8]) -> Result<Image, Error> {
    let architecture = architecture(cnsenter).ok_or(Error::Program)?;
    if has_interpreter(cnsenter).ok_or(Error::Program)? {
        return Err(Error::Dynamic);
    }
    let mut layer = Layer::default();
    layer.file("cnsenter", 0o755, cnsenter)?;
    // Where the node's root is mounted.
    layer.folder("host", 0o755, 0)?;
    let archive = Archive {
        name: NAME,
        architecture,
        config: json!({
            "Env": ["PATH=/"],
            "Entrypoint": ["/cnsenter"],
            "Cmd": ["pause"],
            "Labels": {
                "org.opencontainers.image.title": "nodepause",
                "org.opencontainers.image.description": "cnsenter on every node, for kpexec",
                "org.opencontainers.image.version": env!("CARGO_PKG_VERSION"),
                "org.opencontainers.image.licenses": env!("CARGO_PKG_LICENSE"),
            },
        }),
        layer,
    };
    Ok(Image {
        architecture,
        archive: archive.into_bytes()?,
    })
}

/// The machine of a little-endian 64-bit ELF file (elf(5)), as the OCI spells it.
fn architecture(program: &[u8]) -> Option<&'static str> {
    const EM_X86_64: u16 = 62;
    const EM_AARCH64: u16 = 183;
    if !program.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    match u16::from_le_bytes(bytes(program, 18)?) {
        EM_X86_64 => Some("amd64"),
        EM_AARCH64 => Some("arm64"),
        _ => None,
    }
}

/// Whether a 64-bit ELF file has a PT_INTERP segment; nothing if its headers are cut off.
fn has_interpreter(program: &[u8]) -> Option<bool> {
    const PT_INTERP: u32 = 3;
    let table = usize::try_from(u64::from_le_bytes(bytes(program, 32)?)).ok()?;
    let size = usize::from(u16::from_le_bytes(bytes(program, 54)?));
    let count = usize::from(u16::from_le_bytes(bytes(program, 56)?));
    for index in 0..count {
        let kind = bytes(program, table.checked_add(index * size)?)?;
        if u32::from_le_bytes(kind) == PT_INTERP {
            return Some(true);
        }
    }
    Some(false)
}

fn bytes<const N: usize>(program: &[u8], at: usize) -> Option<[u8; N]> {
    program.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_of_another_kind_is_refused() {
        assert!(matches!(image(b"#!/bin/sh\n"), Err(Error::Program)));
        assert!(matches!(image(b"\x7fELF\x02\x01"), Err(Error::Program)));
    }

    #[test]
    fn a_dynamic_program_is_refused() {
        let ourselves = std::fs::read("/proc/self/exe").unwrap();
        // Tests are built for glibc, which is not linked statically.
        assert!(matches!(image(&ourselves), Err(Error::Dynamic)));
    }
}
