//! The program's story: from the command line to the command's exit code.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use crate::aftermath::End;
use crate::agent::Agent;
use crate::cache::{Cache, Pending, Seen};
use crate::cli::{ExecArgs, Invocation, Sub};
use crate::cluster::Cluster;
use crate::completion::Asker;
use crate::ephemeral::Job;
use crate::error::Error;
use crate::manifest::Wish;
use crate::program::Program;
use crate::report::Report;
use crate::request::{BySsh, Caller, Named, Object, Request};
use crate::session::{Ending, Interrupts, Options};
use crate::settings::{ConfigArgs, Settings};
use crate::stderr::{printable, say};
use crate::target::{Manifest, Target, Wanted};
use crate::trace::Trace;
use crate::transport::Duplex;
use crate::{
    admin, aftermath, agent, cache, cli, completion, config, error, over_ssh, session, settings,
    target, transport,
};

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
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|source| Error::System {
        what: "start",
        source,
    })?;
    let done = runtime.block_on(work);
    // Nothing that is still going on is worth waiting for.
    runtime.shutdown_background();
    Ok(done)
}

/// Finds the container and the agent on its node, and has the command run there.
async fn execute(request: &Request) -> Result<End, Error> {
    let trace = Trace::new(request.run.verbose);
    if let Some(by) = &request.ssh
        && let Some(node) = &by.node
    {
        let (stream, options) = over_ssh::open_by_name(node, by, request, &trace).await?;
        let ended = session::run(stream, options).await;
        let end = aftermath::explain(None, None, ended).await?;
        trace.step(|| format!("ended; exit code {}", end.ending.code()));
        return Ok(end);
    }
    let access = config::load(&request.selection)?;
    let cache = Cache::of(&access.identity, request.cache_age);
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
    let (target, pods) = target::resolve(&cluster, &wanted, &report).await?;
    let seen = Seen {
        pods,
        by: (!named.is_pod()).then(|| named.to_string()),
        ..Seen::default()
    };
    let notes = cache.map(|cache| Pending::begin(cache, seen));
    if request.io.tty_refused {
        report.note("Unable to use a TTY - input is not a terminal or the right kind of file");
    }
    trace.step(|| {
        let Target {
            pod,
            container,
            container_id,
            node,
            ..
        } = &target;
        format!("container {container} of pod {pod} is {container_id} on {node}")
    });

    let way = Way {
        cluster: &cluster,
        request,
        target: &target,
        trace: &trace,
        report,
    };
    let end = match (&request.ssh, &request.ephemeral) {
        (Some(by), _) => way.by_ssh(by).await?,
        (None, Some(wish)) => way.with_ephemeral_agent(wish).await?,
        (None, None) => {
            way.report
                .step(format_args!("looking for nodepause on {}…", target.node));
            let agent = agent::find(&cluster, &request.agent_namespace, &target.node).await?;
            let (stream, options) = way.open(&agent).await?;
            let ended = session::run(stream, options).await;
            aftermath::explain(Some((&cluster, &target)), Some(&agent), ended).await?
        }
    };
    trace.step(|| format!("ended; exit code {}", end.ending.code()));
    if let Some(notes) = notes
        && let Err(error) = notes.end().await
    {
        trace.step(|| format!("nothing is remembered: {}", error::chain(&error)));
    }
    Ok(end)
}

/// From here, to the target.
struct Way<'a> {
    cluster: &'a Cluster,
    request: &'a Request,
    target: &'a Target,
    trace: &'a Trace,
    report: Report,
}

impl Way<'_> {
    /// Starts the command's session in an agent.
    async fn open(self, agent: &Agent) -> Result<(Duplex, Options), Error> {
        let Self {
            cluster,
            request,
            target,
            trace,
            report,
        } = self;
        trace.step(|| format!("the agent is {}/{}", agent.namespace, agent.pod));
        report.step(format_args!("connecting to {}…", target.node));
        let size = request.io.tty.then(session::size).flatten();
        let encoded = request.for_cnsenter(target.into(), true, size).encode()?;
        let stream = transport::open(cluster, agent, &encoded.words).await?;
        trace.step(|| {
            let words = encoded.words.join(" ");
            format!("connected by {}; cnsenter {words}", stream.by)
        });
        let options = Options {
            io: request.io,
            supplement: encoded.supplement,
            lease: request.run.lease,
            node: target.node.clone(),
            report,
        };
        Ok((stream, options))
    }

    /// Runs the command by SSH to the node.
    async fn by_ssh(self, by: &BySsh) -> Result<End, Error> {
        let Self {
            cluster, target, ..
        } = self;
        let host = over_ssh::host(cluster, &target.node, &by.address_types).await;
        let opened = over_ssh::open(
            &host,
            target.into(),
            by,
            self.request,
            self.report,
            self.trace,
        );
        let (stream, options) = opened.await?;
        let ended = session::run(stream, options).await;
        Ok(aftermath::explain(Some((cluster, target)), None, ended).await?)
    }

    /// Runs the command through an agent that is there for it alone. That is removed on every way
    /// out; a signal waits for it.
    async fn with_ephemeral_agent(self, wish: &Wish) -> Result<End, Error> {
        let mut interrupts = Interrupts::new();
        let Self {
            cluster, target, ..
        } = self;
        let node = &target.node;
        self.report.step(format_args!("making an agent on {node}…"));
        let job = Job::create(cluster, wish, node).await?;
        let opened = async {
            let limit = self.request.pod_running_timeout;
            let agent = job.ready(limit, &self.report).await?;
            let (stream, options) = self.open(&agent).await?;
            Ok((agent, stream, options))
        };
        let opened = tokio::select! {
            opened = opened => opened,
            signal = interrupts.next() => Err(session::Error::Interrupted(signal).into()),
        };
        let end = match opened {
            Err(error) => Err(error),
            Ok((agent, stream, options)) => tokio::select! {
                ended = session::run(stream, options) => {
                    let end = aftermath::explain(Some((cluster, target)), Some(&agent), ended).await;
                    end.map_err(Error::from)
                }
                never = job.keep() => match never {},
            },
        };
        // What was sent to the command is none of these.
        let mut interrupts = Interrupts::new();
        let removed = tokio::select! {
            removed = job.remove() => removed,
            _ = interrupts.next() => Err(job.left("interrupted")),
        };
        if let Err(words) = removed {
            say(printable(&words));
        }
        end
    }
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
