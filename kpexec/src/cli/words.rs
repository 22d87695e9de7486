//! What somebody who is used to kubectl needs to hear, instead of what clap makes of it.

use clap::Error;
use clap::error::{ContextKind, ErrorKind};

/// Flags of kubectl that have no meaning here.
const NONE: [&str; 11] = [
    "--cache-dir",
    "--disable-compression",
    "--kuberc",
    "--log-flush-frequency",
    "--match-server-version",
    "--password",
    "--profile",
    "--profile-output",
    "--username",
    "--vmodule",
    "--warnings-as-errors",
];

/// The error, in words of our own where it is about kubectl's.
pub(super) fn explained(error: Error) -> Error {
    if error.kind() != ErrorKind::UnknownArgument {
        return error;
    }
    let word = error.get(ContextKind::InvalidArg);
    let word = word.map(ToString::to_string).unwrap_or_default();
    let name = word.split(['=', ' ']).next().unwrap_or_default();
    let text = match name {
        "--v" => "--v is kubectl's; here each step is told by -v".to_owned(),
        // What clap makes of "-v=6".
        "-" if word == "-=" => "a flag of one letter that is no value's takes no \"=\"".to_owned(),
        name if NONE.contains(&name) => {
            format!("{name} is kubectl's, and has no meaning here: leave it out")
        }
        _ => return error,
    };
    Error::raw(ErrorKind::UnknownArgument, text)
}
