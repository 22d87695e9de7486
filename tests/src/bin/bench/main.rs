//! `make bench`: the speed and size of cnsenter and kpexec, beside the tools that they are to replace.
//!
//! Both sides of a comparison are measured in one run, in turns, and the medians compared: numbers
//! of different runs or machines say nothing. A target that is missed is told as such, and is no
//! failure of this program; a command that fails is.
//!
//! The program also plays the part that measures, on a node or in a virtual machine, where the
//! commands are; see `measure.rs`.

mod ask;
mod cluster;
mod machine;
mod measure;
mod node;
mod report;
mod search;
mod ssh;

use std::env;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use kpexec_tests::Cache;
use report::Row;

/// What can be measured by itself: `bench cluster`.
type Part = (&'static str, fn() -> Vec<Row>);

const PARTS: [Part; 4] = [
    ("node", node::rows),
    ("machine", machine::rows),
    ("cluster", cluster::rows),
    ("ssh", ssh::rows),
];

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let is_part = |word: &String| PARTS.iter().any(|(name, _)| name == word);
    if !words.iter().all(is_part) {
        print!("{}", measure::play(&words));
        return;
    }
    let chosen = |name: &str| words.is_empty() || words.iter().any(|word| word == name);
    let parts = PARTS.iter().filter(|(name, _)| chosen(name));
    let rows: Vec<_> = parts.flat_map(|(_, rows)| rows()).collect();
    let text = report::render(&rows);
    print!("{text}");

    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let name = format!("bench-{}.txt", now.map_or(0, |now| now.as_secs()));
    let path = Cache::here().folder("bench").join(name);
    fs::write(&path, text).unwrap_or_else(|error| panic!("write {}: {error}", path.display()));
    println!("written to {}", path.display());
}
