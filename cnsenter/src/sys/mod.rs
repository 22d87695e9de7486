//! The only unsafe code: small, typed wrappers of system calls that no crate offers safely.

pub mod ns;
pub mod pause;
