//! The exit codes of `cnsenter`, the same table as `kpexec`'s.

pub use cnsenter_protocol::exit::{
    CANNOT_ENTER, CONNECTION_LOST as LOST, NOT_EXECUTABLE, NOT_FOUND, TIMED_OUT, of_signal,
};
