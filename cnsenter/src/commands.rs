//! What cnsenter does besides running a command.

use std::io::{self, Write};
use std::time::Duration;

use crate::cli::{Caller, InspectArgs, LsArgs, Sub};
use crate::enter::{self, Target};
use crate::error::Error;
use crate::hostproc::HostProc;
use crate::request::{self, Lookup, Query};
use crate::stderr::warn;
use crate::trace::Trace;
use crate::{completion, inspect, list, resolve};

/// How long a daemon may take while somebody waits for a TAB.
const COMPLETION_TIMEOUT: Duration = Duration::from_millis(700);

/// Does what a subcommand says; its exit code.
///
/// # Errors
/// When it could not be done.
pub fn run(sub: Sub, caller: &Caller) -> Result<u8, Error> {
    match sub {
        Sub::Ls(args) => list(args, caller),
        Sub::Pause => {
            crate::pause::run();
            Ok(0)
        }
        Sub::Inspect(args) => inspect(args, caller),
        Sub::Completion { shell } => {
            completion::write_script(shell, &mut io::stdout().lock()).map_err(|source| {
                Error::System {
                    what: "write the completion script",
                    source,
                }
            })?;
            Ok(0)
        }
    }
}

fn list(args: LsArgs, caller: &Caller) -> Result<u8, Error> {
    let lookup = args.lookup.lookup(caller);
    let pod = args.pod.as_deref().map(request::parse_pod).transpose()?;
    let options = list::Options {
        format: args.output,
        pod,
        all: args.all,
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let warnings = list::run(&options, &HostProc::open()?, &lookup, &mut out)?;
    warnings.iter().for_each(warn);
    Ok(0)
}

fn inspect(args: InspectArgs, caller: &Caller) -> Result<u8, Error> {
    let query = Query::parse(&args.target)?;
    let lookup = args.lookup.lookup(caller);
    let proc = HostProc::open()?;
    let target = find(&proc, &query, &lookup, &Trace::new(false))?;
    let report = inspect::inspect(&proc, &target.container, &target.process)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    report
        .write(args.output, &mut out)
        .and_then(|()| out.flush())
        .map_err(|source| Error::System {
            what: "write the report",
            source,
        })?;
    Ok(0)
}

/// What a shell's TAB may choose from.
#[must_use]
pub fn candidates() -> Vec<resolve::Container> {
    let lookup = Lookup {
        timeout: COMPLETION_TIMEOUT,
        ..Lookup::default()
    };
    let list = HostProc::open()
        .ok()
        .and_then(|proc| resolve::list(&proc, &lookup, false).ok());
    list.map(|l| l.containers).unwrap_or_default()
}

/// Finds the container and holds on to its init: once that cannot be another process any more, the
/// runtime is asked again whether it is the container's.
///
/// # Errors
/// When there is no such container, or it ends meanwhile.
pub fn find(
    proc: &HostProc,
    query: &Query,
    lookup: &Lookup,
    trace: &Trace,
) -> Result<Target, Error> {
    let found = resolve::resolve(proc, query, lookup, trace)?;
    found.warnings.iter().for_each(warn);
    let target = enter::pin(proc, found.container)?;
    resolve::confirm(proc, &target.container, &target.process, lookup)?;
    trace.step(|| format!("pinned its init, PID {}", target.process.pid()));
    Ok(target)
}
