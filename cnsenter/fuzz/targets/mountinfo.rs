//! /proc/PID/mountinfo: a container with CAP_SYS_ADMIN has a say in every field.
#![no_main]

use cnsenter::inspect::mounts::{is_root_read_only, parse};

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    let mounts = parse(file);
    assert!(mounts.len() <= file.split(|b| *b == b'\n').count());
    assert!(is_root_read_only(&mounts).is_none() || mounts.iter().any(|m| m.target == "/"));
});
