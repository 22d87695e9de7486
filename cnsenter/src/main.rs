//! `cnsenter`: run a command in a container on this node.

fn main() {}
