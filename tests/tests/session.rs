//! `cnsenter session` over pipes, as kpexec's transports give it: commands in the containers of
//! real pods, their streams, signals and ends.

use cnsenter_protocol::credit::FIRST_WINDOW;
use cnsenter_protocol::{Control, FailureKind, Signal, Size, Stream, Tty};
use kpexec_tests::{Event, SessionClient, Shop, eventually};

#[test]
fn a_command_runs_and_tells_everything() {
    let shop = Shop::open();
    let before = shop.node.snapshot();
    let mut client = shop.sh("echo out; echo err >&2; hostname; exit 3");
    let ending = client.wait(1);
    assert_eq!(
        (ending.out().as_str(), ending.err().as_str()),
        ("out\nweb\n", "err\n")
    );
    assert_eq!(ending.code(), 3);
    assert_eq!(client.wait_end(), 0);
    assert_eq!(client.diagnostics(), "");
    before.assert_same(&shop.node);
}

#[test]
fn started_comes_first_and_the_ends_before_exit() {
    let shop = Shop::open();
    let mut client = shop.sh("echo x");
    let first = client.next_event();
    assert!(
        matches!(first, Event::Control(1, Control::Started { pid: 2.. })),
        "{first:?}"
    );
    let mut ended = Vec::new();
    loop {
        match client.next_event() {
            Event::Data { stream, end, .. } => ended.extend(end.then_some(stream)),
            Event::Control(1, Control::Exit(exit)) => {
                assert_eq!((exit.code, exit.signal, exit.timed_out), (0, None, false));
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    ended.sort_by_key(|stream| stream.name());
    assert_eq!(ended, [Stream::Stderr, Stream::Stdout]);
}

#[test]
fn what_a_command_line_cannot_hold_arrives() {
    let shop = Shop::open();
    let mut request = shop.request(&["sh", "-c", "printf '%s' \"$A:$1\"", "sh"]);
    let every_byte: Vec<u8> = (1..=255).collect();
    request.command.push(every_byte.clone());
    request.env = vec![(b"A".to_vec(), b"\xfesecret".to_vec())];
    let words = request.encode().unwrap().words.join(" ");
    assert!(!words.contains("secret"), "{words}");
    let ending = SessionClient::start(&shop.node, &request).wait(1);
    assert_eq!(
        ending.stdout,
        [b"\xfesecret:".as_slice(), &every_byte].concat()
    );

    let long = "x".repeat(100_000);
    let mut client = SessionClient::start(
        &shop.node,
        &shop.request(&["sh", "-c", "printf %s \"$1\" | wc -c", "sh", &long]),
    );
    assert_eq!(client.wait(1).out().trim(), "100000");
}

#[test]
fn stdin_ends_by_itself() {
    let shop = Shop::open();
    let mut request = shop.request(&["sh", "-c", "cat; echo done"]);
    request.stdin = true;
    let mut client = SessionClient::start(&shop.node, &request);
    client.write(1, b"some words\n");
    client.wait_for(1, "some words");
    client.end(1, Stream::Stdin);
    let ending = client.wait(1);
    assert_eq!(
        (ending.out().as_str(), ending.code()),
        ("some words\ndone\n", 0)
    );

    // Without -i there is none.
    let mut client = shop.sh("readlink /proc/self/fd/0; cat");
    assert_eq!(client.wait(1).out(), "/dev/null\n");
}

/// kubectl exec prints 196608 here, and 0 as exit code.
#[test]
fn a_closed_stderr_closes_nothing_else() {
    let shop = Shop::open();
    let mut request = shop.request(&["sh", "-c", "exec wc -c 2>&-"]);
    request.stdin = true;
    let mut client = SessionClient::start(&shop.node, &request);
    client.write(1, &vec![b'x'; 8 << 20]);
    client.end(1, Stream::Stdin);
    let ending = client.wait(1);
    assert_eq!((ending.out().trim(), ending.code()), ("8388608", 0));
}

#[test]
fn whoever_does_not_read_any_more_is_told_of() {
    let shop = Shop::open();
    // The client's reader: `kpexec ... | head`.
    let mut client = SessionClient::start(&shop.node, &shop.request(&["yes"]));
    client.wait_for(1, "y\n");
    client.end(1, Stream::Stdout);
    let ending = client.wait(1);
    assert_eq!(
        (ending.code(), ending.result.unwrap().unwrap().signal),
        (141, Some(13))
    );

    // The command.
    let mut request = shop.request(&["sh", "-c", "exec 0<&-; sleep 1000"]);
    request.stdin = true;
    let mut client = SessionClient::start(&shop.node, &request);
    client.wait_started(1);
    let told = Event::Data {
        session: 1,
        stream: Stream::Stdin,
        bytes: vec![],
        end: true,
    };
    assert_eq!(client.next_event(), told);
    // What was on its way meanwhile does no harm.
    client.write(1, b"to nobody");
    client.send(1, &Control::Signal(Signal::Term));
    assert_eq!(client.wait(1).code(), 143);
}

#[test]
fn exit_codes_are_the_commands_own_or_say_why_there_is_none() {
    let shop = Shop::open();
    let exit = |script: &str| {
        let exit = shop.sh(script).wait(1).result.unwrap().unwrap();
        (exit.code, exit.signal)
    };
    assert_eq!(exit("exit 0"), (0, None));
    assert_eq!(exit("exit 255"), (255, None));
    assert_eq!(exit("exit 127"), (127, None));
    assert_eq!(exit("kill -KILL $$"), (137, Some(9)));
    assert_eq!(exit("exit 137"), (137, None));
    let failure = |command: &[&str]| {
        let failure = SessionClient::start(&shop.node, &shop.request(command))
            .wait(1)
            .failure()
            .clone();
        (failure.kind, failure.code, failure.message)
    };
    let (kind, code, message) = failure(&["nonsense"]);
    assert_eq!((kind, code), (FailureKind::Execute, 127), "{message}");
    assert!(message.contains("nonsense"), "{message}");
    let (kind, code, message) = failure(&["/etc"]);
    assert_eq!((kind, code), (FailureKind::Execute, 126), "{message}");
    let mut request = shop.request(&["true"]);
    request.user = Some("nobody-knows".into());
    let ending = SessionClient::start(&shop.node, &request).wait(1);
    let failure = ending.failure();
    assert_eq!(
        (failure.kind, failure.code),
        (FailureKind::Enter, 125),
        "{failure:?}"
    );
    assert!(failure.message.contains("nobody-knows"), "{failure:?}");
}

#[test]
fn a_timeout_is_told_as_one() {
    let shop = Shop::open();
    let mut request = shop.request(&["sleep", "1000"]);
    request.timeout = Some(std::time::Duration::from_millis(300));
    let exit = SessionClient::start(&shop.node, &request)
        .wait(1)
        .result
        .unwrap()
        .unwrap();
    assert_eq!((exit.code, exit.timed_out), (124, true));
}

#[test]
fn signals_reach_the_command() {
    let shop = Shop::open();
    let script = "trap 'echo usr1' USR1; trap 'echo term; exit 7' TERM; echo ready; \
                  while :; do sleep 0.01; done";
    let mut client = shop.sh(script);
    client.wait_for(1, "ready");
    client.send(1, &Control::Signal(Signal::Usr1));
    client.wait_for(1, "usr1");
    client.send(1, &Control::Signal(Signal::Term));
    let ending = client.wait(1);
    assert_eq!(ending.code(), 7);
    assert_eq!(ending.out(), "ready\nusr1\nterm\n");

    let mut client = SessionClient::start(&shop.node, &shop.request(&["sleep", "1000"]));
    client.wait_started(1);
    client.send(1, &Control::Signal(Signal::Int));
    let exit = client.wait(1).result.unwrap().unwrap();
    assert_eq!((exit.code, exit.signal), (130, Some(2)));
}

#[test]
fn a_signal_before_the_start_cancels_it_or_is_kept() {
    let shop = Shop::open();
    let before = shop.node.snapshot();
    // The Request frame and the signal are one write: the signal is there before the command is.
    let start = |script: &str, signal| {
        let mut request = shop.request(&["sh", "-c", script]);
        request.env = vec![(b"A".to_vec(), b"b".to_vec())];
        let encoded = request.encode().unwrap();
        let mut client = SessionClient::with_words(&shop.node, &encoded.words);
        let mut wire = Vec::new();
        let session = cnsenter_protocol::SessionId(1);
        Control::Request(encoded.supplement.unwrap()).put(&mut wire, session);
        Control::Signal(signal).put(&mut wire, session);
        client.send_raw(&wire);
        client.wait(1)
    };
    let ending = start("sleep 1000", Signal::Term);
    let failure = ending.failure();
    assert_eq!(
        (failure.kind, failure.code),
        (FailureKind::Enter, 143),
        "{failure:?}"
    );
    assert!(
        failure.message.contains("before the command was started"),
        "{failure:?}"
    );
    // USR1 ends a shell that does not expect it.
    let exit = start("sleep 1000", Signal::Usr1).result.unwrap().unwrap();
    assert_eq!(exit.signal, Some(10));
    before.assert_same(&shop.node);
}

#[test]
fn a_terminal_has_the_clients_size_from_the_start_and_follows_it() {
    let shop = Shop::open();
    let script = "tty; stty size; echo $TERM; trap 'stty size' WINCH; echo ready; \
                  while :; do sleep 0.01; done";
    let mut request = shop.request(&["sh", "-c", script]);
    request.stdin = true;
    request.tty = Some(Tty {
        term: Some("vt220".into()),
        size: Some(Size {
            rows: 33,
            columns: 101,
        }),
    });
    let mut client = SessionClient::start(&shop.node, &request);
    let out = client.wait_for(1, "ready\r\n");
    assert!(out.starts_with("/dev/pts/"), "{out}");
    assert!(out.ends_with("33 101\r\nvt220\r\nready\r\n"), "{out}");
    client.send(
        1,
        &Control::Resize(Size {
            rows: 5,
            columns: 6,
        }),
    );
    client.wait_for(1, "5 6");
    // Ctrl-C is a byte.
    client.write(1, b"\x03");
    let exit = client.wait(1).result.unwrap().unwrap();
    assert_eq!(exit.code, 130);
}

/// The command on a terminal of its own, with input.
fn in_terminal(shop: &Shop, command: &[&str]) -> SessionClient {
    let mut request = shop.request(command);
    request.stdin = true;
    request.tty = Some(Tty::default());
    SessionClient::start(&shop.node, &request)
}

#[test]
fn the_end_of_input_is_the_terminals_key() {
    let shop = Shop::open();
    let mut client = in_terminal(&shop, &["cat"]);
    client.write(1, b"some words\n");
    client.end(1, Stream::Stdin);
    let ending = client.wait(1);
    assert_eq!(
        (ending.code(), ending.out().as_str()),
        (0, "some words\r\nsome words\r\n")
    );
}

#[test]
fn a_terminal_that_nobody_has_open_may_be_opened_again() {
    let shop = Shop::open();
    let script = "echo gone; exec </dev/null >/dev/null 2>&1; sleep 0.5; echo back >/dev/tty";
    let ending = in_terminal(&shop, &["sh", "-c", script]).wait(1);
    assert_eq!(
        (ending.code(), ending.out().as_str()),
        (0, "gone\r\nback\r\n")
    );
}

#[test]
fn all_that_a_terminal_held_at_the_end_is_delivered() {
    let shop = Shop::open();
    // More than there is credit for: the rest is still in the terminal when the command ends.
    let ready = "ready";
    let before = FIRST_WINDOW as usize - ready.len();
    let script = format!(
        "stty -opost; head -c {before} /dev/zero | tr '\\0' x; printf {ready}; \
         head -c 2000 /dev/zero | tr '\\0' y; exit 3"
    );
    let command = ["sh", "-c", &script];
    let mut client = in_terminal(&shop, &command);
    client.gives_credit = false;
    client.wait_for(1, ready);
    eventually("the command has ended", || {
        shop.node.find(&command).is_empty()
    });
    client.give_credit(1, Stream::Stdout, 4000);
    let ending = client.wait(1);
    assert_eq!(ending.code(), 3);
    assert!(
        ending
            .out()
            .ends_with(&(ready.to_owned() + &"y".repeat(2000)))
    );
}

#[test]
fn what_lives_on_in_the_background_holds_up_no_exit() {
    let shop = Shop::open();
    let mut client = shop.sh("sleep 4711 & echo started; exit 4");
    let ending = client.wait(1);
    assert_eq!((ending.out().as_str(), ending.code()), ("started\n", 4));
    assert_eq!(client.wait_end(), 0);
    assert_eq!(shop.node.find(&["sleep", "4711"]).len(), 1);

    let mut request = shop.request(&["sh", "-c", "sleep 4712 & exit 4"]);
    request.kill_on_exit = true;
    assert_eq!(SessionClient::start(&shop.node, &request).wait(1).code(), 4);
    eventually("it is gone", || {
        shop.node.find(&["sleep", "4712"]).is_empty()
    });
    shop.node
        .command(["pkill", "-KILL", "-f", "^sleep 4711"])
        .ok();
}
