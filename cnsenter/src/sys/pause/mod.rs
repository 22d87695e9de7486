//! The init of nodepause's pod, as a small program of its own and as a function.

mod init;

pub use init::{DOOR, block_signals, reap_until_terminated};

/// The program of `main.rs`, a static ELF executable for the target that cnsenter is built for.
pub static PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/pause"));
