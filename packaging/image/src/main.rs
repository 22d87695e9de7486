//! `kpexec-image CNSENTER ARCHIVE`: makes nodepause's image of a cnsenter.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

use kpexec_image::nodepause;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kpexec-image: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [program, archive] = &arguments[..] else {
        return Err("usage: kpexec-image CNSENTER ARCHIVE".into());
    };
    let cnsenter =
        fs::read(program).map_err(|error| format!("read {}: {error}", program.display()))?;
    fs::write(archive, nodepause::image(&cnsenter)?)
        .map_err(|error| format!("write {}: {error}", archive.display()))?;
    Ok(())
}
