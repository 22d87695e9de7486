//! Resource limits (getrlimit(2), proc_pid_limits(5)).

use serde::Serialize;

/// One resource's limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rlimit {
    /// As in RLIMIT_NOFILE, in lower case; the kernel's own words for one that is unknown here.
    pub name: String,
    /// What holds now; None is unlimited.
    pub soft: Option<u64>,
    /// How far the process may raise that; None is unlimited.
    pub hard: Option<u64>,
    /// `bytes`, `files`, `us` ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

/// The kernel pads the first column to this many bytes, and its names hold spaces.
const NAME_WIDTH: usize = 26;

const NAMES: [(&str, &str); 16] = [
    ("Max cpu time", "cpu"),
    ("Max file size", "fsize"),
    ("Max data size", "data"),
    ("Max stack size", "stack"),
    ("Max core file size", "core"),
    ("Max resident set", "rss"),
    ("Max processes", "nproc"),
    ("Max open files", "nofile"),
    ("Max locked memory", "memlock"),
    ("Max address space", "as"),
    ("Max file locks", "locks"),
    ("Max pending signals", "sigpending"),
    ("Max msgqueue size", "msgqueue"),
    ("Max nice priority", "nice"),
    ("Max realtime priority", "rtprio"),
    ("Max realtime timeout", "rttime"),
];

/// Reads a /proc/PID/limits; lines of another form are passed over.
#[must_use]
pub fn parse(file: &[u8]) -> Vec<Rlimit> {
    String::from_utf8_lossy(file)
        .lines()
        .filter_map(limit)
        .collect()
}

fn limit(line: &str) -> Option<Rlimit> {
    let (name, values) = line.split_at_checked(NAME_WIDTH)?;
    let mut values = values.split_ascii_whitespace();
    let known = NAMES.iter().find(|(long, _)| *long == name.trim_end());
    Some(Rlimit {
        name: known.map_or(name.trim_end(), |(_, short)| short).to_owned(),
        soft: value(values.next()?)?,
        hard: value(values.next()?)?,
        unit: values.next().map(str::to_owned),
    })
}

/// None if it is no limit at all, Some(None) if it is unlimited.
fn value(text: &str) -> Option<Option<u64>> {
    match text {
        "unlimited" => Some(None),
        number => number.parse().ok().map(Some),
    }
}
