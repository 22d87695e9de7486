//! From what the admin typed to a container: state directories first, then daemons, then /proc.

mod container;

pub use container::{Container, Pod, Runtime, Source, State, Witness};
