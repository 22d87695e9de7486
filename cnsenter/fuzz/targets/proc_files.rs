//! The other files of /proc/PID that are parsed.
#![no_main]

use cnsenter::inspect::{credentials, limits, lsm};
use cnsenter::plan::IdMap;

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    let map = IdMap::parse(file);
    let _ = map.to_string();
    // Both readers agree on who is root.
    let ranges = credentials::parse_map(file);
    if let [range] = ranges[..]
        && range.count > 0
    {
        assert_eq!(map.outside(range.inside), Some(range.outside));
        assert_eq!(
            credentials::inside(&ranges, range.outside),
            Some(range.inside)
        );
    }
    let _ = limits::parse(file);
    let _ = lsm::parse(file);
});
