//! A runtime spec, config.json.
#![no_main]

libfuzzer_sys::fuzz_target!(|json: &[u8]| {
    let _ = cnsenter::spec::Spec::parse(json);
});
