//! A container's /etc/group.
#![no_main]

use cnsenter::plan::accounts::groups;

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    for group in groups(file) {
        assert!(!group.name.is_empty() && group.gid != u32::MAX);
        assert!(!group.has_member(b""));
        let _ = group.has_member(group.name);
    }
});
