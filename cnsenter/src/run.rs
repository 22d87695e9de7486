//! The program's story: from the command line to the command's exit code.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use crate::cli::{Caller, ExecArgs, InspectArgs, Invocation, LsArgs, Sub};
use crate::enter::{self, Ourselves, Starter};
use crate::escape::escaped;
use crate::hostproc::HostProc;
use crate::plan;
use crate::request::{CgroupChoice, Lookup, Query, Request};
use crate::resolve;
use crate::supervise::{self, ExitReason, Signals, Terminal};
use crate::trace::Trace;
use crate::{completion, exit, inspect, list, request, seal};

/// How long a daemon may take while somebody waits for a TAB.
const COMPLETION_TIMEOUT: Duration = Duration::from_millis(700);

/// What ended cnsenter before, or instead of, its command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line's words are off.
    #[error("{0}")]
    Usage(clap::Error),
    /// One of its values is.
    #[error(transparent)]
    Request(#[from] request::Error),
    /// No sealed image to run from.
    #[error(transparent)]
    Seal(#[from] seal::Error),
    /// The node's /proc is not usable.
    #[error(transparent)]
    Proc(#[from] crate::hostproc::Error),
    /// No such container.
    #[error(transparent)]
    Resolve(#[from] resolve::Error),
    /// It cannot be entered as asked.
    #[error(transparent)]
    Plan(#[from] plan::Error),
    /// It was not entered.
    #[error(transparent)]
    Enter(#[from] enter::Error),
    /// Its streams or its end were lost.
    #[error(transparent)]
    Supervise(#[from] supervise::Error),
    /// Nothing was listed.
    #[error(transparent)]
    List(#[from] list::Error),
    /// A step of our own failed.
    #[error("cannot {what}")]
    System {
        /// What.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Enter(e) => e.exit_code(),
            // Asked for help: that is no failure.
            Self::Usage(e) if !e.use_stderr() => 0,
            _ => exit::CANNOT_ENTER,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Resolve(e) | Self::List(list::Error::Resolve(e)) => e.hint(),
            _ if self.is_denial() => confinement_hint(),
            _ => None,
        }
    }

    /// Whether the kernel said no at the bottom of it.
    fn is_denial(&self) -> bool {
        let mut causes = std::iter::successors(std::error::Error::source(self), |e| e.source());
        causes.any(|cause| {
            cause
                .downcast_ref::<io::Error>()
                .is_some_and(|e| e.kind() == io::ErrorKind::PermissionDenied)
        })
    }

    /// Prints the error and its causes, once, on one line, and what to do on a second one.
    fn print(&self) {
        if let Self::Usage(e) = self {
            return print_usage(e);
        }
        let mut line = format!("cnsenter: {self}");
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            line.push_str(": ");
            line.push_str(&describe(cause));
            source = cause.source();
        }
        eprintln!("{line}");
        if let Some(hint) = self.hint() {
            eprintln!("  {hint}");
        }
    }
}

/// Help as clap has it, to stdout if it was asked for; of an error what is wrong, on one line.
fn print_usage(error: &clap::Error) {
    use clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand as NothingGiven;
    if !error.use_stderr() || error.kind() == NothingGiven {
        let _ = error.print();
        return;
    }
    let text = error.to_string();
    let text = text.split("\n\nUsage:").next().unwrap_or(&text);
    let text = text.split("\n\nFor more").next().unwrap_or(text);
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let words: Vec<_> = text
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    eprintln!(
        "cnsenter: {}\n  cnsenter --help says more",
        escaped(&words.join(" "))
    );
}

/// A cause in words; the standard library would add "(os error N)".
fn describe(cause: &(dyn std::error::Error + 'static)) -> String {
    let errno = cause
        .downcast_ref::<io::Error>()
        .and_then(io::Error::raw_os_error);
    match errno {
        Some(number) => nix::errno::Errno::from_raw(number).desc().to_owned(),
        None => cause.to_string(),
    }
}

/// Runs cnsenter.
#[must_use]
pub fn main() -> ExitCode {
    match run(std::env::args_os().collect()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            error.print();
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(args: Vec<OsString>) -> Result<u8, Error> {
    if completion::is_requested() {
        completion::answer(args, candidates);
        return Ok(0);
    }
    if let Some(request) = seal::received()? {
        return execute(&request);
    }
    match crate::cli::parse(args.clone()).map_err(Error::Usage)? {
        Invocation::Exec(exec) => seal(*exec, &args),
        Invocation::Sub(sub) => subcommand(sub),
    }
}

/// The first half of a run: all that needs the caller's command line and environment.
fn seal(exec: ExecArgs, args: &[OsString]) -> Result<u8, Error> {
    let request = exec.into_request(&caller())?;
    let Err(error) = seal::run_sealed(&request, args);
    // That needs /proc, of which more can be said.
    HostProc::open()?;
    Err(error.into())
}

/// The second half, in the sealed image: find the container, decide, do it, stay to the end.
fn execute(request: &Request) -> Result<u8, Error> {
    let trace = Trace::new(request.verbose);
    let _ = nix::sys::prctl::set_name(c"cnsenter");
    tell_what_will_differ(request);
    let mut signals = Signals::block().map_err(|source| Error::System {
        what: "take over the signals that are passed on",
        source,
    })?;
    let terminal = request.io.tty.as_ref().and_then(|_| Terminal::of_caller());

    let proc = HostProc::open()?;
    let own = Ourselves::check(&proc)?;
    let found = resolve::resolve(&proc, &request.target, &request.lookup, &trace)?;
    warn(&found.warnings);
    let target = enter::pin(&proc, found.container)?;
    resolve::confirm(&proc, &target.container, &target.process, &request.lookup)?;
    trace.step(|| format!("pinned its init, PID {}", target.process.pid()));
    let facts = enter::gather(&proc, &own, &target, request)?;
    let plan = plan::plan(request, &facts)?;
    trace.step(|| plan.summary());

    let mut started = Starter {
        proc: &proc,
        own: &own,
        target: &target,
        plan: &plan,
        request,
        signals: &mut signals,
        terminal: terminal.as_ref(),
        trace: &trace,
    }
    .start()?;
    let options = supervise::Options {
        timeout: request.timeout,
        kill_on_exit: request.kill_on_exit,
    };
    let running = started.running()?;
    let reason = supervise::supervise(running, signals, terminal, &options)?;
    trace.step(|| format!("command ended; exit code {}", reason.code()));
    if reason != ExitReason::HungUp
        && let Err(error) = started.finish()
    {
        eprintln!("cnsenter: warning: the command's cgroup could not be removed: {error}");
    }
    Ok(reason.code())
}

/// What somebody who knows kubectl exec would otherwise wonder about.
fn tell_what_will_differ(request: &Request) {
    if request.io.tty_refused {
        eprintln!("Unable to use a TTY - input is not a terminal or the right kind of file");
    }
    if request.cgroup == CgroupChoice::Target {
        eprintln!(
            "cnsenter: warning: in the container's cgroup its limits hold for the command too: it may \
             fail at pids.max, and a memory hog may get the application killed"
        );
    }
}

fn subcommand(sub: Sub) -> Result<u8, Error> {
    match sub {
        Sub::Ls(args) => list(args),
        Sub::Pause => {
            crate::pause::run();
            Ok(0)
        }
        Sub::Inspect(args) => inspect(args),
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

fn list(args: LsArgs) -> Result<u8, Error> {
    let lookup = args.lookup.lookup(&caller());
    let pod = args.pod.as_deref().map(request::parse_pod).transpose()?;
    let options = list::Options {
        format: args.output,
        pod,
        all: args.all,
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let warnings = list::run(&options, &HostProc::open()?, &lookup, &mut out)?;
    warn(&warnings);
    Ok(0)
}

fn inspect(args: InspectArgs) -> Result<u8, Error> {
    let query = Query::parse(&args.target)?;
    let lookup = args.lookup.lookup(&caller());
    let proc = HostProc::open()?;
    let found = resolve::resolve(&proc, &query, &lookup, &Trace::new(false))?;
    warn(&found.warnings);
    let target = enter::pin(&proc, found.container)?;
    resolve::confirm(&proc, &target.container, &target.process, &lookup)?;
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
fn candidates() -> Vec<resolve::Container> {
    let lookup = Lookup {
        timeout: COMPLETION_TIMEOUT,
        ..Lookup::default()
    };
    let list = HostProc::open()
        .ok()
        .and_then(|proc| resolve::list(&proc, &lookup, false).ok());
    list.map(|l| l.containers).unwrap_or_default()
}

/// Where AppArmor confines cnsenter itself, that is most likely why a step was denied.
fn confinement_hint() -> Option<String> {
    let label = std::fs::read("/proc/self/attr/apparmor/current").ok()?;
    let label = label.trim_ascii().strip_suffix(b" (enforce)")?;
    Some(format!(
        "AppArmor confines cnsenter itself, by the profile \"{}\"; run it from an unconfined shell",
        crate::escape::escaped(label)
    ))
}

fn warn(warnings: &[resolve::Warning]) {
    for warning in warnings {
        eprintln!("cnsenter: warning: {warning}");
    }
}

fn caller() -> Caller {
    Caller {
        stdin_is_tty: io::stdin().is_terminal(),
        stdout_is_tty: io::stdout().is_terminal(),
        env: std::env::vars_os().collect(),
    }
}
