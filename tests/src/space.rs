//! Which container a command is in, told by its mount namespace: `mnt:[4026532345]`.

use crate::{Cmd, Container, Node};

/// Has cnsenter enter `target`, with these flags, and say which mount namespace that is. Only
/// `/bin/busybox` is needed there.
pub fn say_space(node: &Node, flags: &[&str], target: &str) -> Cmd {
    let command = ["--", "/bin/busybox", "readlink", "/proc/self/ns/mnt"];
    let words = flags.iter().copied().chain([target]).chain(command);
    node.cnsenter(words)
}

/// What it says in this container.
///
/// # Panics
/// If the container has ended.
pub fn space_of(node: &Node, container: &Container) -> String {
    let link = node.path(format!("/proc/{}/ns/mnt", container.pid));
    let space = std::fs::read_link(&link);
    let space = space.unwrap_or_else(|error| panic!("{}: {error}", link.display()));
    space.display().to_string()
}
