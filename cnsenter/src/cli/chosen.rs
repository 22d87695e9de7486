//! What the command line's words come to: a request.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use super::{ExecArgs, LookupArgs};
use crate::request::{
    CgroupChoice, DAEMON_TIMEOUT, Error, IdOrName, Io, Lookup, Namespace, Query, Request, Tty,
    UserSpec,
};

/// What is known of the caller besides the command line.
#[derive(Debug, Default)]
pub struct Caller {
    /// Whether stdin is a terminal.
    pub stdin_is_tty: bool,
    /// Whether stdout is a terminal.
    pub stdout_is_tty: bool,
    /// The environment.
    pub env: Vec<(OsString, OsString)>,
}

impl Caller {
    fn var(&self, name: &OsStr) -> Option<&OsString> {
        self.env.iter().find(|(k, _)| k == name).map(|(_, v)| v)
    }
}

impl LookupArgs {
    /// Where to look, with what the caller's environment adds.
    #[must_use]
    pub fn lookup(&self, caller: &Caller) -> Lookup {
        Lookup {
            runtime: self.runtime,
            endpoint: self.runtime_endpoint.as_deref().map(strip_unix_scheme),
            runtime_namespace: self.runtime_namespace.clone(),
            host_root: self.host_root.clone(),
            docker_host: caller
                .var(OsStr::new("DOCKER_HOST"))
                .and_then(|v| v.as_bytes().strip_prefix(b"unix://"))
                .map(|p| PathBuf::from(OsStr::from_bytes(p))),
            timeout: DAEMON_TIMEOUT,
        }
    }
}

/// crictl and DOCKER_HOST write sockets as `unix:///path`.
fn strip_unix_scheme(path: &std::path::Path) -> PathBuf {
    let bytes = path.as_os_str().as_bytes();
    PathBuf::from(OsStr::from_bytes(
        bytes.strip_prefix(b"unix://").unwrap_or(bytes),
    ))
}

impl ExecArgs {
    /// The request that these arguments make.
    ///
    /// # Errors
    /// When a value has no meaning; the message says what to write.
    pub fn into_request(self, caller: &Caller) -> Result<Request, Error> {
        let target = Query::parse(self.target.as_deref().unwrap_or_default())?;
        let io = self.chosen_io(caller);
        let run = self.run;
        run.check()?;
        let namespaces = run.chosen_namespaces()?;
        let user = run.user.as_deref().map(UserSpec::parse).transpose()?;
        let extra_groups = run
            .group_add
            .iter()
            .map(|g| IdOrName::parse(g))
            .collect::<Result<_, _>>()?;
        let env = run.variables(|name| caller.var(name))?.into_iter();
        let env = env.map(|(name, value)| (OsString::from_vec(name), OsString::from_vec(value)));
        let lookup = self.lookup.lookup(caller);
        // The container's environment goes with its files; without them the caller's does, unless
        // that is a pod's.
        let caller_env = match namespaces.contains(&Namespace::Mount) || !lookup.is_on_node() {
            true => Vec::new(),
            false => caller.env.clone(),
        };
        Ok(Request {
            target,
            lookup,
            command: self.command,
            io,
            user,
            extra_groups,
            workdir: run.workdir.map(PathBuf::into_os_string),
            env: env.collect(),
            caller_env,
            clear_env: run.clear_env,
            namespaces,
            cgroup: run.cgroup.unwrap_or(CgroupChoice::Own),
            memory: run.memory,
            timeout: run.timeout,
            kill_on_exit: run.kill_on_exit,
            verbose: run.verbose,
            expected: None,
            link: None,
        })
    }

    fn chosen_io(&self, caller: &Caller) -> Io {
        let both = caller.stdin_is_tty && caller.stdout_is_tty;
        let by_default = both && !self.stdin && !self.no_tty;
        let tty = (self.tty || by_default) && caller.stdin_is_tty;
        Io {
            stdin: self.stdin || tty,
            tty: tty.then(|| Tty {
                term: caller.var(OsStr::new("TERM")).cloned(),
                size: None,
            }),
            tty_refused: self.tty && !tty,
        }
    }
}
