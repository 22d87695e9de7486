//! Compiles the small program of `src/sys/pause` for the target that cnsenter itself is built for.
//!
//! It needs no other target, no linker of the system and no network: `core` of the same target and
//! the linker that comes with rustc are enough. RUSTFLAGS are not for it (a sanitizer or a std
//! option could not be met without std).

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

const SOURCES: &str = "src/sys/pause";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={SOURCES}");
    let program = PathBuf::from(variable("OUT_DIR")?).join("pause");
    let mut rustc = Command::new(variable("RUSTC")?);
    rustc
        .args(["--crate-name=pause", "--crate-type=bin", "--edition=2024"])
        .arg("--target")
        .arg(variable("TARGET")?)
        .args(["-Copt-level=z", "-Cpanic=abort", "-Cstrip=symbols"])
        // No position to choose at run time and no tables: the fewer pages, the less is resident.
        .args(["-Crelocation-model=static", "-Cforce-unwind-tables=no"])
        .args([
            "-Clinker=rust-lld",
            "-Clinker-flavor=ld.lld",
            "-Clink-self-contained=no",
        ])
        .arg("-Clink-arg=--build-id=none")
        .arg("-o")
        .args([program, PathBuf::from(SOURCES).join("main.rs")]);
    match rustc.status()?.success() {
        true => Ok(()),
        false => Err(format!("cannot compile {SOURCES}/main.rs with {rustc:?}").into()),
    }
}

fn variable(name: &str) -> Result<std::ffi::OsString, String> {
    std::env::var_os(name).ok_or_else(|| format!("cargo did not set {name}"))
}
