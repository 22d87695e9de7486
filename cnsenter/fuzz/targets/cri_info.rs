//! The verbose part of a CRI runtime's answer.
#![no_main]

libfuzzer_sys::fuzz_target!(|json: &[u8]| {
    let _ = cnsenter::resolve::parse_cri_info(json);
});
