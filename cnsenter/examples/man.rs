//! Writes the man pages, from the command line's definition: `cargo run --example man -- DIR`.
//!
//! An example, so that the shipped binary does not carry the generator. No page is committed:
//! what is made when it is needed cannot drift.

use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args_os().nth(1).map(PathBuf::from);
    let dir = dir.ok_or("usage: man DIR")?;
    std::fs::create_dir_all(&dir)?;
    // cnsenter.1, and cnsenter-ls.1 and so on, which its page names.
    let command = cnsenter::cli::command().disable_help_flag(true);
    clap_mangen::generate_to(command, dir)?;
    Ok(())
}
