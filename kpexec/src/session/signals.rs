//! Signals that reach kpexec while a command runs, and what they are for.

#[cfg(unix)]
pub(super) use unix::stop_ourselves;
#[cfg(windows)]
pub(super) use windows::stop_ourselves;

use std::future::pending;

use cnsenter_protocol::Signal;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

#[cfg(unix)]
use unix::Sources;
#[cfg(unix)]
pub(crate) use unix::giving_back;
#[cfg(windows)]
use windows::Sources;
#[cfg(windows)]
pub(crate) use windows::giving_back;

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

/// The signals, in the order in which they came. They are waited for in a task of their own: the session's
/// loop, which every key goes through, has one place to look at instead of eight.
pub(super) struct Signals(UnboundedReceiver<Event>);

impl Signals {
    /// Takes the signals over. On a terminal they are for us: the command's come as keys.
    pub(super) fn new(tty: bool) -> Self {
        let mut sources = Sources::new(tty);
        let (tell, events) = unbounded_channel();
        tokio::spawn(async move { while tell.send(sources.next().await).is_ok() {} });
        Self(events)
    }

    /// None, for tests that have none.
    #[cfg(any(test, fuzzing))]
    pub(super) fn none() -> Self {
        Self(unbounded_channel().1)
    }

    /// Those that a test sends.
    #[cfg(test)]
    pub(super) fn played(events: UnboundedReceiver<Event>) -> Self {
        Self(events)
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Event {
        match self.0.recv().await {
            Some(event) => event,
            None => pending().await,
        }
    }
}

#[cfg(unix)]
mod unix {
    use std::future::{pending, poll_fn};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, LazyLock};
    use std::task::Poll;

    use rustix::process::{Signal as Raw, getpid, kill_process};
    use signal_hook::flag::register_conditional_default;
    use signal_hook::low_level::emulate_default_handler;
    use tokio::signal::unix::{Signal as Source, SignalKind, signal};
    use tokio::task::yield_now;

    use super::super::terminal;
    use super::{Event, Signal};

    /// What ends a program that says nothing else.
    const ENDING: [Raw; 4] = [Raw::HUP, Raw::INT, Raw::QUIT, Raw::TERM];

    /// How many turns tasks have to end that nobody waits for any more: one may have started another.
    const TURNS: usize = 8;

    /// Whether it does so here, once tokio has taken such a signal over: that is for ever.
    static ENDS: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

    /// The signals that mean something to a session.
    pub(super) struct Sources(Vec<(Source, Event)>);

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

    impl Sources {
        pub(super) fn new(tty: bool) -> Self {
            ENDS.store(false, Ordering::Relaxed);
            let mut wanted = vec![(Raw::TSTP, Event::Stop)];
            wanted.extend(FORWARDED.map(|(raw, name)| {
                let event = match (tty, name) {
                    (false, name) => Event::Forward(name),
                    (true, Signal::Winch) => Event::Resize,
                    (true, name) => Event::End(name.number()),
                };
                (raw, event)
            }));
            Self::of(&wanted)
        }

        fn of(wanted: &[(Raw, Event)]) -> Self {
            let ignored = ignored();
            // Whoever started us under nohup wants that signal to have no effect.
            let wanted = wanted.iter().filter(|(raw, _)| !is_in(ignored, *raw));
            let sources = wanted.filter_map(|(raw, event)| {
                Some((signal(SignalKind::from_raw(raw.as_raw())).ok()?, *event))
            });
            Self(sources.collect())
        }

        pub(super) async fn next(&mut self) -> Event {
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

    /// Waits for work that has something to give back: whoever is ended by a signal meanwhile drops it first,
    /// with the programs that it has started, and leaves the terminal as it was.
    pub(crate) async fn giving_back<T>(work: impl Future<Output = T>) -> T {
        static TAKEN_OVER: LazyLock<()> = LazyLock::new(|| {
            let ignored = ignored();
            for raw in ENDING.iter().filter(|raw| !is_in(ignored, **raw)) {
                let _ = register_conditional_default(raw.as_raw(), ENDS.clone());
            }
        });
        ENDS.store(false, Ordering::Relaxed);
        let mut sources = Sources::of(&ENDING.map(|raw| (raw, Event::End(raw.as_raw()))));
        LazyLock::force(&TAKEN_OVER);
        let event = tokio::select! {
            done = work => {
                ENDS.store(true, Ordering::Relaxed);
                return done;
            }
            event = sources.next() => event,
        };
        // Its tasks end at their next turns.
        for _ in 0..TURNS {
            yield_now().await;
        }
        terminal::restore();
        if let Event::End(signal) = event {
            let _ = emulate_default_handler(signal);
        }
        pending().await
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
    pub(super) struct Sources {
        tty: bool,
        interrupt: Option<CtrlC>,
        terminate: Option<CtrlBreak>,
        size: Option<Size>,
    }

    impl Sources {
        pub(super) fn new(tty: bool) -> Self {
            Self {
                tty,
                interrupt: ctrl_c().ok(),
                terminate: ctrl_break().ok(),
                size: super::super::size(),
            }
        }

        pub(super) async fn next(&mut self) -> Event {
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

    /// Nothing ends a program there before it has been told.
    pub(crate) async fn giving_back<T>(work: impl Future<Output = T>) -> T {
        work.await
    }

    pub(in super::super) fn stop_ourselves() {}
}
