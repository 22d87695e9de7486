//! The operator's terminal: a pty whose master the test holds, and a process that does for
//! cnsenter what a shell does.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::termios::{LocalFlags, OutputFlags, tcgetattr};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid, setpgid, setsid, tcsetpgrp};

use super::{Case, GRACE, Terminal, case, eventually, pipe, wait};
use crate::sys::testing::{fork, take_terminal};
use crate::sys::tty::set_window_size;

/// The operator's screen and keyboard.
struct Screen {
    master: OwnedFd,
    slave: OwnedFd,
    shown: String,
}

impl Screen {
    fn new() -> Self {
        let pty = nix::pty::openpty(None, None).unwrap();
        let flag = nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC);
        nix::fcntl::fcntl(&pty.master, flag).unwrap();
        Self {
            master: pty.master,
            slave: pty.slave,
            shown: String::new(),
        }
    }

    fn resize(&self, rows: u16, columns: u16) {
        let size = nix::pty::Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        set_window_size(self.master.as_fd(), &size).unwrap();
    }

    fn keys(&self, keys: &str) {
        let mut file = File::from(self.master.try_clone().unwrap());
        file.write_all(keys.as_bytes()).unwrap();
    }

    /// Reads until `text` was shown, counting from the last call.
    fn expect(&mut self, text: &str) {
        let start = Instant::now();
        let mut file = File::from(self.master.try_clone().unwrap());
        loop {
            if let Some(at) = self.shown.find(text) {
                self.shown.drain(..at + text.len());
                return;
            }
            assert!(
                start.elapsed() < Duration::from_secs(10),
                "{text:?}: {:?}",
                self.shown
            );
            let mut fds = [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)];
            if poll(&mut fds, 50_u16).unwrap() > 0 {
                let mut buffer = [0; 4096];
                let count = file.read(&mut buffer).unwrap_or(0);
                self.shown
                    .push_str(&String::from_utf8_lossy(&buffer[..count]));
            }
        }
    }

    fn is_raw(&self) -> bool {
        let mode = tcgetattr(&self.slave).unwrap();
        !mode
            .local_flags
            .intersects(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG)
            && !mode.output_flags.contains(OutputFlags::OPOST)
    }

    fn is_cooked(&self) -> bool {
        let mode = tcgetattr(&self.slave).unwrap();
        mode.local_flags
            .contains(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG)
            && mode.output_flags.contains(OutputFlags::OPOST)
    }

    /// cnsenter as the leader of the terminal's session.
    fn start(&self, case: Case) -> Pid {
        fork([&self.slave; 3], || {
            setsid().unwrap();
            take_terminal(std::io::stdin());
            case.supervise()
        })
    }

    /// cnsenter as a job of a shell.
    fn start_job(&self, case: Case, foreground: bool) -> Job {
        let ((orders, give), (said, say)) = (pipe(), pipe());
        let shell = fork([&self.slave, &orders, &say], || {
            // The terminal is needed as stdin; the other two are the test's.
            shell(case, foreground)
        });
        Job { shell, give, said }
    }
}

/// The test's end of the shell.
struct Job {
    shell: Pid,
    give: OwnedFd,
    said: OwnedFd,
}

impl Job {
    fn say(&self) -> (char, i32) {
        let mut line = [0; 8];
        let mut file = File::from(self.said.try_clone().unwrap());
        let mut fds = [PollFd::new(self.said.as_fd(), PollFlags::POLLIN)];
        assert_eq!(
            poll(&mut fds, 10_000_u16).unwrap(),
            1,
            "the shell says nothing"
        );
        file.read_exact(&mut line).unwrap();
        let number = i32::from_le_bytes(line[4..].try_into().unwrap());
        (char::from(line[0]), number)
    }

    fn order(&self, order: &str) {
        let mut file = File::from(self.give.try_clone().unwrap());
        file.write_all(order.as_bytes()).unwrap();
    }

    fn pid(&self) -> Pid {
        let (kind, number) = self.say();
        assert_eq!(kind, 'p');
        Pid::from_raw(number)
    }
}

/// A shell with one job: tells its PID, when it stops and ends; `f` puts it in the foreground.
fn shell(case: Case, foreground: bool) -> u8 {
    let tell = |kind: u8, number: i32| {
        let mut line = [kind, 0, 0, 0, 0, 0, 0, 0];
        line[4..].copy_from_slice(&number.to_le_bytes());
        nix::unistd::write(std::io::stderr(), &line).unwrap();
    };
    setsid().unwrap();
    take_terminal(std::io::stdin());
    // As shells do, not to be stopped by what they do to the terminal.
    let ttou = crate::sys::signals::set_of([libc::SIGTTOU]);
    let block = nix::sys::signal::SigmaskHow::SIG_BLOCK;
    nix::sys::signal::pthread_sigmask(block, Some(&ttou), None).unwrap();
    let terminal = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let job = fork([&terminal; 3], || {
        setpgid(Pid::from_raw(0), Pid::from_raw(0)).unwrap();
        if foreground {
            tcsetpgrp(std::io::stdin(), getpid()).unwrap();
        }
        case.supervise()
    });
    tell(b'p', job.as_raw());
    loop {
        match waitpid(job, Some(WaitPidFlag::WUNTRACED)).unwrap() {
            WaitStatus::Stopped(_, signal) => {
                tcsetpgrp(&terminal, getpid()).unwrap();
                tell(b's', signal as i32);
                let mut order = [0];
                nix::unistd::read(std::io::stdout(), &mut order).unwrap();
                if order == *b"f" {
                    tcsetpgrp(&terminal, job).unwrap();
                }
                killpg(job, Signal::SIGCONT).unwrap();
            }
            WaitStatus::Exited(_, code) => {
                tell(b'e', code);
                return 0;
            }
            other => panic!("{other:?}"),
        }
    }
}

const SESSION: &str = "stty -echo; echo ready; while read line; do echo got-$line; done";

#[test]
fn raw_while_it_runs_and_restored_after_it() {
    let mut screen = Screen::new();
    let pid = screen.start(case(SESSION).tty().input());
    screen.expect("ready\r\n");
    assert!(screen.is_raw());
    screen.keys("one\r");
    screen.expect("got-one\r\n");
    // End of file is a key, too.
    screen.keys("\x04");
    assert_eq!(wait(pid), 0);
    assert!(screen.is_cooked());
}

#[test]
fn restored_on_every_way_out() {
    for (signal, code) in [
        (Signal::SIGTERM, 143),
        (Signal::SIGHUP, 129),
        (Signal::SIGINT, 130),
        (Signal::SIGQUIT, 131),
    ] {
        let mut screen = Screen::new();
        let pid = screen.start(case("echo ready; exec sleep 60").tty().input());
        screen.expect("ready");
        assert!(screen.is_raw());
        kill(pid, signal).unwrap();
        assert_eq!(wait(pid), code);
        assert!(screen.is_cooked());
    }
    let mut timed = case("echo ready; exec sleep 60").tty().input();
    timed.timeout = Some(Duration::from_millis(200));
    let mut screen = Screen::new();
    let pid = screen.start(timed);
    screen.expect("ready");
    assert_eq!(wait(pid), 124);
    assert!(screen.is_cooked());
}

#[test]
fn a_panic_restores_it_before_anything_unwinds() {
    let screen = Screen::new();
    let pid = fork([&screen.slave; 3], || {
        setsid().unwrap();
        take_terminal(std::io::stdin());
        let raw = Terminal::of_stdin().unwrap().raw().unwrap();
        // As in a release build, nothing is dropped.
        std::mem::forget(raw);
        panic!("for the test");
    });
    assert_eq!(wait(pid), 101);
    assert!(screen.is_cooked());
}

#[test]
fn another_process_restores_it_after_a_kill() {
    let screen = Screen::new();
    let ((orders, give), (said, say)) = (pipe(), pipe());
    let pid = fork([&screen.slave, &orders, &say], || {
        setsid().unwrap();
        take_terminal(std::io::stdin());
        let own = |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned().unwrap();
        let (stdin, stderr) = (
            own(std::io::stdin().as_fd()),
            own(std::io::stderr().as_fd()),
        );
        let parent = getpid();
        fork([&stdin, &stderr, &stderr], || {
            // A background process.
            setpgid(Pid::from_raw(0), Pid::from_raw(0)).unwrap();
            let restorer = Terminal::of_stdin().unwrap().restorer().unwrap();
            nix::unistd::write(std::io::stderr(), b"g").unwrap();
            while nix::unistd::getppid() == parent {
                std::thread::sleep(Duration::from_millis(5));
            }
            restorer.restore();
            0
        });
        nix::unistd::read(std::io::stdout(), &mut [0]).unwrap();
        let terminal = Terminal::of_stdin().unwrap();
        let _raw = terminal.raw().unwrap();
        nix::unistd::write(std::io::stderr(), b"r").unwrap();
        loop {
            nix::unistd::pause();
        }
    });
    let mut byte = [0];
    nix::unistd::read(&said, &mut byte).unwrap();
    nix::unistd::write(&give, b"x").unwrap();
    nix::unistd::read(&said, &mut byte).unwrap();
    assert!(screen.is_raw());
    kill(pid, Signal::SIGKILL).unwrap();
    waitpid(pid, None).unwrap();
    eventually("restored", || screen.is_cooked());
}

#[test]
fn what_somebody_else_has_set_is_left_alone() {
    let screen = Screen::new();
    let terminal = Terminal::open(screen.slave.as_fd(), true).unwrap();
    let mut mode = tcgetattr(&screen.slave).unwrap();
    mode.local_flags.remove(LocalFlags::ECHO);
    nix::sys::termios::tcsetattr(&screen.slave, nix::sys::termios::SetArg::TCSANOW, &mode).unwrap();
    terminal.restorer().unwrap().restore();
    let now = tcgetattr(&screen.slave).unwrap();
    assert_eq!(now.local_flags, mode.local_flags);
}

#[test]
fn ctrl_c_is_a_byte_and_the_pty_makes_a_signal_of_it() {
    let mut screen = Screen::new();
    let script = "trap 'echo caught; exit 3' INT; echo ready; while :; do sleep 0.02; done";
    let pid = screen.start(case(script).tty().input());
    screen.expect("ready");
    screen.keys("\x03");
    screen.expect("caught");
    assert_eq!(wait(pid), 3);
    assert!(screen.is_cooked());
}

#[test]
fn resize_is_forwarded() {
    let mut screen = Screen::new();
    screen.resize(33, 99);
    let script = "trap 'stty size' WINCH; stty size; echo ready; while :; do sleep 0.02; done";
    let pid = screen.start(case(script).tty().input());
    screen.expect("33 99\r\n");
    screen.expect("ready");
    screen.resize(44, 111);
    screen.expect("44 111\r\n");
    kill(pid, Signal::SIGTERM).unwrap();
    wait(pid);
}

#[test]
fn a_closed_terminal_ends_the_session() {
    let mut screen = Screen::new();
    let pid = screen.start(case("trap '' HUP; echo ready; exec sleep 60").tty().input());
    screen.expect("ready");
    drop(screen);
    assert_eq!(wait(pid), 129);
}

#[test]
fn ctrl_c_without_a_pty_reaches_the_commands_group() {
    let mut screen = Screen::new();
    let script = "sh -c 'trap \"echo inner; exit\" INT; echo ready; while :; do sleep 0.02; done'";
    let pid = screen.start(case(script));
    screen.expect("ready");
    screen.keys("\x03");
    screen.expect("inner");
    assert!(wait(pid) >= 0);
}

#[test]
fn ctrl_z_without_a_pty_stops_both() {
    let mut screen = Screen::new();
    let script = "echo pid-$$; exec sleep 60";
    let job = screen.start_job(case(script), true);
    let pid = job.pid();
    screen.expect("pid-");
    screen.expect("\r\n");
    screen.keys("\x1a");
    assert_eq!(job.say(), ('s', libc::SIGTSTP));
    let command = child_of(pid);
    eventually("stopped", || state(command) == 'T');
    job.order("f");
    eventually("continued", || state(command) != 'T');
    kill(pid, Signal::SIGTERM).unwrap();
    assert_eq!(job.say(), ('e', 143));
    wait(job.shell);
}

#[test]
fn an_outer_stop_gives_the_terminal_back_and_takes_it_again() {
    let mut screen = Screen::new();
    let job = screen.start_job(case(SESSION).tty().input(), true);
    let pid = job.pid();
    screen.expect("ready\r\n");
    assert!(screen.is_raw());
    kill(pid, Signal::SIGTSTP).unwrap();
    assert_eq!(job.say(), ('s', libc::SIGTSTP));
    assert!(screen.is_cooked());
    job.order("f");
    eventually("raw again", || screen.is_raw());
    screen.keys("two\r");
    screen.expect("got-two\r\n");
    screen.keys("\x04");
    assert_eq!(job.say(), ('e', 0));
    assert!(screen.is_cooked());
    wait(job.shell);
}

#[test]
fn started_in_the_background_it_waits_for_the_foreground() {
    let mut screen = Screen::new();
    let job = screen.start_job(case(SESSION).tty().input(), false);
    job.pid();
    assert_eq!(job.say(), ('s', libc::SIGTTOU));
    assert!(screen.is_cooked());
    // Continued in the background, it stops again.
    job.order("b");
    assert_eq!(job.say(), ('s', libc::SIGTTOU));
    job.order("f");
    screen.expect("ready\r\n");
    assert!(screen.is_raw());
    screen.keys("\x04");
    assert_eq!(job.say(), ('e', 0));
    wait(job.shell);
}

#[test]
fn a_stalled_terminal_stalls_nothing_else() {
    let screen = Screen::new();
    let mut timed = case("exec yes").tty().input();
    timed.timeout = Some(Duration::from_millis(300));
    let start = Instant::now();
    let pid = screen.start(timed);
    assert_eq!(wait(pid), 124);
    assert!(start.elapsed() < Duration::from_millis(300) + 4 * GRACE);
}

fn child_of(pid: Pid) -> Pid {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    Pid::from_raw(
        text.split_ascii_whitespace()
            .next()
            .unwrap()
            .parse()
            .unwrap(),
    )
}

fn state(pid: Pid) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit(") ").next().unwrap().chars().next().unwrap()
}
