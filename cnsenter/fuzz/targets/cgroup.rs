//! /proc/PID/cgroup: a container with a hierarchy of its own names groups as it likes.
#![no_main]

use cnsenter::inspect::cgroup::parse;
use cnsenter::resolve::container_of;

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    if let Some(found) = container_of(file) {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        assert!(!found.id.is_empty() && found.id.bytes().all(plain));
    }
    for group in parse(file) {
        assert!(group.settings.is_empty());
    }
});
