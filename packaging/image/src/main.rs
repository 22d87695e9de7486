//! `kpexec-image FOLDER CNSENTER...`: makes nodepause's image of each cnsenter, as
//! `FOLDER/nodepause-ARCHITECTURE.tar`.

use std::error::Error;
use std::path::{Path, PathBuf};
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
    let [folder, programs @ ..] = &arguments[..] else {
        return Err("usage: kpexec-image FOLDER CNSENTER...".into());
    };
    programs
        .iter()
        .try_for_each(|program| make(folder, program))
}

fn make(folder: &Path, program: &Path) -> Result<(), Box<dyn Error>> {
    let cnsenter =
        fs::read(program).map_err(|error| format!("read {}: {error}", program.display()))?;
    let image =
        nodepause::image(&cnsenter).map_err(|error| format!("{}: {error}", program.display()))?;
    let path = folder.join(format!("nodepause-{}.tar", image.architecture));
    fs::write(&path, image.archive)
        .map_err(|error| format!("write {}: {error}", path.display()))?;
    println!("{}", path.display());
    Ok(())
}
