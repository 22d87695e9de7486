//! kpexec: run a command in any pod's container, with full privileges.
//!
//! [`target`] finds the container, [`agent`] the cnsenter on its node, [`transport`] the way there,
//! and [`session`] stays with the command to its end. [`admin`] installs nodepause and looks after it,
//! [`settings`] hold for every run.
//! ARCHITECTURE.md has the picture.

pub mod admin;
pub mod aftermath;
pub mod agent;
pub mod by_api;
pub mod cache;
pub mod cli;
pub mod cluster;
pub mod completion;
pub mod config;
pub mod ephemeral;
pub mod error;
pub mod fallback;
pub mod listing;
pub mod manifest;
pub mod over_ssh;
mod patient;
pub mod program;
pub mod report;
pub mod request;
pub mod run;
pub mod search;
pub mod session;
pub mod settings;
mod stderr;
pub mod target;
pub mod trace;
pub mod transport;
pub mod turns;
pub mod typed;
