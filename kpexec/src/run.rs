//! The program's story: from the command line to the command's exit code.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use crate::cli::{ExecArgs, Invocation, Sub};
use crate::cluster::Cluster;
use crate::completion::Asker;
use crate::error::{Error, say};
use crate::program::Program;
use crate::report::Report;
use crate::request::{Caller, Named, Object, Request};
use crate::session::{Ending, Options};
use crate::target::{Manifest, Wanted};
use crate::trace::Trace;
use crate::{agent, cli, completion, config, session, target, transport};

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
            error.print(program);
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(program: Program, args: &[OsString]) -> Result<u8, Error> {
    let failed = |what| move |source| Error::System { what, source };
    match cli::parse(program, args).map_err(Error::Usage)? {
        Invocation::Exec(exec) => return start(*exec),
        Invocation::Completion(shell) => {
            completion::write_script(shell, &mut io::stdout())
                .map_err(failed("write the script"))?;
        }
        Invocation::Sub(Sub::Version) => {
            let line = format!("kpexec {}\n", env!("CARGO_PKG_VERSION"));
            let written = io::stdout().write_all(line.as_bytes());
            written.map_err(failed("write the version"))?;
        }
    }
    Ok(0)
}

fn start(exec: ExecArgs) -> Result<u8, Error> {
    let request = exec.into_request(&caller())?;
    // One thread is enough: what blocks has threads of its own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|source| Error::System {
        what: "start",
        source,
    })?;
    let ending = runtime.block_on(execute(&request));
    // Nothing that is still going on is worth waiting for.
    runtime.shutdown_background();
    let ending = ending?;
    tell(&ending);
    Ok(ending.code())
}

/// Finds the container and the agent on its node, and has the command run there.
async fn execute(request: &Request) -> Result<Ending, Error> {
    let trace = Trace::new(request.run.verbose);
    let access = config::load(&request.selection)?;
    let cluster = Cluster::new(access, request.request_timeout)?;
    trace.step(|| format!("the cluster is {}", cluster.host()));

    let (named, namespace) = object(request)?;
    let wanted = Wanted {
        namespace: namespace.as_deref().unwrap_or(&cluster.default_namespace),
        named: &named,
        container: request.container.as_deref(),
        limit: request.pod_running_timeout,
    };
    let report = Report::new(request.quiet, request.progress);
    report.step(format_args!("resolving {named}…"));
    let target = target::resolve(&cluster, &wanted, &report).await?;
    if request.io.tty_refused {
        report.note("Unable to use a TTY - input is not a terminal or the right kind of file");
    }
    trace.step(|| {
        let target::Target {
            pod,
            container,
            container_id,
            node,
            ..
        } = &target;
        format!("container {container} of pod {pod} is {container_id} on {node}")
    });

    report.step(format_args!("looking for nodepause on {}…", target.node));
    let agent = agent::find(&cluster, &request.agent_namespace, &target.node).await?;
    trace.step(|| format!("its agent is {}/{}", agent.namespace, agent.pod));

    let size = request.io.tty.then(session::size).flatten();
    let encoded = request.for_cnsenter(&target, size).encode()?;
    report.step(format_args!("connecting to {}…", target.node));
    let stream = transport::open(&cluster, &agent, &encoded.words).await?;
    trace.step(|| format!("connected; cnsenter {}", encoded.words.join(" ")));
    let options = Options {
        io: request.io,
        supplement: encoded.supplement,
        lease: request.run.lease,
        node: target.node,
        report,
    };
    let ending = session::run(stream, options).await?;
    trace.step(|| format!("ended; exit code {}", ending.code()));
    Ok(ending)
}

/// What is entered, and its namespace if it is said.
fn object(request: &Request) -> Result<(Named, Option<String>), target::Error> {
    match &request.target {
        Object::Named(named) => Ok((named.clone(), request.namespace.clone())),
        Object::InFile(path) => {
            let manifest = Manifest::read(path)?;
            let namespace = manifest.namespace(request.namespace.as_deref())?;
            Ok((manifest.named, namespace))
        }
    }
}

/// As kubectl ends.
fn tell(ending: &Ending) {
    if let Ending::Exit(exit) = ending
        && exit.code != 0
    {
        let why = if exit.timed_out { " (--timeout)" } else { "" };
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
        env: std::env::vars_os().collect(),
    }
}
