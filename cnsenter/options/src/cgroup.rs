//! Where the command's processes are counted.

use serde::{Deserialize, Serialize};

/// `--cgroup`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub enum CgroupChoice {
    /// A group of the command's own, below cnsenter's: the container's limits do not hold.
    Own,
    /// The container's: its limits hold, for better or worse.
    Target,
}
