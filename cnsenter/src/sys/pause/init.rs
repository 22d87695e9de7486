//! The work of a pod's init: reap every child, end on TERM or INT.
//!
//! Compiled twice, into the small program of `main.rs` and into cnsenter (for nodes that forbid to
//! execute a memfd); so it knows only `core` and the kernel. Numbers and layouts are those of the
//! kernel's `asm/unistd.h`, `asm-generic/signal.h` and `linux/wait.h`.

use core::arch::asm;

#[cfg(target_arch = "x86_64")]
mod number {
    pub(super) const RT_SIGPROCMASK: usize = 14;
    pub(super) const WAIT4: usize = 61;
    pub(super) const RT_SIGTIMEDWAIT: usize = 128;
    pub(super) const PRCTL: usize = 157;
}

#[cfg(target_arch = "aarch64")]
mod number {
    pub(super) const RT_SIGPROCMASK: usize = 135;
    pub(super) const RT_SIGTIMEDWAIT: usize = 137;
    pub(super) const PRCTL: usize = 167;
    pub(super) const WAIT4: usize = 260;
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

/// The kernel's sigset_t, all 64 signals.
static EVERY_SIGNAL: u64 = !0;

/// Reaps until TERM or INT comes.
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
    loop {
        // Before the first wait as well: a child may have ended before signals were blocked.
        while reap_one() {}
        if matches!(next_signal(), SIGTERM | SIGINT) {
            return;
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
