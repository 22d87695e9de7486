//! A session's command line, one word a line, and after an empty line its Request frame.
#![no_main]

use cnsenter_protocol::Argv;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let end = bytes.windows(2).position(|two| two == b"\n\n");
    let (words, payload) = match end {
        Some(end) => (&bytes[..end], &bytes[end + 2..]),
        None => (bytes, &b""[..]),
    };
    let Ok(words) = std::str::from_utf8(words) else {
        return;
    };
    let words: Vec<_> = words.split('\n').collect();
    let Ok(argv) = Argv::read(&words) else {
        return;
    };
    let Ok(request) = argv.complete(payload) else {
        return;
    };
    // What was read is what was written: a policy that looks at fixed places sees the same.
    let Ok(encoded) = request.encode() else {
        return;
    };
    assert_eq!(encoded.words[..4], words[..4]);
    let again = Argv::read(&encoded.words).and_then(|argv| {
        argv.complete(&encoded.supplement.unwrap_or_default())
    });
    assert_eq!(again, Ok(request));
});
