//! The table, and what is wanted of each of its rows.

use std::fmt::Write;
use std::fs;

/// What a row has to reach.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// At most this many times the reference.
    AtMost(f64),
    /// At least this many times the reference.
    AtLeast(f64),
    /// At most this much, by itself.
    Limit(f64),
}

/// One comparison.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) ours: f64,
    pub(crate) theirs: Option<f64>,
    pub(crate) unit: &'static str,
    pub(crate) target: Target,
}

impl Row {
    /// Cnsenter against a reference.
    pub(crate) fn ratio(what: &str, unit: &'static str, pair: [f64; 2], target: Target) -> Self {
        let [ours, theirs] = pair;
        Self {
            what: what.to_owned(),
            ours,
            theirs: Some(theirs),
            unit,
            target,
        }
    }

    /// Something that has a limit of its own.
    pub(crate) fn limit(what: &str, unit: &'static str, ours: f64, limit: f64) -> Self {
        Self {
            what: what.to_owned(),
            ours,
            theirs: None,
            unit,
            target: Target::Limit(limit),
        }
    }

    fn measured(&self) -> f64 {
        self.theirs.map_or(self.ours, |theirs| self.ours / theirs)
    }

    fn passes(&self) -> bool {
        match self.target {
            Target::AtMost(limit) | Target::Limit(limit) => self.measured() <= limit,
            Target::AtLeast(least) => self.measured() >= least,
        }
    }

    fn cells(&self) -> [String; 6] {
        let with_unit = |number: f64| format!("{number:.2} {}", self.unit);
        let (measured, target) = match self.target {
            Target::AtMost(limit) => (format!("{:.3} x", self.measured()), format!("<= {limit} x")),
            Target::AtLeast(least) => {
                (format!("{:.3} x", self.measured()), format!(">= {least} x"))
            }
            Target::Limit(limit) => ("-".to_owned(), format!("<= {limit} {}", self.unit)),
        };
        [
            self.what.clone(),
            with_unit(self.ours),
            self.theirs.map_or("-".to_owned(), with_unit),
            measured,
            target,
            if self.passes() { "pass" } else { "MISS" }.to_owned(),
        ]
    }
}

/// The whole report.
pub(crate) fn render(rows: &[Row]) -> String {
    let head = ["what", "ours", "reference", "ratio", "target", ""].map(str::to_owned);
    let cells: Vec<_> = [head]
        .into_iter()
        .chain(rows.iter().map(Row::cells))
        .collect();
    let width = |column: usize| {
        let lengths = cells.iter().map(|row| row[column].chars().count());
        lengths.max().unwrap_or(0)
    };
    let mut text = format!("{}\n\n", circumstances());
    for row in &cells {
        let padded = row
            .iter()
            .enumerate()
            .map(|(column, cell)| format!("{cell:<0$}", width(column)));
        let line = padded.collect::<Vec<_>>().join("  ");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let missed = rows.iter().filter(|row| !row.passes()).count();
    let _ = writeln!(text, "\n{} targets, {missed} missed", rows.len());
    text
}

/// What the numbers depend on.
fn circumstances() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "Linux {}, {cores} cores, load {}; medians; ratios are ours / reference",
        read("/proc/sys/kernel/osrelease").trim(),
        read("/proc/loadavg").split(' ').next().unwrap_or_default(),
    )
}
