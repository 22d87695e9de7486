//! Whatever becomes of the client, of cnsenter or of the words that they exchange: nothing is left
//! running, and nothing else is told than what happened.

use std::time::{Duration, Instant};

use cnsenter_protocol::{Control, FailureKind, Hello, SessionId, Stream, Target, frame};
use kpexec_tests::{Event, Node, SessionClient, Shop, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A command with all kinds of children.
const BROOD: &str = "sleep 4801 & (sleep 4802 &); setsid sleep 4803 & (setsid sh -c 'sleep 4804 & wait' &); \
                     trap '' TERM HUP; echo ready; while :; do sleep 4805; done";

fn brood(node: &Node) -> usize {
    let sleeps = ["4801", "4802", "4803", "4804", "4805"];
    sleeps
        .iter()
        .map(|time| node.find(&["sleep", time]).len())
        .sum()
}

#[test]
fn nothing_survives_the_end_of_the_stream() {
    let shop = Shop::open();
    let before = shop.node.snapshot();
    for terminal in [false, true] {
        let mut request = shop.request(&["sh", "-c", BROOD]);
        request.tty = terminal.then(Default::default);
        request.cgroup = terminal.then_some(cnsenter_protocol::CgroupChoice::Target);
        let mut client = SessionClient::start(&shop.node, &request);
        client.wait_for(1, "ready");
        eventually("all live", || brood(&shop.node) == 5);
        client.close();
        assert_eq!(client.wait_end(), 125);
        assert_eq!(brood(&shop.node), 0);
        before.assert_same(&shop.node);
    }
}

#[test]
fn nothing_survives_a_kill_of_cnsenter() {
    let shop = Shop::open();
    let before = shop.node.snapshot();
    let mut client = shop.sh(BROOD);
    client.wait_for(1, "ready");
    eventually("all live", || brood(&shop.node) == 5);
    send(client.pid(), Signal::SIGKILL);
    before.assert_same(&shop.node);

    // And of all processes but the guard, as when the runtime ends an exec.
    let mut client = shop.sh(BROOD);
    client.wait_for(1, "ready");
    eventually("all live", || brood(&shop.node) == 5);
    shop.node.command(["pkill", "-KILL", "-x", "cnsenter"]).ok();
    before.assert_same(&shop.node);
}

/// The process that runs the command is killed, the one that serves lives to tell.
#[test]
fn a_command_that_is_lost_is_told_as_lost() {
    let shop = Shop::open();
    let before = shop.node.snapshot();
    let mut client = shop.sh(BROOD);
    client.wait_for(1, "ready");
    let pid = client.pid().to_string();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    send(children.trim().parse().unwrap(), Signal::SIGKILL);
    let ending = client.wait(1);
    assert_eq!(ending.failure().kind, FailureKind::Lost, "{ending:?}");
    assert_eq!(client.wait_end(), 0);
    before.assert_same(&shop.node);
}

#[test]
fn a_client_that_does_not_take_what_comes_is_gone_as_well() {
    let shop = Shop::open();
    let before = shop.node.snapshot();
    // Nobody reads the stream: cnsenter's write would wait for ever.
    let mut request = shop.request(&["sh", "-c", "yes & sleep 4801"]);
    request.lease = Some(Duration::from_secs(60));
    let words = request.encode().unwrap().words;
    let mut command = shop.node.cnsenter(&words).command();
    let pipe = std::process::Stdio::piped;
    let mut child = command.stdin(pipe()).stdout(pipe()).spawn().unwrap();
    eventually("it runs", || brood(&shop.node) == 1);
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(125));
    before.assert_same(&shop.node);
}

#[test]
fn a_silent_client_is_gone_after_its_lease() {
    let shop = Shop::open();
    let before = shop.node.snapshot();
    let mut request = shop.request(&["sh", "-c", BROOD]);
    request.lease = Some(Duration::from_secs(2));
    let mut client = SessionClient::start(&shop.node, &request);
    client.wait_for(1, "ready");
    // Pings keep it alive for longer than that.
    let until = Instant::now() + Duration::from_secs(4);
    let mut number = 0;
    while Instant::now() < until {
        number += 1;
        client.send(0, &Control::Ping(number));
        assert_eq!(
            client.next_event(),
            Event::Control(0, Control::Pong(number))
        );
    }
    assert_eq!(brood(&shop.node), 5);
    assert_eq!(client.wait_end(), 125);
    before.assert_same(&shop.node);
}

#[test]
fn a_hold_outlives_the_lease() {
    let shop = Shop::open();
    let mut request = shop.request(&["sleep", "4801"]);
    request.lease = Some(Duration::from_secs(1));
    let mut client = SessionClient::start(&shop.node, &request);
    client.wait_started(1);
    let start = Instant::now();
    client.send(0, &Control::Hold(Duration::from_secs(4)));
    assert_eq!(client.wait_end(), 125);
    let held = start.elapsed();
    assert!(held >= Duration::from_secs(4), "{held:?}");
    eventually("it is gone", || brood(&shop.node) == 0);
}

#[test]
fn an_ack_before_the_end_kills_the_command() {
    let shop = Shop::open();
    let before = shop.node.snapshot();
    let mut client = shop.sh(BROOD);
    client.wait_for(1, "ready");
    client.send(1, &Control::Ack);
    assert_eq!(client.wait_end(), 0);
    assert_eq!(brood(&shop.node), 0);
    before.assert_same(&shop.node);
}

/// Two targets on one stream, and a third that its command line does not name.
#[test]
fn a_stream_serves_the_targets_of_its_command_line() {
    let shop = Shop::open();
    let before = shop.node.snapshot();
    let mut request = shop.request(&["sh", "-c", "hostname; cat"]);
    request.targets.push(shop.db());
    request.stdin = true;
    let words = request.encode().unwrap().words;
    let mut client = SessionClient::with_words(&shop.node, &words);
    for session in [2, 1] {
        client.send(session, &Control::Request(vec![]));
    }
    client.wait_for(1, "web\n");
    client.wait_for(2, "db\n");
    // One that nobody reads does not hold up the other.
    client.write(2, b"to db");
    client.write(1, b"to web");
    client.end(1, Stream::Stdin);
    assert_eq!(client.wait(1).out(), "web\nto web");
    client.end(2, Stream::Stdin);
    assert_eq!(client.wait(2).out(), "db\nto db");
    assert_eq!(client.wait_end(), 0);

    let mut client = SessionClient::with_words(&shop.node, &words);
    client.send(1, &Control::Request(vec![]));
    client.wait_for(1, "web\n");
    client.send(3, &Control::Request(vec![]));
    let failure = client.wait_failure();
    assert_eq!(failure.kind, FailureKind::Protocol);
    assert!(
        failure
            .message
            .contains("names no such target for session 3"),
        "{failure:?}"
    );
    client.close();
    assert_eq!(client.wait_end(), 125);
    before.assert_same(&shop.node);
}

#[test]
fn a_slow_session_does_not_hold_up_another() {
    let shop = Shop::open();
    let mut request = shop.request(&[
        "sh",
        "-c",
        "hostname; [ $(hostname) = web ] && exec yes; exit 5",
    ]);
    request.targets.push(shop.db());
    let mut client = SessionClient::with_words(&shop.node, &request.encode().unwrap().words);
    client.gives_credit = false;
    client.send(1, &Control::Request(vec![]));
    let mut bytes = 0;
    while bytes < 1 << 20 {
        if let Event::Data { bytes: more, .. } = client.next_event() {
            bytes += more.len();
        }
    }
    client.send(2, &Control::Request(vec![]));
    let ending = client.wait(2);
    assert_eq!((ending.out().as_str(), ending.code()), ("db\n", 5));
}

/// What the words say has to be what the runtime says of that ID.
#[test]
fn the_container_has_to_be_the_pods() {
    let shop = Shop::open();
    let refused = |change: &dyn Fn(&mut Target), words: &[&str]| {
        let mut request = shop.request(&["sleep", "4801"]);
        change(&mut request.targets[0]);
        let ending = SessionClient::start(&shop.node, &request).wait(1);
        let failure = ending.failure();
        assert_eq!((failure.kind, failure.code), (FailureKind::Enter, 125));
        for word in words {
            assert!(failure.message.contains(word), "{word}: {failure:?}");
        }
        assert_eq!(brood(&shop.node), 0);
    };
    let db = shop.db();
    let elsewhere = ["is shop/web/app", "nothing was run", "look it up again"];
    refused(&|t| t.namespace = "office".into(), &elsewhere);
    refused(&|t| t.pod = "db".into(), &elsewhere);
    refused(&|t| t.uid.clone_from(&db.uid), &elsewhere);
    refused(&|t| t.container = Some("db".into()), &elsewhere);
    refused(
        &|t| t.container_id.clone_from(&db.container_id),
        &["is shop/db/db", "not shop/web/app"],
    );
    let short = |t: &mut Target| {
        let id = t.container_id.as_mut().unwrap();
        id.truncate("containerd://".len() + 12);
    };
    refused(&short, &["is shop/web/app", "with ID"]);
    refused(
        &|t| t.container_id = Some("cri-o://0123".into()),
        &["no container"],
    );
    // Without an ID, by the pod; its UID has to agree all the same.
    let by_pod = |t: &mut Target| {
        t.container_id = None;
        t.uid.clone_from(&db.uid);
    };
    refused(&by_pod, &elsewhere);

    for change in [
        (|t| t.container_id = None) as fn(&mut Target),
        |t| t.uid = None,
        |t| (t.container, t.container_id) = (None, None),
    ] {
        let mut request = shop.request(&["hostname"]);
        change(&mut request.targets[0]);
        assert_eq!(
            SessionClient::start(&shop.node, &request).wait(1).out(),
            "web\n"
        );
    }
}

#[test]
fn only_what_the_words_announce_is_run() {
    let shop = Shop::open();
    let mut request = shop.request(&["sleep", "4801"]);
    request.env = vec![(b"A".to_vec(), b"b".to_vec())];
    let encoded = request.encode().unwrap();
    let refused = |payload: Vec<u8>, words: &str| {
        let mut client = SessionClient::with_words(&shop.node, &encoded.words);
        client.send(1, &Control::Request(payload));
        let failure = client.wait_failure();
        assert_eq!((failure.kind, failure.code), (FailureKind::Request, 125));
        assert!(failure.message.contains(words), "{failure:?}");
        client.close();
        assert_eq!(client.wait_end(), 125);
    };
    let mut other = request.clone();
    other.env[0].1 = b"c".to_vec();
    refused(other.encode().unwrap().supplement.unwrap(), "SHA-256");
    refused(vec![], "missing");
    assert_eq!(brood(&shop.node), 0);
}

#[test]
fn other_versions_and_unknown_words_are_answered_in_frames() {
    let shop = Shop::open();
    let words = shop.request(&["sleep", "4801"]).encode().unwrap().words;
    let changed = |at: usize, word: &str| {
        let mut words = words.clone();
        words[at] = word.to_owned();
        words
    };
    for (words, said) in [
        (changed(1, "7"), "protocol 7; this is protocol 1"),
        (changed(1, "0"), "protocol 0; this is protocol 1"),
        (changed(4, "--frobnicate=1"), "\"--frobnicate\""),
        // What a container holds is not to pass for the node's own state.
        (changed(4, "--host-root=/proc/1/root"), "\"--host-root\""),
        (
            changed(4, "--runtime-endpoint=/s"),
            "\"--runtime-endpoint\"",
        ),
        (changed(3, "root"), "\"root\""),
        (changed(3, "netadmin"), "\"full\" only, not \"netadmin\""),
        (changed(2, "shop"), "\"shop\""),
        (words[..2].to_vec(), "names no target"),
    ] {
        let mut client = SessionClient::with_words(&shop.node, &words);
        let failure = client.wait_failure();
        assert_eq!((failure.kind, failure.code), (FailureKind::Request, 125));
        assert!(failure.message.contains(said), "{words:?}: {failure:?}");
        client.close();
        assert_eq!(client.wait_end(), 125);
    }
    assert_eq!(brood(&shop.node), 0);
}

#[test]
fn a_broken_protocol_ends_everything_with_a_reason() {
    let shop = Shop::open();
    let before = shop.node.snapshot();
    let control = |message: &Control, session| {
        let mut wire = Vec::new();
        message.put(&mut wire, SessionId(session));
        wire
    };
    let data = |session, stream, bytes: &[u8]| {
        let mut wire = Vec::new();
        frame::put_data(&mut wire, SessionId(session), stream, bytes);
        wire
    };
    let hello = Control::Hello(Hello {
        oldest: 1,
        newest: 1,
        version: String::new(),
    });
    let credit = Control::Credit {
        stream: Stream::Stdout,
        bytes: 1 << 30,
    };
    let two_ends = || {
        let mut wire = Vec::new();
        frame::put_end(&mut wire, SessionId(1), Stream::Stdin);
        wire.repeat(2)
    };
    for (wire, said) in [
        (
            vec![0x7f, 0, 0, 1, 0xff, 0xff, 0xff, 0xff],
            "4294967295 bytes long",
        ),
        (vec![9, 0, 0, 1, 0, 0, 0, 1], "unknown kind 9"),
        (vec![1, 2, 0, 1, 0, 0, 0, 1, 0], "flags"),
        (
            vec![0x15, 0, 0, 0, 0, 0, 0, 1, 1],
            "a Ping frame cannot be read: it is cut short",
        ),
        (control(&hello, 0), "a Hello that has no place"),
        (
            control(&Control::Started { pid: 1 }, 1),
            "a Started that has no place",
        ),
        (
            control(&Control::Ping(1), 1),
            "a Ping that has no place for session 1",
        ),
        (control(&Control::Ack, 0), "an Ack"),
        (control(&Control::Ack, 9), "session 9"),
        (control(&Control::Request(vec![]), 1), "a second Request"),
        (control(&credit, 1), "more credit came"),
        (
            data(2, Stream::Stdin, b"x"),
            "data of stdin that has no place for session 2",
        ),
        (
            data(1, Stream::Stdout, b"x"),
            "data of stdout that has no place",
        ),
        // More than the largest window and the pipes to the command can hold.
        (data(1, Stream::Stdin, &vec![0; 32 << 20]), "more data came"),
        (two_ends(), "data of stdin that has no place"),
    ] {
        let mut request = shop.request(&["sh", "-c", "echo ready; exec sleep 4801"]);
        request.stdin = true;
        let mut client = SessionClient::start(&shop.node, &request);
        client.wait_for(1, "ready");
        client.send_raw(&wire);
        let failure = client.wait_failure();
        assert_eq!(
            (failure.kind, failure.code),
            (FailureKind::Protocol, 125),
            "{failure:?}"
        );
        let said = said.trim_start_matches("an ");
        assert!(failure.message.contains(said), "{said}: {failure:?}");
        eventually("the command is gone", || brood(&shop.node) == 0);
        client.close();
        assert_eq!(client.wait_end(), 125);
    }
    before.assert_same(&shop.node);
}

#[test]
fn later_versions_may_say_more() {
    let shop = Shop::open();
    let mut client = shop.sh("echo ready; sleep 0.2; exit 6");
    client.send_raw(&[0x7f, 0, 0, 1, 0, 0, 0, 3, 1, 2, 3]);
    assert_eq!(client.wait(1).code(), 6);
}

fn send(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.try_into().unwrap()), signal).unwrap();
}
