//! Docker's config.v2.json.
#![no_main]

libfuzzer_sys::fuzz_target!(|json: &[u8]| {
    let _ = cnsenter::resolve::parse_docker_config(json);
});
