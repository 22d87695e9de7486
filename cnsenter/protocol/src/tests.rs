//! Frames as a whole: what one end writes the other one reads, in whatever pieces it comes, and
//! nothing that anybody sends does any harm.

use std::time::Duration;

use crate::control::{Control, Exit, Failure, FailureKind, Hello, KilledFor, Signal, Size};
use crate::credit::{
    Allowance, Error as CreditError, FIRST_WINDOW, GROWTH, LARGEST_WINDOW, Window,
};
use crate::decoder::{Decoder, Error, Item, MAX_NOISE};
use crate::frame::{self, MAX_DATA, MAX_REQUEST};
use crate::{PREAMBLE, SessionId, Stream};

/// A plain generator, so that a failure can be had again.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.below(most + 1);
        (0..length)
            .map(|_| u8::try_from(self.below(256)).unwrap())
            .collect()
    }
}

/// An item that outlives its input.
#[derive(Debug, PartialEq, Eq)]
enum Owned {
    Data(u16, Stream, Vec<u8>, bool),
    Control(u16, Control),
}

fn owned(item: Item<'_>) -> Owned {
    match item {
        Item::Data {
            session,
            stream,
            bytes,
            end,
        } => Owned::Data(session.0, stream, bytes.to_vec(), end),
        Item::Control { session, message } => Owned::Control(session.0, message),
    }
}

/// Reads all of `bytes`, in pieces of the given lengths; data that belongs together is joined.
fn read(
    decoder: &mut Decoder,
    mut bytes: &[u8],
    mut piece: impl FnMut() -> usize,
) -> Result<Vec<Owned>, Error> {
    let mut items: Vec<Owned> = Vec::new();
    while !bytes.is_empty() {
        let (mut now, rest) = bytes.split_at(piece().clamp(1, bytes.len()));
        bytes = rest;
        while let Some(item) = decoder.next(&mut now)? {
            let item = owned(item);
            match (items.last_mut(), item) {
                (
                    Some(Owned::Data(session, stream, bytes, end)),
                    Owned::Data(session2, stream2, bytes2, end2),
                ) if (*session, *stream, *end) == (session2, stream2, false) => {
                    bytes.extend(bytes2);
                    *end = end2;
                }
                (_, item) => items.push(item),
            }
        }
    }
    Ok(items)
}

fn messages() -> Vec<Control> {
    let mut messages = vec![
        Control::Request(b"anything".to_vec()),
        Control::Resize(Size {
            rows: 24,
            columns: 80,
        }),
        Control::Ping(7),
        Control::Pong(u64::MAX),
        Control::Hold(Duration::from_millis(600_001)),
        Control::Started { pid: 4711 },
        Control::Exit(Exit {
            code: 3,
            signal: None,
            timed_out: false,
            killed_for: None,
        }),
        Control::Exit(Exit {
            code: 143,
            signal: Some(15),
            timed_out: true,
            killed_for: None,
        }),
        Control::Exit(Exit {
            code: 137,
            signal: Some(9),
            timed_out: false,
            killed_for: Some(KilledFor::Memory),
        }),
        Control::Ack,
    ];
    let signals = [
        Signal::Hup,
        Signal::Int,
        Signal::Quit,
        Signal::Usr1,
        Signal::Usr2,
        Signal::Term,
        Signal::Winch,
    ];
    messages.extend(signals.map(Control::Signal));
    let streams = [Stream::Stdin, Stream::Stdout, Stream::Stderr];
    messages.extend(streams.map(|stream| Control::Credit {
        stream,
        bytes: 1 << 20,
    }));
    let kinds = [
        FailureKind::Request,
        FailureKind::Enter,
        FailureKind::Execute,
        FailureKind::Lost,
        FailureKind::Protocol,
    ];
    messages.extend(kinds.map(|kind| {
        Control::Error(Failure {
            kind,
            code: 125,
            message: "no such größe".into(),
        })
    }));
    messages
}

fn hello() -> Control {
    Control::Hello(Hello {
        oldest: 1,
        newest: 2,
        version: "0.1.0".into(),
    })
}

#[test]
fn everything_arrives_in_whatever_pieces() {
    let mut random = Random(1);
    for _ in 0..200 {
        let noise = random.bytes(300);
        let mut wire = noise.clone();
        wire.extend(PREAMBLE);
        hello().put(&mut wire, SessionId::STREAM);
        let mut sent = vec![Owned::Control(0, hello())];
        for message in messages() {
            let session = u16::try_from(random.below(1 << 16)).unwrap();
            let data = random.bytes(3000);
            frame::put_data(&mut wire, SessionId(session), Stream::Stdout, &data);
            let end = random.below(2) == 0;
            if end {
                frame::put_end(&mut wire, SessionId(session), Stream::Stdout);
            }
            if end || !data.is_empty() {
                sent.push(Owned::Data(session, Stream::Stdout, data, end));
            }
            message.put(&mut wire, SessionId(session));
            sent.push(Owned::Control(session, message));
        }
        let most = [1, 7, 100, 100_000][random.below(4)];
        let mut decoder = Decoder::of_client();
        let got = read(&mut decoder, &wire, || 1 + random.below(most)).unwrap();
        assert_eq!(got, sent);
        assert_eq!(decoder.noise(), noise);
        assert_eq!(decoder.finish(), Ok(()));
    }
}

#[test]
fn nothing_that_comes_does_harm() {
    let mut random = Random(2);
    let mut wire = Vec::new();
    messages()
        .iter()
        .for_each(|m| m.put(&mut wire, SessionId(1)));
    for _ in 0..20_000 {
        let mut bytes = wire.clone();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len());
            bytes[at] = u8::try_from(random.below(256)).unwrap();
        }
        bytes.truncate(random.below(bytes.len() + 1));
        let mut decoder = Decoder::of_server();
        let _ = read(&mut decoder, &bytes, || 64);
    }
}

#[test]
fn data_is_handed_on_before_its_frame_is_complete() {
    let mut wire = frame::data_header(SessionId(1), Stream::Stdin, 10, true).to_vec();
    wire.extend(b"0123");
    let mut decoder = Decoder::of_server();
    let mut input = &wire[..];
    let data = |bytes, end| {
        Some(Item::Data {
            session: SessionId(1),
            stream: Stream::Stdin,
            bytes,
            end,
        })
    };
    assert_eq!(decoder.next(&mut input), Ok(data(b"0123", false)));
    assert_eq!(decoder.next(&mut input), Ok(None));
    assert_eq!(decoder.finish(), Err(Error::Truncated));
    assert_eq!(decoder.next(&mut &b"456789"[..]), Ok(data(b"456789", true)));
    assert_eq!(decoder.finish(), Ok(()));
}

/// A frame of the given header.
fn raw(kind: u8, flags: u8, length: u32) -> Vec<u8> {
    let [a, b, c, d] = length.to_be_bytes();
    vec![kind, flags, 0, 1, a, b, c, d]
}

fn fails(bytes: &[u8]) -> Error {
    read(&mut Decoder::of_server(), bytes, || 5).unwrap_err()
}

#[test]
fn lengths_are_bounded_before_anything_is_kept() {
    let data = u32::try_from(MAX_DATA).unwrap();
    let request = u32::try_from(MAX_REQUEST).unwrap();
    assert!(read(&mut Decoder::of_server(), &raw(1, 0, data), || 8).is_ok());
    assert!(read(&mut Decoder::of_server(), &raw(0x11, 0, request), || 8).is_ok());
    for (kind, length) in [
        (1, data + 1),
        (0x11, request + 1),
        (0x15, u32::MAX),
        (0xff, u32::MAX),
    ] {
        assert!(
            matches!(fails(&raw(kind, 0, length)), Error::TooLong { .. }),
            "{kind}"
        );
    }
}

#[test]
fn what_is_of_a_later_version_is_skipped_where_that_is_safe() {
    let mut wire = raw(0x7f, 0, 4);
    wire.extend(b"what");
    // A Ping with another field.
    wire.extend(raw(0x15, 0, 13 + 6));
    wire.extend([1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 9]);
    wire.extend([9, 0, 0, 0, 1, 1]);
    let items = read(&mut Decoder::of_server(), &wire, || 3).unwrap();
    assert_eq!(items, [Owned::Control(1, Control::Ping(9))]);
    assert_eq!(fails(&raw(4, 0, 0)), Error::UnknownData(4));
    assert_eq!(fails(&raw(0, 0, 0)), Error::UnknownData(0));
    assert_eq!(fails(&raw(1, frame::COMPRESSED, 0)), Error::Flags(2));
    assert_eq!(fails(&raw(0x15, 1, 0)), Error::Flags(1));
}

#[test]
fn control_messages_without_meaning_are_refused() {
    let control = |kind, payload: &[u8]| {
        let mut wire = raw(kind, 0, u32::try_from(payload.len()).unwrap());
        wire.extend(payload);
        fails(&wire)
    };
    for (kind, payload) in [
        (0x15, &[][..]),
        (0x15, &[1, 0, 0, 0]),
        (0x15, &[1, 0, 0, 0, 9, 1]),
        (0x15, &[1, 0xff, 0xff, 0xff, 0xff, 1]),
        (0x13, &[1, 0, 0, 0, 1, 9]),
        (0x14, &[1, 0, 0, 0, 1, 4, 2, 0, 0, 0, 4, 0, 0, 0, 1]),
    ] {
        assert!(
            matches!(control(kind, payload), Error::Control { .. }),
            "{kind} {payload:?}"
        );
    }
}

#[test]
fn noise_is_kept_up_to_a_bound() {
    let mut decoder = Decoder::of_client();
    let mut noise = b"Last login: today\r\n\x89cns\r".to_vec();
    noise.resize(MAX_NOISE, b'.');
    assert_eq!(read(&mut decoder, &noise, || 1000), Ok(vec![]));
    assert_eq!(decoder.finish(), Err(Error::NoHello));
    assert_eq!(decoder.noise(), noise);
    assert_eq!(read(&mut decoder, &[b'.'; 8], || 8), Err(Error::NoHello));

    let mut wire = PREAMBLE.to_vec();
    Control::Ack.put(&mut wire, SessionId(1));
    assert_eq!(
        read(&mut Decoder::of_client(), &wire, || 9),
        Err(Error::HelloNotFirst)
    );
    let decoder = &mut Decoder::of_client();
    read(decoder, &PREAMBLE, || 3).unwrap();
    assert_eq!(decoder.finish(), Err(Error::Truncated));
}

#[test]
fn credit_never_exceeds_the_window() {
    let mut random = Random(3);
    let delay = Some(Duration::from_millis(80));
    let mut now = Duration::ZERO;
    let mut window = Window::new(now);
    let mut allowance = Allowance::default();
    let mut kept = 0;
    for _ in 0..100_000 {
        let sent = random.below(100_000).min(allowance.left());
        allowance.spend(sent);
        window.receive(sent).unwrap();
        kept += sent;
        assert!(kept <= window.size() as usize);
        let passed_on = random.below(100_000).min(kept);
        window.release(passed_on);
        kept -= passed_on;
        now += Duration::from_micros(random.below(2000) as u64);
        if let Some(bytes) = window.due(now, delay) {
            allowance.grant(bytes).unwrap();
        }
        assert!(kept + allowance.left() <= window.size() as usize);
    }
    assert_eq!(window.size(), LARGEST_WINDOW);
    let left = allowance.left();
    window.receive(left).unwrap();
    assert_eq!(window.receive(1), Err(CreditError::Overrun));
    assert_eq!(allowance.grant(LARGEST_WINDOW), Err(CreditError::Excess));
    assert_eq!(allowance.grant(u32::MAX), Err(CreditError::Excess));
}

#[test]
fn a_window_grows_for_a_long_path_only() {
    let size_after = |delay: Option<u64>, tick: u64| {
        let mut window = Window::new(Duration::ZERO);
        for round in 1..100 {
            let half = window.size() as usize / 2;
            window.receive(half).unwrap();
            window.release(half);
            let now = Duration::from_millis(round * tick);
            assert!(window.due(now, delay.map(Duration::from_millis)).is_some());
        }
        window.size()
    };
    assert_eq!(size_after(Some(80), 40), LARGEST_WINDOW);
    assert_eq!(size_after(Some(1), 40), FIRST_WINDOW);
    assert_eq!(size_after(None, 1), FIRST_WINDOW * GROWTH);
}

#[test]
fn a_long_path_has_its_window_as_soon_as_it_is_known() {
    let credit = |millis| {
        let mut window = Window::new(Duration::ZERO);
        let delay = Duration::from_millis(millis);
        let first = window.due(delay, Some(delay));
        assert_eq!(window.due(delay, Some(delay)), None);
        first
    };
    assert_eq!(credit(1), None);
    assert_eq!(credit(20), Some(4_000_000 - FIRST_WINDOW));
    assert_eq!(credit(300), Some(LARGEST_WINDOW - FIRST_WINDOW));
}
