//! Lists on stdout: columns for people, JSON and YAML for programs.

use std::fmt;
use std::io::{self, Write};

use clap::ValueEnum;
use serde::Serialize;

use crate::stderr::printable;

/// `-o` of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
    /// For programs, and for people too.
    Yaml,
}

/// Writes a list to stdout.
///
/// # Errors
/// When that is full; not when nobody reads it any more, as `head` leaves us.
pub fn print(
    format: Format,
    list: &impl Serialize,
    text: impl FnOnce() -> String,
) -> io::Result<()> {
    let text = match format {
        Format::Text => printable(&text()),
        Format::Json => serde_json::to_string_pretty(list).map_err(io::Error::other)? + "\n",
        Format::Yaml => serde_saphyr::to_string(list).map_err(io::Error::other)?,
    };
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Columns as wide as their widest cell.
pub struct Table<const N: usize>(Vec<[String; N]>);

impl<const N: usize> Table<N> {
    /// A table of no rows yet.
    #[must_use]
    pub fn new(heading: [&str; N]) -> Self {
        Self(vec![heading.map(str::to_owned)])
    }

    /// Adds one.
    pub fn row(&mut self, cells: [&str; N]) {
        self.0.push(cells.map(str::to_owned));
    }
}

impl<const N: usize> fmt::Display for Table<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| self.0.iter().map(|row| row[column].chars().count()).max();
        let widths: [usize; N] = std::array::from_fn(|column| width(column).unwrap_or(0));
        for row in &self.0 {
            let cells = row.iter().zip(widths);
            let cells: Vec<_> = cells
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            writeln!(f, "{}", cells.join("  ").trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let mut table = Table::new(["A", "B"]);
        table.row(["long", "x"]);
        table.row(["é", ""]);
        assert_eq!(table.to_string(), "A     B\nlong  x\né\n");
    }
}
