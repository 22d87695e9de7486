//! The network between the machines of a cluster: a bridge on the first of them, and nothing of it
//! on the host.

use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};

use crate::Node;

/// All addresses are below this one; clusters side by side do not see each other.
const PREFIX: [u8; 3] = [10, 77, 0];

/// A bridge, and how many machines are on it.
#[derive(Debug)]
pub struct Network {
    bridge: Node,
    machines: AtomicU8,
}

impl Network {
    /// A network of one machine.
    pub fn on(bridge: &Node) -> Self {
        let network = Self {
            bridge: bridge.clone(),
            machines: AtomicU8::new(1),
        };
        let script = format!(
            "link add cluster type bridge
             addr add {}/24 dev cluster
             link set cluster up",
            network.gateway()
        );
        configure(bridge, &script);
        network
    }

    /// The address of the first machine.
    pub fn gateway(&self) -> Ipv4Addr {
        address(1)
    }

    /// Plugs a machine in, and gives its address.
    pub fn attach(&self, node: &Node) -> Ipv4Addr {
        let number = self.machines.fetch_add(1, Ordering::Relaxed) + 1;
        let own = address(number);
        let port = port(own);
        let link = format!(
            "link add {port} type veth peer name eth0 netns {}
             link set {port} master cluster up",
            node.init()
        );
        configure(&self.bridge, &link);
        let script = format!(
            "addr add {own}/24 dev eth0
             link set eth0 up
             route add default via {}",
            self.gateway()
        );
        configure(node, &script);
        own
    }

    /// Drops every packet of the machine of this address, without a word to anybody.
    pub fn cut(&self, address: Ipv4Addr) {
        configure(
            &self.bridge,
            &format!("link set {} nomaster", port(address)),
        );
    }

    /// Lets packets pass again.
    pub fn mend(&self, address: Ipv4Addr) {
        configure(
            &self.bridge,
            &format!("link set {} master cluster", port(address)),
        );
    }
}

/// The bridge's end of a machine's cable.
fn port(address: Ipv4Addr) -> String {
    format!("port{}", address.octets()[3])
}

fn address(number: u8) -> Ipv4Addr {
    let [a, b, c] = PREFIX;
    Ipv4Addr::new(a, b, c, number)
}

/// Runs lines of ip(8) in the node's network, but among the host's processes: a peer's network is
/// named by the process ID of its init.
fn configure(node: &Node, script: &str) {
    let network = format!("--net=/proc/{}/ns/net", node.init());
    let mut ip = Command::new("nsenter")
        .args([&network, "ip", "-batch", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("nsenter starts");
    let mut input = ip.stdin.take().expect("it was asked for");
    std::io::Write::write_all(&mut input, script.as_bytes()).expect("ip reads its lines");
    drop(input);
    let status = ip.wait().expect("a child can be waited for");
    assert!(status.success(), "the network of {}: {script}", node.name());
}
