//! Sockets where something else listens than a runtime, and who is asked at all.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use kpexec_tests::{ContainerSpec, Containerd, Cri, Kind, Node, Runtime, say_space, space_of};

const CONTAINERD: &str = "/run/containerd/containerd.sock";
const DOCKER: &str = "/run/docker.sock";
/// Longer than any daemon is waited for, and much shorter than for ever.
const BOUND: Duration = Duration::from_secs(20);

type Serve = fn(UnixStream);

/// What listens instead of a runtime, and what has to be said of it.
const IMPOSTORS: [(&str, Serve, &str); 5] = [
    (
        "silent",
        |stream| drain(&stream),
        "did not answer within 2 s",
    ),
    ("closes", drop, "does not speak its protocol"),
    ("garbage", garbage, "does not speak its protocol"),
    ("web server", web_server, "does not speak its protocol"),
    ("endless", endless, ""),
];

#[test]
fn no_containerd_behind_its_socket() {
    impostors(CONTAINERD, "containerd");
}

#[test]
fn no_docker_behind_its_socket() {
    impostors(DOCKER, "Docker");
}

#[test]
fn no_cri_runtime_behind_its_socket() {
    impostors("/run/crio/crio.sock", "the CRI runtime");
}

fn impostors(socket: &str, api: &str) {
    let node = Node::start();
    let crun = Kind::Crun.start(&node);
    let web = crun.run(&ContainerSpec::sleeper("web"));
    let told = format!("{api} at {socket} ");
    for (what, serve, warning) in IMPOSTORS {
        let _server = Server::start(&node, socket, serve);
        let begun = Instant::now();
        let said = say_space(&node, &[], "web").run();
        assert_eq!(said.quiet(), space_of(&node, &web), "{what}");
        let text = say_space(&node, &[], "nothing").run();
        let text = text.refused(&["no container \"nothing\"", &told, warning]);
        assert!(text.lines().next().unwrap().len() < 400, "{what}: {text}");
        let said = node.cnsenter(["ls"]).run();
        assert_eq!(said.code, 0, "{what}: {said}");
        assert!(said.out().contains("web"), "{what}: {said}");
        assert!(said.err().contains(&told), "{what}: {said}");
        let flag = format!("--runtime-endpoint={socket}");
        let said = node.cnsenter([&flag, "web", "--", "true"]).run();
        let words = [
            &format!("no container runtime answers at {socket}"),
            "leave --runtime-endpoint out",
        ];
        said.refused(&words);
        assert!(begun.elapsed() < BOUND, "{what}: {:?}", begun.elapsed());
    }
}

#[test]
fn sockets_where_nobody_listens() {
    let node = Node::start();
    // No socket at all, or one that nobody listens at.
    drop(UnixListener::bind(node.path("/run/stale.sock")).unwrap());
    node.write("/run/file.sock", "");
    for (path, why) in [
        ("/run/stale.sock", "refused"),
        ("/run/none.sock", "No such file"),
        ("/run/file.sock", "refused"),
        ("/run", ""),
    ] {
        let flag = format!("--runtime-endpoint={path}");
        let said = node.cnsenter([&flag, "web", "--", "true"]).run();
        said.refused(&[&format!("no container runtime answers at {path}"), why]);
    }
}

/// Two that hang are waited for at the same time: both have been called before the first is given
/// up.
#[test]
fn hung_daemons_are_waited_for_at_once() {
    let node = Node::start();
    let both = Arc::new(Barrier::new(2));
    let meet = move |stream: UnixStream| {
        // If they were asked one after the other, the second would never come.
        both.wait();
        drain(&stream);
    };
    let _first = Server::start(&node, CONTAINERD, meet.clone());
    let _second = Server::start(&node, DOCKER, meet);
    let text = say_space(&node, &[], "nothing")
        .run()
        .refused(&["no container"]);
    assert_eq!(
        text.matches("did not answer within 2 s").count(),
        2,
        "{text}"
    );
}

#[test]
fn a_full_id_asks_nobody() {
    let node = Node::start();
    let containerd = Containerd::v1(&node, "/usr/sbin/runc");
    let pod = Cri::connect(&node, CONTAINERD).run("shop", "cart", &[ContainerSpec::sleeper("web")]);
    containerd.daemon().unwrap().kill();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = {
        let asked = asked.clone();
        move |_| {
            asked.fetch_add(1, Ordering::SeqCst);
        }
    };
    let _servers = [
        CONTAINERD,
        DOCKER,
        "/run/crio/crio.sock",
        "/run/k3s/containerd/containerd.sock",
    ]
    .map(|socket| Server::start(&node, socket, count.clone()));
    let web = &pod.containers[0];
    for target in [
        &web.id,
        &format!("containerd://{}", web.id),
        &web.id[..12],
        "shop/cart/web",
    ] {
        assert_eq!(
            say_space(&node, &[], target).run().quiet(),
            space_of(&node, web)
        );
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    // They would have been counted.
    say_space(&node, &[], "nothing")
        .run()
        .refused(&["no container"]);
    assert!(asked.load(Ordering::SeqCst) >= 4, "{asked:?}");
}

/// Something that listens where a runtime should; it goes away when dropped.
struct Server {
    node: Node,
    socket: String,
}

impl Server {
    fn start(
        node: &Node,
        socket: &str,
        serve: impl Fn(UnixStream) + Clone + Send + 'static,
    ) -> Self {
        let path = node.path(socket);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(path).unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serve = serve.clone();
                thread::spawn(move || serve(stream));
            }
        });
        Self {
            node: node.clone(),
            socket: socket.to_owned(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.node.path(&self.socket));
    }
}

/// Reads until the other side hangs up.
fn drain(mut stream: &UnixStream) {
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).is_ok_and(|count| count > 0) {}
}

fn garbage(mut stream: UnixStream) {
    let bytes: Vec<u8> = (0..=255).cycle().skip(128).take(1 << 16).collect();
    let _ = stream.write_all(&bytes);
    drain(&stream);
}

fn web_server(mut stream: UnixStream) {
    let _ = stream.read(&mut [0; 4096]);
    let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno\n");
}

/// An answer in the right form that never ends.
fn endless(mut stream: UnixStream) {
    let _ = stream.read(&mut [0; 4096]);
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[");
    while stream.write_all(&[b' '; 1 << 16]).is_ok() {}
}
