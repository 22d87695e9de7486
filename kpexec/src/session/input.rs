//! The user's input, read by a thread of its own: a read may block at any time, and for ever.

use std::io::{self, Read};
use std::thread;

use bytes::Bytes;
use tokio::sync::mpsc;

/// How much is read at once, in bytes: what one frame carries.
const PIECE: usize = cnsenter_protocol::frame::MAX_DATA;

/// How many pieces are read before they can be sent.
const AHEAD: usize = 4;

/// Starts to read. The channel ends with the input; the thread is left behind in its read.
pub(super) fn read(mut stdin: Box<dyn Read + Send>) -> mpsc::Receiver<io::Result<Bytes>> {
    let (pieces, input) = mpsc::channel(AHEAD);
    thread::spawn(move || {
        loop {
            let mut piece = vec![0; PIECE];
            let item = match stdin.read(&mut piece) {
                Ok(0) => return,
                Ok(length) => {
                    piece.truncate(length);
                    Ok(piece.into())
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let failed = item.is_err();
            if pieces.blocking_send(item).is_err() || failed {
                return;
            }
        }
    });
    input
}
