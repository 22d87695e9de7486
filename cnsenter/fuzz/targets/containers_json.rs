//! containers.json of Podman and CRI-O.
#![no_main]

libfuzzer_sys::fuzz_target!(|json: &[u8]| {
    let _ = cnsenter::resolve::parse_containers(json);
});
