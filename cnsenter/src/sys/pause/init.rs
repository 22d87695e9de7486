//! The work of a pod's init: reap every child, end on TERM or INT, once all sessions have ended.
//!
//! Compiled twice, into the small program of `main.rs` and into cnsenter (for nodes that forbid to
//! execute a memfd); so it knows only `core` and the kernel. Numbers and layouts are those of the
//! kernel's `asm/unistd.h`, `asm-generic/signal.h` and `linux/wait.h`.

use core::arch::asm;
use core::mem::MaybeUninit;

#[cfg(target_arch = "x86_64")]
mod number {
    pub(super) const RT_SIGPROCMASK: usize = 14;
    pub(super) const WAIT4: usize = 61;
    pub(super) const RT_SIGTIMEDWAIT: usize = 128;
    pub(super) const PRCTL: usize = 157;
    pub(super) const READ: usize = 0;
    pub(super) const CLOSE: usize = 3;
    pub(super) const SOCKET: usize = 41;
    pub(super) const SHUTDOWN: usize = 48;
    pub(super) const BIND: usize = 49;
    pub(super) const LISTEN: usize = 50;
    pub(super) const ACCEPT4: usize = 288;
}

#[cfg(target_arch = "aarch64")]
mod number {
    pub(super) const RT_SIGPROCMASK: usize = 135;
    pub(super) const RT_SIGTIMEDWAIT: usize = 137;
    pub(super) const PRCTL: usize = 167;
    pub(super) const WAIT4: usize = 260;
    pub(super) const CLOSE: usize = 57;
    pub(super) const READ: usize = 63;
    pub(super) const SOCKET: usize = 198;
    pub(super) const BIND: usize = 200;
    pub(super) const LISTEN: usize = 201;
    pub(super) const SHUTDOWN: usize = 210;
    pub(super) const ACCEPT4: usize = 242;
}

const NULL: usize = 0;
const SIG_BLOCK: usize = 0;
const SIGINT: isize = 2;
const SIGTERM: isize = 15;
const WNOHANG: usize = 1;
/// Children of clone(2) too, whatever signal they end with.
const WALL: usize = 0x4000_0000;
const PR_SET_NAME: usize = 15;
const PR_SET_CHILD_SUBREAPER: usize = 36;

const AF_UNIX: usize = 1;
const SOCK_STREAM: usize = 1;
const SOCK_NONBLOCK: usize = 0o4000;
const SOCK_CLOEXEC: usize = 0o2000000;
const SHUT_WR: usize = 1;

/// As many sessions can be told and waited for.
const MOST_SESSIONS: usize = 1024;

/// The name of the socket by which sessions know their pod's init, in the network namespace of that
/// pod (unix(7), "abstract"). Each stays connected to its end; nothing is ever sent.
pub const DOOR: &str = "kpexec-nodepause";

/// The kernel's sigset_t, all 64 signals.
static EVERY_SIGNAL: u64 = !0;

/// Reaps until TERM or INT comes, and then waits for the sessions that there are.
///
/// Those get no TERM of their own when a pod is deleted, but would be killed as soon as its init has
/// ended. So they are told, and have as long as the pod's grace period is.
///
/// Every signal is blocked and taken here one by one, so none has its default action and nothing
/// wakes an idle process. In a pod with hostPID this is not PID 1, and the orphans of the
/// container come to it only because it is their subreaper (PR_SET_CHILD_SUBREAPER(2const)).
pub fn reap_until_terminated() {
    block_signals();
    // Executing an fd names the process after its number (execveat(2)).
    let name = c"pause".as_ptr().addr();
    // SAFETY: the first takes no pointer, the second reads a string that lives for ever.
    unsafe {
        syscall(number::PRCTL, [PR_SET_CHILD_SUBREAPER, 1, 0, 0]);
        syscall(number::PRCTL, [PR_SET_NAME, name, 0, 0]);
    }
    let door = open_door();
    loop {
        // Before the first wait as well: a child may have ended before signals were blocked.
        while reap_one() {}
        if matches!(next_signal(), SIGTERM | SIGINT) {
            break;
        }
    }
    if let Some(door) = door {
        see_sessions_off(door);
    }
}

/// The socket that sessions connect to; None where another pause has it.
fn open_door() -> Option<usize> {
    // A sockaddr_un: the family, a NUL for "abstract", the name.
    let mut address = [0_u8; 3 + DOOR.len()];
    address[..2].copy_from_slice(&(AF_UNIX as u16).to_ne_bytes());
    address[3..].copy_from_slice(DOOR.as_bytes());
    let kind = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    // SAFETY: bind(2) reads the address, of the size given; the others take no pointer.
    unsafe {
        let door = usize::try_from(syscall(number::SOCKET, [AF_UNIX, kind, 0, 0])).ok()?;
        let bind = [door, address.as_ptr().addr(), address.len(), 0];
        let listens = syscall(number::BIND, bind) == 0
            && syscall(number::LISTEN, [door, MOST_SESSIONS, 0, 0]) == 0;
        listens.then_some(door)
    }
}

/// Tells every session, by the end of what it could read, and waits until it has hung up.
fn see_sessions_off(door: usize) {
    // Not zeroed: nothing here has a memset to do that with.
    let mut guests = [const { MaybeUninit::<usize>::uninit() }; MOST_SESSIONS];
    let mut count = 0;
    let mut byte = 0_u8;
    // SAFETY: no address is asked for, and what is read has its place, though sessions send
    // nothing; the first `count` guests were written.
    unsafe {
        for place in &mut guests {
            let guest = syscall(number::ACCEPT4, [door, NULL, NULL, SOCK_CLOEXEC]);
            let Ok(guest) = usize::try_from(guest) else {
                break;
            };
            syscall(number::SHUTDOWN, [guest, SHUT_WR, 0, 0]);
            place.write(guest);
            count += 1;
        }
        syscall(number::CLOSE, [door, 0, 0, 0]);
        for guest in guests.iter().take(count) {
            let place = (&raw mut byte).addr();
            syscall(number::READ, [guest.assume_init(), place, 1, 0]);
        }
    }
}

/// Blocks every signal that can be: they wait for [`reap_until_terminated`], across an exec too.
pub fn block_signals() {
    let set = (&raw const EVERY_SIGNAL).addr();
    // SAFETY: reads the set, of the size given; the old one is not asked for.
    unsafe {
        syscall(
            number::RT_SIGPROCMASK,
            [SIG_BLOCK, set, NULL, size_of::<u64>()],
        )
    };
}

/// Takes the next pending signal, or waits for one.
fn next_signal() -> isize {
    let set = (&raw const EVERY_SIGNAL).addr();
    // SAFETY: reads the set, of the size given; wants no siginfo and no timeout.
    unsafe { syscall(number::RT_SIGTIMEDWAIT, [set, NULL, NULL, size_of::<u64>()]) }
}

/// Whether there was an ended child, any one (PID -1).
fn reap_one() -> bool {
    // SAFETY: neither status nor rusage is asked for.
    unsafe { syscall(number::WAIT4, [usize::MAX, NULL, WNOHANG | WALL, NULL]) > 0 }
}

/// One system call; a negated errno if it fails.
///
/// # Safety
/// The arguments are valid for this call (syscall(2)).
unsafe fn syscall(number: usize, args: [usize; 4]) -> isize {
    let result: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the kernel keeps all registers but rax, rcx and r11; the caller vouches for the arguments.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => result,
            in("rdi") args[0], in("rsi") args[1], in("rdx") args[2], in("r10") args[3],
            lateout("rcx") _, lateout("r11") _, options(nostack, preserves_flags));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the kernel keeps all registers but x0; the caller vouches for the arguments.
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") args[0] => result,
            in("x1") args[1], in("x2") args[2], in("x3") args[3],
            options(nostack, preserves_flags));
    }
    result
}
