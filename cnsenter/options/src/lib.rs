//! The options that cnsenter and kpexec have in common: the same words mean the same, whether a
//! command is run on the node or from afar.

mod cgroup;
mod error;
mod namespace;
mod run_args;
mod usage;
mod values;

pub use cgroup::CgroupChoice;
pub use error::Error;
pub use namespace::Namespace;
pub use run_args::{RunArgs, Variable};
pub use usage::told;
pub use values::{parse_duration, parse_size};
