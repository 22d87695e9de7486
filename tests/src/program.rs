//! Small C programs that tests bring along: attackers, and a kernel that knows less.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, id};

use sha2::{Digest, Sha256};

use crate::Cache;

/// A static program.
const PROGRAM: &[&str] = &["-static"];

/// A library without dependencies.
const LIBRARY: &[&str] = &["-shared", "-fPIC", "-nostdlib"];

/// Builds `tests/programs/NAME.c`, once for each version of it, and gives the static program.
pub(crate) fn build(name: &str) -> PathBuf {
    compile(name, PROGRAM)
}

/// As [`build`], for a shared library.
pub(crate) fn build_library(name: &str) -> PathBuf {
    compile(name, LIBRARY)
}

fn compile(name: &str, kind: &[&str]) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs");
    let source = folder.join(format!("{name}.c"));
    let text = fs::read(&source).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
    let digest = Sha256::digest(text);
    let version: String = digest[..6]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let folder = Cache::here().folder("programs");
    let program = folder.join(format!("{name}-{version}"));
    if !program.exists() {
        // Tests run side by side; whoever is last wins.
        let begun = folder.join(format!(
            "{name}-{version}.{}.{:?}",
            id(),
            std::thread::current().id()
        ));
        let built = Command::new("musl-gcc")
            .args(kind)
            .args(["-O1", "-Wall", "-Werror", "-o"])
            .args([&begun, &source])
            .status();
        let built = built.expect("musl-gcc is there: run `make setup`");
        assert!(built.success(), "{} does not compile", source.display());
        fs::rename(&begun, &program).expect("a program can be renamed");
    }
    program
}
