//! The program's story: from the command line to the command's exit code.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::os::fd::RawFd;
use std::process::ExitCode;

use cnsenter_protocol::KilledFor;

use crate::cli::{Caller, ExecArgs, Invocation};
use crate::commands::{self, find};
use crate::enter::{self, Ourselves, Starter};
use crate::error::Error;
use crate::hostproc::HostProc;
use crate::link::{Cause, Link};
use crate::request::{CgroupChoice, Request};
use crate::session::{self, original::Asked};
use crate::stderr::{say, warn};
use crate::supervise::{self, ExitReason, Signals, Terminal};
use crate::sys::image::let_go_of_code;
use crate::trace::Trace;
use crate::{completion, plan, resolve, seal};

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

fn run(mut args: Vec<OsString>) -> Result<u8, Error> {
    if completion::is_requested() {
        completion::answer(args, commands::candidates);
        return Ok(0);
    }
    if let Some(request) = seal::received()? {
        return match request.link {
            Some(link) => execute_for(link, &request),
            None => {
                let (reason, killed_for) = execute(&request, None)?;
                tell(reason, killed_for);
                Ok(reason.code())
            }
        };
    }
    if let Some(words) = session::asked_for(&args) {
        return session::serve(words).map_err(Error::from);
    }
    if session::original::asked_for(&args) {
        match session::original::read(&args)? {
            Asked::Session(words) => return session::serve(&words).map_err(Error::from),
            Asked::List(words) => {
                args.truncate(1);
                args.extend(words);
            }
        }
    }
    match crate::cli::parse(args.clone()).map_err(Error::Usage)? {
        Invocation::Exec(exec) => seal(*exec, &args),
        Invocation::Sub(sub) => commands::run(sub, &caller()),
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

/// The second half for a session, which hears of its end by `link`; nobody looks at the exit code.
fn execute_for(link: RawFd, request: &Request) -> Result<u8, Error> {
    let mut link = Link::inherit(link).map_err(|source| Error::System {
        what: "take over the session's socket",
        source,
    })?;
    match execute(request, Some(&mut link)) {
        Ok((reason, killed_for)) => {
            link.ended(reason.for_client(killed_for));
            Ok(reason.code())
        }
        Err(error) => {
            let cause = match &error {
                Error::Enter(enter::Error::Exec(_)) => Cause::Execute,
                _ => Cause::Enter,
            };
            link.failed(cause, error.exit_code(), &error.text());
            Ok(error.exit_code())
        }
    }
}

/// The second half, in the sealed image: find the container, decide, do it, stay to the end.
/// `link` is the session's that this belongs to. Why the command ended, and why the kernel killed it.
fn execute(
    request: &Request,
    link: Option<&mut Link>,
) -> Result<(ExitReason, Option<KilledFor>), Error> {
    let trace = Trace::new(request.verbose);
    let _ = nix::sys::prctl::set_name(c"cnsenter");
    tell_what_will_differ(request);
    let proc = HostProc::open()?;
    let own = Ourselves::check(&proc, &request.lookup)?;
    let mut signals = Signals::block(&own.status).map_err(|source| Error::System {
        what: "take over the signals that are passed on",
        source,
    })?;
    let terminal = request.io.tty.as_ref().and_then(|_| Terminal::of_caller());
    if let Some(link) = &link {
        let heard = link.orders().and_then(|orders| signals.heed(orders));
        heard.map_err(|source| Error::System {
            what: "listen to the session",
            source,
        })?;
    }

    let target = find(&proc, &request.target, &request.lookup, &trace)?;
    if let Some(expected) = &request.expected {
        resolve::check_place(&target.container, expected)?;
    }
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
    if let Some(link) = link {
        link.started(started.pid, started.lent_terminal());
        // Nobody waits for it now.
        let_go_of_code();
    }
    let options = supervise::Options {
        timeout: request.timeout,
        kill_on_exit: request.kill_on_exit,
    };
    let running = started.running()?;
    let reason = supervise::supervise(running, signals, terminal, &options)?;
    trace.step(|| format!("command ended; exit code {}", reason.code()));
    let killed_for = started.killed_for(&target, reason);
    if reason != ExitReason::HungUp
        && let Err(error) = started.finish()
    {
        warn(format_args!(
            "the command's cgroup could not be removed: {error}"
        ));
    }
    Ok((reason, killed_for))
}

/// What the exit code alone does not say.
fn tell(reason: ExitReason, killed_for: Option<KilledFor>) {
    match (reason, killed_for) {
        (ExitReason::TimedOut, _) => {
            say("cnsenter: the command took longer than --timeout and was ended");
        }
        (_, Some(KilledFor::Memory)) => {
            say("cnsenter: the command, or a part of it, was killed: --memory was exceeded");
        }
        (_, Some(KilledFor::Container)) => {
            say("cnsenter: the command was killed, for its container ended");
        }
        (_, None) => {}
    }
}

/// What somebody who knows kubectl exec would otherwise wonder about.
fn tell_what_will_differ(request: &Request) {
    if request.io.tty_refused {
        say("Unable to use a TTY - input is not a terminal or the right kind of file");
    }
    if request.cgroup == CgroupChoice::Target {
        warn(
            "in the container's cgroup its limits hold for the command too: it may \
             fail at pids.max, and a memory hog may get the application killed",
        );
    }
}

fn caller() -> Caller {
    Caller {
        stdin_is_tty: io::stdin().is_terminal(),
        stdout_is_tty: io::stdout().is_terminal(),
        env: std::env::vars_os().collect(),
    }
}
