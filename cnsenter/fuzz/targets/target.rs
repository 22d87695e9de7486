//! TARGET and -u, which over kpexec come from somebody else; and how both are shown.
#![no_main]

use cnsenter::escape::escaped;
use cnsenter::request::{Query, UserSpec};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    assert!(!escaped(bytes).to_string().chars().any(char::is_control));
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match Query::parse(text) {
        Ok(query) => assert!(!query.to_string().chars().any(char::is_control)),
        Err(error) => assert!(!error.to_string().chars().any(char::is_control)),
    }
    let _ = UserSpec::parse(text);
});
