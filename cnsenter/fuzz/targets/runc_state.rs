//! runc's state.json.
#![no_main]

libfuzzer_sys::fuzz_target!(|json: &[u8]| {
    let _ = cnsenter::resolve::parse_runc_state(json);
});
