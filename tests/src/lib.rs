//! The test harness: real container runtimes on a node made of namespaces.
//!
//! A [`Node`] is a machine of its own as far as a runtime can tell: its own processes, mounts,
//! network, host name and cgroups. Runtimes are started in it, containers are run, and commands
//! are run beside them as an admin who is logged in would run them. When the `Node` is dropped,
//! or the test process is killed, everything that was ever started in it is gone.
//!
//! ```no_run
//! use kpexec_tests::{ContainerSpec, Kind, Node};
//!
//! let node = Node::start();
//! let runtime = Kind::Containerd16.start(&node);
//! let container = runtime.run(&ContainerSpec::sleeper("web").uid(1000).drop_all_caps());
//!
//! let ours = node.cnsenter([container.id.as_str(), "--", "id", "-u"]).run();
//! let theirs = runtime.exec(&container, &["id", "-u"]).run();
//! assert_eq!(ours.code, theirs.code);
//!
//! let mut terminal = node.cnsenter(["-it", &container.id, "--", "sh"]).pty();
//! terminal.write("tty; exit 3\r");
//! terminal.wait_for("/dev/pts/");
//! assert_eq!(terminal.wait(), 3);
//! ```

pub mod cache;
pub mod cluster;
mod command;
mod each_runtime;
mod image;
mod leaks;
mod live;
pub mod node;
mod program;
mod pty;
mod refusal;
mod runtime;
mod session;
mod shop;
mod space;
pub mod ssh;
mod stage;
mod vm;

pub use cache::Cache;
pub use cluster::{Cluster, ClusterSpec};
pub use command::{Cmd, Output};
pub use image::Image;
pub use leaks::{Snapshot, open_files};
pub use live::Live;
pub use node::Node;
pub use pty::Pty;
pub use runtime::{
    Container, ContainerSpec, Containerd, Cri, Daemon, Engine, Kind, Oci, Pod, Runtime,
};
pub use session::{Ending, Event, SessionClient, hello_of};
pub use shop::Shop;
pub use space::{say_space, space_of};
pub use ssh::SshBed;
pub use stage::{Stage, eventually};
pub use vm::{Kernel, Vm};
