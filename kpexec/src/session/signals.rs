//! Signals that reach kpexec while a command runs, and what they are for.

#[cfg(unix)]
pub(super) use unix::{Signals, stop_ourselves};
#[cfg(windows)]
pub(super) use windows::{Signals, stop_ourselves};

use cnsenter_protocol::Signal;

/// What a signal is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// The command.
    Forward(Signal),
    /// The terminal has another size.
    Resize,
    /// We are to stop (SIGTSTP).
    #[cfg_attr(windows, expect(dead_code, reason = "Windows stops nobody"))]
    Stop,
    /// We are to end; by this signal's number.
    End(i32),
}

#[cfg(unix)]
mod unix {
    use std::future::poll_fn;
    use std::task::Poll;

    use rustix::process::{Signal as Raw, getpid, kill_process};
    use tokio::signal::unix::{Signal as Source, SignalKind, signal};

    use super::{Event, Signal};

    /// The signals that mean something to a session.
    pub(in super::super) struct Signals(Vec<(Source, Event)>);

    /// What is passed on to a command without a terminal.
    const FORWARDED: [(Raw, Signal); 7] = [
        (Raw::INT, Signal::Int),
        (Raw::TERM, Signal::Term),
        (Raw::HUP, Signal::Hup),
        (Raw::QUIT, Signal::Quit),
        (Raw::USR1, Signal::Usr1),
        (Raw::USR2, Signal::Usr2),
        (Raw::WINCH, Signal::Winch),
    ];

    impl Signals {
        /// Takes the signals over. On a terminal they are for us: the command's come as keys.
        pub(in super::super) fn new(tty: bool) -> Self {
            let ignored = ignored();
            let mut wanted = vec![(Raw::TSTP, Event::Stop)];
            wanted.extend(FORWARDED.map(|(raw, name)| {
                let event = match (tty, name) {
                    (false, name) => Event::Forward(name),
                    (true, Signal::Winch) => Event::Resize,
                    (true, name) => Event::End(name.number()),
                };
                (raw, event)
            }));
            // Whoever started us under nohup wants that signal to have no effect.
            let wanted = wanted.into_iter().filter(|(raw, _)| !is_in(ignored, *raw));
            let sources = wanted.filter_map(|(raw, event)| {
                Some((signal(SignalKind::from_raw(raw.as_raw())).ok()?, event))
            });
            Self(sources.collect())
        }

        /// None, for tests that have none.
        #[cfg(any(test, fuzzing))]
        pub(in super::super) fn none() -> Self {
            Self(Vec::new())
        }

        /// The next one.
        pub(in super::super) async fn next(&mut self) -> Event {
            poll_fn(|context| {
                for (source, event) in &mut self.0 {
                    if let Poll::Ready(Some(())) = source.poll_recv(context) {
                        return Poll::Ready(*event);
                    }
                }
                Poll::Pending
            })
            .await
        }
    }

    /// Stops this process until it is continued.
    pub(in super::super) fn stop_ourselves() {
        let _ = kill_process(getpid(), Raw::STOP);
    }

    /// The mask of ignored signals (proc_pid_status(5)); none where that cannot be had.
    fn ignored() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
            .unwrap_or(0)
    }

    fn is_in(mask: u64, signal: Raw) -> bool {
        u32::try_from(signal.as_raw() - 1).is_ok_and(|bit| mask >> bit & 1 == 1)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_mask_counts_from_one() {
            assert!(is_in(1, Raw::HUP) && is_in(1 << 14, Raw::TERM));
            assert!(!is_in(1, Raw::INT) && !is_in(0, Raw::HUP));
        }
    }
}

#[cfg(windows)]
mod windows {
    use std::time::Duration;

    use cnsenter_protocol::Size;
    use tokio::signal::windows::{CtrlBreak, CtrlC, ctrl_break, ctrl_c};

    use super::{Event, Signal};

    /// How often the console's size is looked at: nobody tells.
    const LOOK: Duration = Duration::from_millis(250);

    /// What Windows has in place of signals.
    pub(in super::super) struct Signals {
        tty: bool,
        interrupt: Option<CtrlC>,
        terminate: Option<CtrlBreak>,
        size: Option<Size>,
    }

    impl Signals {
        pub(in super::super) fn new(tty: bool) -> Self {
            Self {
                tty,
                interrupt: ctrl_c().ok(),
                terminate: ctrl_break().ok(),
                size: super::super::size(),
            }
        }

        /// None, for tests that have none.
        #[cfg(any(test, fuzzing))]
        pub(in super::super) fn none() -> Self {
            Self {
                tty: false,
                interrupt: None,
                terminate: None,
                size: None,
            }
        }

        pub(in super::super) async fn next(&mut self) -> Event {
            let (interrupt, terminate) = (&mut self.interrupt, &mut self.terminate);
            loop {
                let event = tokio::select! {
                    _ = async { match interrupt { Some(i) => i.recv().await, None => std::future::pending().await } } => Signal::Int,
                    _ = async { match terminate { Some(t) => t.recv().await, None => std::future::pending().await } } => Signal::Term,
                    _ = tokio::time::sleep(LOOK), if self.tty => {
                        let size = super::super::size();
                        if size != self.size {
                            self.size = size;
                            return Event::Resize;
                        }
                        continue;
                    }
                };
                return if self.tty {
                    Event::End(event.number())
                } else {
                    Event::Forward(event)
                };
            }
        }
    }

    pub(in super::super) fn stop_ourselves() {}
}
