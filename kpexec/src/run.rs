//! The program's story: from the command line to the command's exit code.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use crate::aftermath::End;
use crate::cli::{ExecArgs, Invocation, Sub};
use crate::completion::asker::Asker;
use crate::error::Error;
use crate::program::Program;
use crate::report::Report;
use crate::request::{Caller, Request};
use crate::session::Ending;
use crate::settings::{ConfigArgs, Settings};
use crate::stderr::{printable, say};
use crate::trace::Trace;
use crate::{admin, by_api, cache, cli, completion, fallback, over_ssh, settings};

/// Runs kpexec.
#[must_use]
pub fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    let program = Program::of(&args);
    if let Some(asker) = Asker::of(program) {
        // Whatever was said instead would land in the middle of somebody's command line.
        let _ = completion::answer(asker, args, &mut io::stdout());
        return ExitCode::SUCCESS;
    }
    match run(program, &args) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            error.print(program, &args);
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(program: Program, args: &[OsString]) -> Result<u8, Error> {
    // A wrong word, and help, are told whatever is set.
    let mut invocation = cli::parse(program, args, &Settings::default())?;
    let caller = caller();
    let mut settings = Settings::default();
    if !matches!(invocation, Invocation::Completion(_)) {
        settings = Settings::load(&caller.env)?;
    }
    if !settings.is_empty() {
        invocation = cli::parse(program, args, &settings)?;
    }
    match invocation {
        Invocation::Exec(exec) => start(*exec, &caller),
        Invocation::Sub(sub) => match *sub {
            Sub::Admin(task) => Ok(on_one_thread(admin::run(task))??),
            Sub::Config(ConfigArgs::Show(args)) => {
                settings::show(&settings, args).map_err(Error::Output)?;
                Ok(0)
            }
            Sub::Cache(args) => {
                on_one_thread(cache::run(args))??;
                Ok(0)
            }
        },
        Invocation::Completion(shell) => {
            let written = completion::write_script(shell, &mut io::stdout());
            written.map_err(Error::Output)?;
            Ok(0)
        }
    }
}

fn start(exec: ExecArgs, caller: &Caller) -> Result<u8, Error> {
    let request = exec.into_request(caller)?;
    let end = on_one_thread(execute(&request))??;
    tell(&end);
    Ok(end.ending.code())
}

/// One thread is enough: what blocks has threads of its own.
fn on_one_thread<T>(work: impl Future<Output = T>) -> Result<T, Error> {
    has_descriptors().map_err(Error::FewDescriptors)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|source| Error::System {
        what: "start",
        source,
    })?;
    let done = runtime.block_on(async {
        // Who started us may have it ignored, and then nobody hears of the ends of programs (wait(2)).
        #[cfg(unix)]
        let _children = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::child());
        work.await
    });
    // Nothing that is still going on is worth waiting for.
    runtime.shutdown_background();
    Ok(done)
}

/// Whether as many files may be open as tokio needs: without them it does not fail, but aborts.
fn has_descriptors() -> io::Result<()> {
    /// epoll, its waker, and the pair of sockets that signals go through, of which it keeps a copy.
    const NEEDED: usize = 5;
    let null = if cfg!(windows) { "NUL" } else { "/dev/null" };
    let opened: io::Result<Vec<File>> = (0..NEEDED).map(|_| File::open(null)).collect();
    opened.map(drop)
}

/// Has the command run in the container, by the way that is wanted.
async fn execute(request: &Request) -> Result<End, Error> {
    let trace = Trace::new(request.run.verbose);
    let end = match &request.ssh {
        Some(by) => {
            // Nothing is waited for here.
            let report = Report::new(request.quiet, false);
            by.options.check(&report).map_err(Error::Ssh)?;
            match &by.node {
                Some(node) => over_ssh::run(node, by, request, &trace).await?,
                None => fallback::run(by, request, &trace).await?,
            }
        }
        None => by_api::run(request, &trace).await?,
    };
    trace.step(|| format!("ended; exit code {}", end.ending.code()));
    Ok(end)
}

/// As kubectl ends.
fn tell(end: &End) {
    if let Ending::Exit(exit) = &end.ending
        && exit.code != 0
    {
        let why = end.why.as_ref();
        let why = why.map_or_else(String::new, |why| printable(&format!(" ({why})")));
        say(format_args!(
            "command terminated with exit code {}{why}",
            exit.code
        ));
    }
}

fn caller() -> Caller {
    Caller {
        stdin_is_tty: io::stdin().is_terminal(),
        stderr_is_tty: io::stderr().is_terminal()
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb"),
        may_be_asked: io::stdin().is_terminal() || io::stderr().is_terminal(),
        env: std::env::vars_os().collect(),
    }
}
