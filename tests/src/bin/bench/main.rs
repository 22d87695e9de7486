//! `make bench`: cnsenter's speed and size, beside the tools that it is to replace.
//!
//! Both sides of a comparison are measured in one run, in turns, and the medians compared: numbers
//! of different runs or machines say nothing. A target that is missed is told as such, and is no
//! failure of this program; a command that fails is.
//!
//! The program also plays the part that measures, on a node or in a virtual machine, where the
//! commands are; see `measure.rs`.

mod machine;
mod measure;
mod node;
mod report;

use std::env;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use kpexec_tests::Cache;

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    if !words.is_empty() {
        print!("{}", measure::play(&words));
        return;
    }
    let mut rows = node::rows();
    rows.extend(machine::rows());
    let text = report::render(&rows);
    print!("{text}");

    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let name = format!("bench-{}.txt", now.map_or(0, |now| now.as_secs()));
    let path = Cache::here().folder("bench").join(name);
    fs::write(&path, text).unwrap_or_else(|error| panic!("write {}: {error}", path.display()));
    println!("written to {}", path.display());
}
