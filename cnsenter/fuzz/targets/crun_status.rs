//! crun's status.
#![no_main]

libfuzzer_sys::fuzz_target!(|json: &[u8]| {
    let _ = cnsenter::resolve::parse_crun_status(json);
});
