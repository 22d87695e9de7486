//! Streams that wait: whoever shares an open file with us may have made it one that does not
//! (O_NONBLOCK of open(2) is the file's, not ours), as ssh and many event loops do.

use std::io::{self, Read, Write};

#[cfg(unix)]
use rustix::event::{PollFd, PollFlags, poll};
#[cfg(unix)]
use std::os::fd::AsFd;

/// A stream that waits where it would only say that it does not.
pub(crate) struct Patient<T>(pub(crate) T);

#[cfg(unix)]
impl<T: AsFd> Patient<T> {
    fn wait(&self, flags: PollFlags) -> io::Result<()> {
        match poll(&mut [PollFd::new(&self.0, flags)], None) {
            Err(rustix::io::Errno::INTR) => Ok(()),
            done => Ok(done.map(drop)?),
        }
    }
}

#[cfg(unix)]
impl<T: Read + AsFd> Read for Patient<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(PollFlags::IN)?;
                }
                read => return read,
            }
        }
    }
}

#[cfg(unix)]
impl<T: Write + AsFd> Write for Patient<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(PollFlags::OUT)?;
                }
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(not(unix))]
impl<T: Read> Read for Patient<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

#[cfg(not(unix))]
impl<T: Write> Write for Patient<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;
    use std::thread;
    use std::time::Duration;

    #[test]
    fn what_does_not_wait_is_waited_for() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let data = vec![7; 4 << 20];
        let expected = data.clone();
        let other = thread::spawn(move || {
            let mut theirs = theirs;
            thread::sleep(Duration::from_millis(50));
            let mut read = vec![0; 4 << 20];
            theirs.read_exact(&mut read).unwrap();
            thread::sleep(Duration::from_millis(50));
            theirs.write_all(b"answer").unwrap();
            read
        });
        let mut ours = Patient(ours);
        ours.write_all(&data).unwrap();
        let mut answer = [0; 6];
        ours.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"answer");
        assert!(other.join().unwrap() == expected);
    }
}
