//! The only unsafe code: small, typed wrappers of system calls that no crate offers safely.

pub mod child;
pub mod image;
pub mod ns;
pub mod pause;
pub mod process;
pub mod pty;
pub mod signals;
pub mod stream;
#[cfg(test)]
pub(crate) mod testing;
pub mod tty;
