//! A long way: a TCP relay that delays what passes, for kernels that have no netem.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// The most that is on its way in one direction, in pieces of up to [`PIECE`] bytes: more than any
/// sender can have unacknowledged.
const PIECES: usize = 4096;
const PIECE: usize = 64 << 10;

/// A piece, and when it arrives.
type Piece = (Instant, Vec<u8>);

/// `LISTEN TARGET MILLIS`: relays from one address to the other, each direction that much later.
pub(super) fn relay(words: &[OsString]) -> io::Result<()> {
    let words: Option<Vec<_>> = words.iter().map(|word| word.to_str()).collect();
    let Some([listen, target, millis]) = words.as_deref() else {
        return Err(io::Error::other("relay LISTEN TARGET MILLIS"));
    };
    let delay = Duration::from_millis(millis.parse().map_err(io::Error::other)?);
    for client in TcpListener::bind(listen)?.incoming() {
        let client = client?;
        let server = TcpStream::connect(target)?;
        for stream in [&client, &server] {
            stream.set_nodelay(true)?;
        }
        one_way(client.try_clone()?, server.try_clone()?, delay);
        one_way(server, client, delay);
    }
    Ok(())
}

fn one_way(from: TcpStream, to: TcpStream, delay: Duration) {
    let (sender, receiver) = sync_channel(PIECES);
    thread::spawn(move || depart(from, &sender, delay));
    thread::spawn(move || arrive(&receiver, to));
}

fn depart(mut from: TcpStream, way: &SyncSender<Piece>, delay: Duration) {
    let mut buffer = vec![0; PIECE];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let piece = (Instant::now() + delay, buffer[..length].to_vec());
        if way.send(piece).is_err() {
            return;
        }
    }
}

fn arrive(way: &Receiver<Piece>, mut to: TcpStream) {
    for (at, bytes) in way {
        thread::sleep(at.saturating_duration_since(Instant::now()));
        if to.write_all(&bytes).is_err() {
            return;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
