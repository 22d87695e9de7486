//! Every byte arrives, in bounded memory, whoever is slow.

use cnsenter_protocol::{Request, Stream};
use kpexec_tests::{Event, SessionClient, Shop, eventually};
use sha2::{Digest, Sha256};

/// The bytes that go through, in a test of many.
const MUCH: usize = 256 << 20;

/// The most memory that cnsenter may have had, in KiB: its own, and the largest window.
const MOST: u64 = 24 << 10;

#[test]
fn all_that_is_written_arrives() {
    let shop = Shop::open();
    let count = MUCH.to_string();
    let script = format!("head -c {count} /dev/urandom | tee /tmp/sent; sha256sum </tmp/sent >&2");
    let mut client = shop.sh(&script);
    let mut digest = Sha256::new();
    let mut length = 0;
    let mut told = Vec::new();
    loop {
        match client.next_event() {
            Event::Data {
                stream: Stream::Stdout,
                bytes,
                ..
            } => {
                length += bytes.len();
                digest.update(&bytes);
            }
            Event::Data {
                stream: Stream::Stderr,
                bytes,
                ..
            } => told.extend(bytes),
            Event::Control(1, cnsenter_protocol::Control::Exit(exit)) => {
                assert_eq!(exit.code, 0);
                break;
            }
            _ => {}
        }
    }
    assert_eq!(length, MUCH);
    let told = String::from_utf8(told).unwrap();
    assert_eq!(hex(digest), told.split(' ').next().unwrap());
    assert!(peak(&client) < MOST, "{} KiB", peak(&client));
}

#[test]
fn all_that_is_read_arrives() {
    let shop = Shop::open();
    let mut client = with_stdin(&shop, "sha256sum");
    let mut digest = Sha256::new();
    let mut block = vec![0; 1 << 20];
    let mut state = 1_u32;
    block.iter_mut().for_each(|byte| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (state >> 24) as u8;
    });
    for number in 0..MUCH >> 20 {
        // No two blocks are the same.
        block[number] = block[number].wrapping_add(1);
        digest.update(&block);
        client.write(1, &block);
    }
    assert!(peak(&client) < MOST, "{} KiB", peak(&client));
    client.end(1, Stream::Stdin);
    let ending = client.wait(1);
    assert_eq!(hex(digest), ending.out().split(' ').next().unwrap());
}

#[test]
fn both_ways_at_once() {
    let shop = Shop::open();
    let mut client = with_stdin(&shop, "cat");
    let sent: Vec<u8> = (0..32 << 20_u32)
        .map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    client.write(1, &sent);
    client.end(1, Stream::Stdin);
    assert!(client.wait(1).stdout == sent);
}

#[test]
fn a_reader_that_gives_no_credit_stops_the_command_not_the_session() {
    let shop = Shop::open();
    let mut client = shop.sh("yes | tee /tmp/written | cat");
    client.gives_credit = false;
    let mut length = 0;
    while length < 1 << 20 {
        if let Event::Data { bytes, .. } = client.next_event() {
            length += bytes.len();
        }
    }
    // Answers come all the same, and nothing else.
    client.send(0, &cnsenter_protocol::Control::Ping(7));
    assert_eq!(
        client.next_event(),
        Event::Control(0, cnsenter_protocol::Control::Pong(7))
    );
    assert_eq!(length, 1 << 20);
    assert!(peak(&client) < MOST, "{} KiB", peak(&client));
    client.give_credit(1, Stream::Stdout, 5);
    assert!(matches!(client.next_event(), Event::Data { bytes, .. } if bytes.len() == 5));
}

/// The transport itself is not read: what is on its way is bounded, whatever is asked meanwhile.
#[test]
fn a_transport_that_nobody_reads_fills_no_memory() {
    let shop = Shop::open();
    let words = shop.request(&["yes"]).encode().unwrap().words;
    let mut command = shop.node.cnsenter(&words).command();
    let pipe = std::process::Stdio::piped;
    let mut child = command.stdin(pipe()).stdout(pipe()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    eventually("it runs", || shop.node.find(&["yes"]).len() == 1);
    let mut wire = Vec::new();
    for number in 0..200_000 {
        let ping = cnsenter_protocol::Control::Ping(number);
        ping.put(&mut wire, cnsenter_protocol::SessionId(0));
    }
    // All of it is read: nobody who floods waits for answers.
    std::io::Write::write_all(&mut stdin, &wire).unwrap();
    let helper = child.id();
    let children =
        std::fs::read_to_string(format!("/proc/{helper}/task/{helper}/children")).unwrap();
    let peak = high_water(children.trim());
    assert!(peak < MOST, "{peak} KiB");
    drop(stdin);
    child.wait().unwrap();
}

#[test]
fn a_command_that_does_not_read_holds_no_more_than_a_window() {
    let shop = Shop::open();
    let mut client = with_stdin(&shop, "echo ready; sleep 1000");
    client.wait_for(1, "ready");
    client.write(1, &vec![b'x'; 1 << 20]);
    // What the pipes hold, and the window: then there is no credit.
    client.send(0, &cnsenter_protocol::Control::Ping(7));
    assert_eq!(
        client.next_event(),
        Event::Control(0, cnsenter_protocol::Control::Pong(7))
    );
    assert!(peak(&client) < MOST, "{} KiB", peak(&client));
}

/// What was in the pipes when the command ended comes before Exit, however late it is asked for.
#[test]
fn the_tail_is_not_lost() {
    let shop = Shop::open();
    let mut client = shop.sh("head -c 3000000 /dev/zero & wait; echo; exit 9");
    client.gives_credit = false;
    let mut length = 0;
    while length < 1 << 20 {
        if let Event::Data { bytes, .. } = client.next_event() {
            length += bytes.len();
        }
    }
    client.gives_credit = true;
    client.give_credit(1, Stream::Stdout, 1 << 20);
    let ending = client.wait(1);
    assert_eq!(length + ending.stdout.len(), 3_000_001);
    assert_eq!(ending.code(), 9);
}

fn with_stdin(shop: &Shop, script: &str) -> SessionClient {
    let request = Request {
        stdin: true,
        ..shop.request(&["sh", "-c", script])
    };
    SessionClient::start(&shop.node, &request)
}

/// The most memory that the process that serves has had so far, in KiB.
fn peak(client: &SessionClient) -> u64 {
    high_water(&client.pid().to_string())
}

fn high_water(pid: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    line.split_ascii_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

fn hex(digest: Sha256) -> String {
    digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
