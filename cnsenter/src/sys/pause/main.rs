//! What `cnsenter pause` becomes: a program without std, of about one page.
//!
//! Rust's std alone holds 384 KiB resident, and every node runs one of these for ever. build.rs
//! compiles it, `crate::pause` embeds and executes it.

#![no_std]
#![no_main]

use core::arch::{asm, naked_asm};
use core::panic::PanicInfo;

mod init;

#[cfg(target_arch = "x86_64")]
const EXIT_GROUP: usize = 231;
#[cfg(target_arch = "aarch64")]
const EXIT_GROUP: usize = 94;

/// Where the kernel enters: no caller, no return address, and a stack that is not yet as a
/// function expects it.
// SAFETY: the linker's default entry has this name and nothing else in the program does.
#[unsafe(no_mangle)]
#[unsafe(naked)]
extern "C" fn _start() -> ! {
    #[cfg(target_arch = "x86_64")]
    naked_asm!("xor ebp, ebp", "and rsp, -16", "call {main}", "ud2", main = sym main);
    #[cfg(target_arch = "aarch64")]
    naked_asm!("mov x29, xzr", "bl {main}", "brk #1", main = sym main);
}

extern "C" fn main() -> ! {
    init::reap_until_terminated();
    exit(0)
}

fn exit(code: usize) -> ! {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: exit_group(2) takes no pointer and does not return.
    unsafe {
        asm!("syscall", in("rax") EXIT_GROUP, in("rdi") code, options(noreturn, nostack));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: exit_group(2) takes no pointer and does not return.
    unsafe {
        asm!("svc 0", in("x8") EXIT_GROUP, in("x0") code, options(noreturn, nostack));
    }
}

/// Nothing above panics; the language wants this all the same.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    exit(70)
}
