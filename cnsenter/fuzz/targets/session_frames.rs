//! What either end of a session's stream may be sent, in pieces: the first byte says how long.
#![no_main]

use cnsenter_protocol::{Decoder, Item};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((piece, bytes)) = bytes.split_first() else {
        return;
    };
    for mut decoder in [Decoder::of_server(), Decoder::of_client()] {
        let mut data = 0;
        let mut pieces = bytes.chunks(usize::from(*piece) + 1);
        let fine = pieces.all(|mut input| loop {
            match decoder.next(&mut input) {
                Ok(Some(Item::Data { bytes, .. })) => data += bytes.len(),
                Ok(Some(Item::Control { session, message })) => {
                    // What was read can be written, and is then read as the same.
                    let mut wire = Vec::new();
                    message.put(&mut wire, session);
                    let again = Decoder::of_server().next(&mut &wire[..]).map(|item| {
                        item == Some(Item::Control { session, message })
                    });
                    assert_eq!(again, Ok(true));
                }
                Ok(None) => {
                    assert!(input.is_empty());
                    break true;
                }
                Err(_) => break false,
            }
        });
        assert!(data <= bytes.len() && decoder.noise().len() <= bytes.len());
        if fine {
            let _ = decoder.finish();
        }
    }
});
