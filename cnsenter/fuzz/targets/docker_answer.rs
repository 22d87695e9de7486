//! What Docker's API answers.
#![no_main]

use cnsenter::resolve::{parse_docker_inspect, parse_docker_list};

libfuzzer_sys::fuzz_target!(|json: &[u8]| {
    let _ = parse_docker_list(json);
    let _ = parse_docker_inspect(json);
});
