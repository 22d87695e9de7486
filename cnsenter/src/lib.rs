//! cnsenter: run a command in any running container on this node, with full privileges.
//!
//! One path serves every run: [`resolve`] finds the container, [`plan`] decides, [`enter`] does it,
//! [`supervise`] stays with the command to its end. [`session`] starts such runs for kpexec. ARCHITECTURE.md has the picture.

mod causes;
pub mod cli;
pub mod commands;
pub mod completion;
mod datagram;
pub mod enter;
pub mod error;
pub mod escape;
pub mod exit;
pub mod hostproc;
pub mod inspect;
pub mod link;
pub mod list;
pub mod pause;
pub mod plan;
pub mod request;
pub mod resolve;
pub mod run;
pub mod seal;
pub mod session;
pub mod spec;
mod stderr;
pub mod supervise;
pub mod sys;
pub mod trace;
