//! A container's /etc/passwd.
#![no_main]

use cnsenter::plan::accounts::users;

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    for user in users(file) {
        assert!(!user.name.is_empty() && !user.name.contains(&b'\n'));
        // "No change" to the kernel: setresuid(2).
        assert!(user.uid != u32::MAX && user.gid != u32::MAX);
    }
});
