//! A session whose other end may send anything, for fuzzing.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use cnsenter_protocol::{Control, Decoder, Hello, Item, PREAMBLE, PROTOCOL};
use tokio::sync::mpsc;

use super::input::Source;
use super::{Io, Options, SESSION, Signals, Streams, run_with};
use crate::report::Report;
use crate::transport::{Duplex, Incoming, stream_of};

/// What the command may read, in bytes.
const INPUT: usize = 4096;

/// Bit of the first byte: cnsenter has said Hello.
const GREETED: u8 = 1;
/// Bit of the first byte: the command reads stdin.
const STDIN: u8 = 2;

struct Counter(Arc<AtomicUsize>);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.fetch_add(bytes.len(), Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs a session to its end. The input's first byte says how it begins, the second one how long the
/// pieces are in which the others come.
///
/// # Panics
/// If more is written, or answered, than was sent, or an answer is no frame: with what is wrong.
pub fn session(input: &[u8]) {
    let [start, piece, rest @ ..] = input else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let Ok(runtime) = runtime else {
        return;
    };
    runtime.block_on(play(*start, usize::from(*piece) + 1, rest));
}

async fn play(start: u8, piece: usize, input: &[u8]) {
    let written = Arc::new(AtomicUsize::new(0));
    let streams = Streams {
        stdin: Source::Any(Box::new(io::Cursor::new(vec![b'x'; INPUT]))),
        screen: None,
        stdout: Box::new(Counter(written.clone())),
        stderr: Box::new(Counter(written.clone())),
    };
    let (to_client, incoming) = mpsc::channel(4);
    let (outgoing, from_client) = mpsc::channel(4);
    let duplex = Duplex {
        by: String::new(),
        incoming: stream_of(incoming),
        outgoing,
        writer: tokio::spawn(async {}),
    };
    let options = Options {
        io: Io {
            stdin: start & STDIN != 0,
            tty: false,
            tty_refused: false,
        },
        supplement: None,
        lease: None,
        node: "node-1".to_owned(),
        report: Report::new(true, false),
    };
    let (_, (), heard) = tokio::join!(
        run_with(duplex, options, streams, Signals::none()),
        send(to_client, start & GREETED != 0, piece, input),
        hear(from_client),
    );
    assert!(
        written.load(Ordering::Relaxed) <= input.len(),
        "output from nowhere"
    );
    assert!(heard <= input.len() + 2 * INPUT, "{heard} bytes of answers");
}

async fn send(to: mpsc::Sender<Incoming>, greets: bool, piece: usize, input: &[u8]) {
    if greets {
        let mut hello = PREAMBLE.to_vec();
        let message = Control::Hello(Hello {
            oldest: PROTOCOL,
            newest: PROTOCOL,
            version: String::new(),
        });
        message.put(&mut hello, SESSION);
        let _ = to.send(Incoming::Stream(hello.into())).await;
    }
    for piece in input.chunks(piece) {
        let piece = Bytes::copy_from_slice(piece);
        if to.send(Incoming::Stream(piece)).await.is_err() {
            return;
        }
    }
    let _ = to.send(Incoming::End(None)).await;
}

/// How many bytes come, all of them frames that a server reads.
async fn hear(mut from: mpsc::Receiver<Bytes>) -> usize {
    let mut decoder = Decoder::of_server();
    let mut heard = 0;
    while let Some(bytes) = from.recv().await {
        heard += bytes.len();
        let mut rest: &[u8] = &bytes;
        loop {
            match decoder.next(&mut rest) {
                Ok(Some(Item::Data { .. } | Item::Control { .. })) => {}
                Ok(None) => break,
                Err(error) => panic!("the client sent no frame: {error}"),
            }
        }
    }
    heard
}
