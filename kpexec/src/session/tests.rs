//! Sessions with a peer that this file plays: what is sent when, and what comes of what is said.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cnsenter_protocol::credit::FIRST_WINDOW;
use cnsenter_protocol::frame::{put_data, put_end};
use cnsenter_protocol::{
    Control, Decoder, Exit, Failure, FailureKind, Hello, Item, PREAMBLE, PROTOCOL, Signal, Stream,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::input::Source;
use super::signals::Event;
use super::*;
use crate::transport::{Incoming, stream_of};

/// The other end.
struct Peer {
    to_client: mpsc::Sender<Incoming>,
    from_client: mpsc::Receiver<Bytes>,
    decoder: Decoder,
    stdout: Arc<Mutex<Vec<u8>>>,
    ending: JoinHandle<Result<Ending, Error>>,
}

/// What a peer hears.
#[derive(Debug, PartialEq)]
enum Heard {
    Stdin(Vec<u8>, bool),
    Said(Control),
}

struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What `head` is when it has seen enough.
struct Gone;

impl Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn options() -> Options {
    Options {
        io: Io {
            stdin: false,
            tty: false,
            tty_refused: false,
        },
        supplement: None,
        lease: None,
        node: "node-1".into(),
        report: Report::new(true, false),
    }
}

impl Peer {
    fn start(options: Options, input: &[u8]) -> Self {
        Self::with_output(options, input, None)
    }

    fn with_output(options: Options, input: &[u8], output: Option<Box<dyn Write + Send>>) -> Self {
        Self::with_signals(options, input, output, Signals::none())
    }

    fn with_signals(
        mut options: Options,
        input: &[u8],
        output: Option<Box<dyn Write + Send>>,
        signals: Signals,
    ) -> Self {
        options.io.stdin |= !input.is_empty();
        let stdout = Arc::new(Mutex::new(Vec::new()));
        let streams = Streams {
            stdin: Source::Any(Box::new(io::Cursor::new(input.to_vec()))),
            screen: None,
            stdout: output.unwrap_or_else(|| Box::new(Shared(stdout.clone()))),
            stderr: Box::new(io::sink()),
        };
        let (to_client, incoming) = mpsc::channel(4);
        let (outgoing, from_client) = mpsc::channel(4);
        let writer = tokio::spawn(async {});
        let duplex = Duplex {
            by: String::new(),
            incoming: stream_of(incoming),
            outgoing,
            writer,
        };
        let ending = tokio::spawn(run_with(duplex, options, streams, signals));
        Self {
            to_client,
            from_client,
            decoder: Decoder::of_server(),
            stdout,
            ending,
        }
    }

    async fn greeted(options: Options, input: &[u8]) -> Self {
        let mut peer = Self::start(options, input);
        peer.greet().await;
        peer
    }

    async fn greet(&mut self) {
        let mut bytes = PREAMBLE.to_vec();
        hello(PROTOCOL).put(&mut bytes, SessionId::STREAM);
        self.send(bytes).await;
    }

    async fn send(&self, bytes: impl Into<Bytes>) {
        // A client that has ended hears nothing more.
        let _ = self.to_client.send(Incoming::Stream(bytes.into())).await;
    }

    async fn say(&self, message: Control) {
        let mut bytes = Vec::new();
        message.put(&mut bytes, SESSION);
        self.send(bytes).await;
    }

    async fn output(&self, bytes: &[u8]) {
        let mut frames = Vec::new();
        put_data(&mut frames, SESSION, Stream::Stdout, bytes);
        self.send(frames).await;
    }

    async fn exit(&self, code: u8) {
        self.say(Control::Exit(Exit {
            code,
            signal: None,
            timed_out: false,
            killed_for: None,
        }))
        .await;
    }

    /// What comes next, Pings apart; empty at the end.
    async fn hear(&mut self) -> Vec<Heard> {
        loop {
            let Some(bytes) = self.from_client.recv().await else {
                return Vec::new();
            };
            let mut rest: &[u8] = &bytes;
            let mut heard = Vec::new();
            while let Some(item) = self.decoder.next(&mut rest).unwrap() {
                match item {
                    Item::Data { bytes, end, .. } => heard.push(Heard::Stdin(bytes.to_vec(), end)),
                    Item::Control {
                        message: Control::Ping(_),
                        ..
                    } => {}
                    Item::Control { message, .. } => heard.push(Heard::Said(message)),
                }
            }
            if !heard.is_empty() {
                return heard;
            }
        }
    }

    /// How many bytes of stdin come until nothing more does, and whether they were all.
    async fn stdin(&mut self) -> (usize, bool) {
        let mut length = 0;
        while let Ok(heard) = timeout(Duration::from_millis(200), self.hear()).await {
            for one in heard {
                match one {
                    Heard::Stdin(_, true) => return (length, true),
                    Heard::Stdin(bytes, false) => length += bytes.len(),
                    Heard::Said(message) => panic!("{message:?}"),
                }
            }
        }
        (length, false)
    }
}

fn hello(protocol: u32) -> Control {
    Control::Hello(Hello {
        oldest: protocol,
        newest: protocol,
        version: "test".into(),
    })
}

#[tokio::test]
async fn nothing_is_said_before_hello_and_noise_is_skipped() {
    let options = Options {
        supplement: Some(b"rest".to_vec()),
        ..options()
    };
    let mut peer = Peer::start(options, b"");
    peer.send(&b"Welcome to node-1!\n"[..]).await;
    tokio::task::yield_now().await;
    assert!(peer.from_client.try_recv().is_err());
    peer.greet().await;
    assert_eq!(
        peer.hear().await,
        [Heard::Said(Control::Request(b"rest".to_vec()))]
    );
    peer.say(Control::Started { pid: 7 }).await;
    peer.output(b"all of it").await;
    peer.exit(3).await;
    assert_eq!(peer.hear().await, [Heard::Said(Control::Ack)]);
    assert_eq!(peer.ending.await.unwrap().unwrap().code(), 3);
    assert_eq!(*peer.stdout.lock().unwrap(), b"all of it");
}

#[tokio::test]
async fn stdin_is_sent_as_there_is_credit_for_it_and_its_end_is_told() {
    let window = FIRST_WINDOW as usize;
    let mut peer = Peer::greeted(options(), &vec![7; window + 10]).await;
    assert_eq!(peer.stdin().await, (window, false));
    peer.say(Control::Credit {
        stream: Stream::Stdin,
        bytes: 4,
    })
    .await;
    assert_eq!(peer.stdin().await, (4, false));
    peer.say(Control::Credit {
        stream: Stream::Stdin,
        bytes: 100,
    })
    .await;
    assert_eq!(peer.stdin().await, (6, true));
    peer.exit(0).await;
    assert_eq!(peer.ending.await.unwrap().unwrap().code(), 0);
}

#[tokio::test]
async fn control_goes_on_while_stdin_waits() {
    let mut peer = Peer::greeted(options(), &vec![7; 2 * FIRST_WINDOW as usize]).await;
    peer.stdin().await;
    peer.say(Control::Ping(9)).await;
    assert_eq!(peer.hear().await, [Heard::Said(Control::Pong(9))]);
    peer.exit(0).await;
    peer.ending.await.unwrap().unwrap();
}

/// Else it would be kept for somebody who does not read it.
#[tokio::test]
async fn of_many_pings_that_wait_only_the_last_is_answered() {
    let mut peer = Peer::greeted(options(), b"").await;
    for number in 0..5000 {
        peer.say(Control::Ping(number)).await;
    }
    let mut answers = Vec::new();
    while answers.last() != Some(&Heard::Said(Control::Pong(4999))) {
        answers.extend(peer.hear().await);
    }
    assert!(answers.len() < 50, "{} answers", answers.len());
    peer.exit(0).await;
    peer.ending.await.unwrap().unwrap();
}

#[tokio::test]
async fn all_that_a_quick_command_has_to_say_may_come_at_once() {
    let peer = Peer::start(options(), b"");
    let mut bytes = PREAMBLE.to_vec();
    hello(PROTOCOL).put(&mut bytes, SessionId::STREAM);
    put_data(&mut bytes, SESSION, Stream::Stdout, b"quick");
    let exit = Exit {
        code: 4,
        signal: None,
        timed_out: false,
        killed_for: None,
    };
    Control::Exit(exit).put(&mut bytes, SESSION);
    peer.send(bytes).await;
    assert_eq!(peer.ending.await.unwrap().unwrap(), Ending::Exit(exit));
    assert_eq!(*peer.stdout.lock().unwrap(), b"quick");
}

#[tokio::test]
async fn a_command_that_reads_no_more_is_sent_no_more() {
    let mut peer = Peer::greeted(options(), &vec![7; 2 * FIRST_WINDOW as usize]).await;
    peer.stdin().await;
    let mut end = Vec::new();
    put_end(&mut end, SESSION, Stream::Stdin);
    peer.send(end).await;
    let stream = Stream::Stdin;
    let bytes = 1000;
    peer.say(Control::Credit { stream, bytes }).await;
    assert_eq!(peer.stdin().await, (0, false));
    peer.exit(0).await;
    peer.ending.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_is_written_makes_room_for_more() {
    let mut peer = Peer::greeted(options(), b"").await;
    let half = FIRST_WINDOW as usize / 2;
    peer.output(&vec![1; half]).await;
    let heard = peer.hear().await;
    assert!(
        matches!(heard[..], [Heard::Said(Control::Credit { stream: Stream::Stdout, bytes })] if bytes as usize >= half),
        "{heard:?}"
    );
    peer.exit(0).await;
    peer.ending.await.unwrap().unwrap();
    assert_eq!(peer.stdout.lock().unwrap().len(), half);
}

#[tokio::test]
async fn a_stream_that_ends_without_exit_is_an_error() {
    let peer = Peer::greeted(options(), b"").await;
    peer.say(Control::Started { pid: 7 }).await;
    peer.output(b"some").await;
    peer.to_client
        .send(Incoming::End(Some("reset".into())))
        .await
        .unwrap();
    let error = peer.ending.await.unwrap().unwrap_err();
    assert_eq!(error.exit_code(), 255);
    assert!(
        error.to_string().contains("(process 7 on the node)"),
        "{error}"
    );
    assert_eq!(*peer.stdout.lock().unwrap(), b"some");
}

#[tokio::test]
async fn whoever_answers_instead_of_cnsenter_is_quoted() {
    let peer = Peer::start(options(), b"");
    peer.send(&b"sh: cnsenter: not found"[..]).await;
    peer.to_client.send(Incoming::End(None)).await.unwrap();
    let error = peer.ending.await.unwrap().unwrap_err();
    assert_eq!(error.exit_code(), 1);
    assert!(
        error
            .to_string()
            .ends_with("node-1: sh: cnsenter: not found"),
        "{error}"
    );
}

#[tokio::test]
async fn a_peer_of_another_version_is_told_apart() {
    let peer = Peer::start(options(), b"");
    let mut bytes = PREAMBLE.to_vec();
    hello(PROTOCOL + 1).put(&mut bytes, SessionId::STREAM);
    peer.send(bytes).await;
    let error = peer.ending.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Version(_)), "{error}");
}

#[tokio::test]
async fn what_cnsenter_refuses_has_its_words_and_code() {
    let mut peer = Peer::greeted(options(), b"").await;
    let message = "no such container".to_owned();
    let failure = Failure {
        kind: FailureKind::Enter,
        code: 125,
        message,
    };
    peer.say(Control::Error(failure)).await;
    assert_eq!(peer.hear().await, [Heard::Said(Control::Ack)]);
    let error = peer.ending.await.unwrap().unwrap_err();
    assert_eq!(
        (error.exit_code(), error.to_string()),
        (125, "no such container".into())
    );
}

#[tokio::test]
async fn a_peer_that_breaks_the_rules_is_left() {
    let peers = [
        Peer::greeted(options(), b"").await,
        Peer::greeted(options(), b"").await,
    ];
    // More than its credit; and what only clients say.
    peers[0].output(&vec![0; FIRST_WINDOW as usize + 1]).await;
    peers[1].say(Control::Request(Vec::new())).await;
    for peer in peers {
        let error = peer.ending.await.unwrap().unwrap_err();
        assert!(matches!(error, Error::Protocol(_)), "{error}");
        assert_eq!(error.exit_code(), 255);
    }
}

#[tokio::test]
async fn a_reader_that_has_gone_ends_the_session() {
    let mut peer = Peer::with_output(options(), b"", Some(Box::new(Gone)));
    peer.greet().await;
    peer.output(b"more than it wants").await;
    assert_eq!(peer.ending.await.unwrap().unwrap(), Ending::NoReader);
}

/// Whoever reads this does not read on.
struct Stuck(std::sync::mpsc::Receiver<()>);

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_reader_that_is_stuck_keeps_nobody_from_ending_us() {
    for (event, number) in [
        (Event::Forward(Signal::Term), 15),
        (Event::End(Signal::Hup.number()), 1),
    ] {
        let (_reads_on, stuck) = std::sync::mpsc::channel();
        let (send, events) = tokio::sync::mpsc::unbounded_channel();
        let output: Box<dyn Write + Send> = Box::new(Stuck(stuck));
        let signals = Signals::played(events);
        let mut peer = Peer::with_signals(options(), b"", Some(output), signals);
        peer.greet().await;
        peer.output(b"some").await;
        peer.exit(0).await;
        // The command has ended, and is told nothing any more.
        while peer.from_client.recv().await.is_some() {}
        send.send(event).unwrap();
        let ending = timeout(Duration::from_secs(10), peer.ending).await;
        assert_eq!(
            ending.unwrap().unwrap().unwrap(),
            Ending::Interrupted(number)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_run_is_not_said_not_to() {
    let told_later = || Options {
        supplement: Some(Vec::new()),
        ..options()
    };
    for (options, code) in [(options(), 255), (told_later(), 1)] {
        let peer = Peer::start(options, b"");
        let reset = Incoming::Lost("reset".into());
        peer.to_client.send(reset).await.unwrap();
        let error = peer.ending.await.unwrap().unwrap_err();
        assert_eq!(error.exit_code(), code, "{error}");
        assert!(error.to_string().contains("reset"), "{error}");
    }
    for (options, code) in [(options(), 255), (told_later(), 1)] {
        let peer = Peer::start(options, b"");
        let error = peer.ending.await.unwrap().unwrap_err();
        assert_eq!(error.exit_code(), code, "{error}");
        assert!(error.to_string().contains("within 30s"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_given_up() {
    let options = Options {
        lease: Some(Duration::from_secs(10)),
        ..options()
    };
    let mut peer = Peer::greeted(options, b"").await;
    tokio::spawn(async move { while peer.from_client.recv().await.is_some() {} });
    let error = peer.ending.await.unwrap().unwrap_err();
    assert!(
        error.to_string().contains("it was silent for 10s"),
        "{error}"
    );
}
