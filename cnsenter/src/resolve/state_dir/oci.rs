//! runc and crun used alone: their own state files name the PID and its start time.

use serde::Deserialize;

use super::super::known::{Layout, Store};
use super::super::process::{self, Claim};
use super::super::trust::{self, Dir};
use super::super::{Container, Context, Error, Source, State, Witness};
use super::{failure, read_spec, set_spec};
use crate::spec::{Linux, Spec, SpecNamespace};

/// The most that is read from a state file, in bytes.
pub(super) const LIMIT: u64 = 16 << 20;

/// What runc's state.json and crun's status say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OciState {
    /// The init's PID; 0 once it has ended, or was never there.
    pub pid: i32,
    /// Its start time in clock ticks since boot; 0 if not written down.
    pub start: u64,
    /// Where the OCI bundle is.
    pub bundle: Option<String>,
    /// Whether the container has a mount namespace of its own.
    pub own_mounts: bool,
}

/// Reads runc's state.json.
///
/// # Errors
/// When it is not JSON of that form.
pub fn parse_runc_state(json: &[u8]) -> serde_json::Result<OciState> {
    #[derive(Deserialize)]
    struct Runc {
        #[serde(default)]
        init_process_pid: i32,
        #[serde(default)]
        init_process_start: u64,
        #[serde(default)]
        config: Config,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Config {
        labels: Vec<String>,
        namespaces: Vec<Namespace>,
    }
    #[derive(Deserialize)]
    struct Namespace {
        #[serde(rename = "type")]
        kind: String,
    }
    let runc: Runc = serde_json::from_slice(json)?;
    let bundle = runc.config.labels.iter();
    let bundle = bundle.filter_map(|l| l.strip_prefix("bundle=")).next_back();
    Ok(OciState {
        pid: runc.init_process_pid,
        start: runc.init_process_start,
        bundle: bundle.map(str::to_owned),
        own_mounts: runc.config.namespaces.iter().any(|n| n.kind == "NEWNS"),
    })
}

/// Reads crun's status.
///
/// # Errors
/// When it is not JSON of that form.
pub fn parse_crun_status(json: &[u8]) -> serde_json::Result<OciState> {
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Crun {
        #[serde(default)]
        pid: i32,
        #[serde(default)]
        process_start_time: u64,
        bundle: Option<String>,
    }
    let crun: Crun = serde_json::from_slice(json)?;
    Ok(OciState {
        pid: crun.pid,
        start: crun.process_start_time,
        bundle: crun.bundle,
        own_mounts: true,
    })
}

/// A layout's state file, and the key of the PID in it.
fn file_of(layout: Layout) -> (&'static str, &'static str) {
    match layout {
        Layout::Crun => ("status", "pid"),
        _ => ("state.json", "init_process_pid"),
    }
}

pub(super) fn load(
    ctx: &Context<'_>,
    store: &Store,
    id: &str,
    dir: &Dir,
) -> Result<Option<Container>, Error> {
    let fail = |e| failure(id, e);
    let (name, key) = file_of(store.layout);
    let path = dir.path().join(name);
    let file = match dir.read(name, LIMIT) {
        Ok(file) => file,
        Err(e) if e.is_missing() => return Ok(None),
        Err(e) => return Err(fail(e)),
    };
    let parse = match store.layout {
        Layout::Crun => parse_crun_status,
        _ => parse_runc_state,
    };
    let oci = parse(&file.bytes).map_err(|_| {
        fail(trust::Error::Malformed {
            path: path.clone(),
            what: "the state of an OCI runtime",
        })
    })?;
    let mut container = Container::new(id, store.runtime);
    container.handler = Some(
        if store.layout == Layout::Crun {
            "crun"
        } else {
            "runc"
        }
        .into(),
    );
    container.source = Source::StateDir(dir.path().to_owned());
    container.witness = Witness::StateFile { path, key };
    container.state = state(ctx, &oci, file.modified)?;
    if dir.has("exec.fifo")
        && let State::Running(pid) = container.state
    {
        container.state = State::Created(Some(pid));
    }
    set_spec(&mut container, spec(ctx, store, dir, &oci));
    Ok(Some(container))
}

fn state(ctx: &Context<'_>, oci: &OciState, written: i64) -> Result<State, Error> {
    if oci.pid <= 0 {
        return Ok(State::Exited {
            code: None,
            at: None,
        });
    }
    let claim = Claim {
        pid: nix::unistd::Pid::from_raw(oci.pid),
        cgroups_path: "",
        written: Some(written),
        start: Some(oci.start),
    };
    Ok(process::state(ctx.proc, &ctx.lookup.host_root, &claim)?)
}

/// crun keeps a copy of the spec; runc only says where the bundle is, which may be anywhere: a
/// spec that others could have written is left out (it names environment and working directory).
fn spec(ctx: &Context<'_>, store: &Store, dir: &Dir, oci: &OciState) -> Spec {
    let from_bundle = || {
        let bundle = oci.bundle.as_ref()?;
        let bundle = ctx.root.dir(bundle.as_ref(), store.owner).ok()?;
        read_spec(&bundle).ok()
    };
    let known = || Spec {
        linux: Some(Linux {
            namespaces: Vec::from_iter(oci.own_mounts.then(|| SpecNamespace {
                kind: "mount".into(),
                path: None,
            })),
            ..Linux::default()
        }),
        ..Spec::default()
    };
    read_spec(dir)
        .ok()
        .or_else(from_bundle)
        .unwrap_or_else(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_runcs_state() {
        let state = parse_runc_state(
            br#"{"id":"x","init_process_pid":42,"init_process_start":7,"config":{
                "labels":["org=x","bundle=/b"],"namespaces":[{"type":"NEWNS","path":""}]}}"#,
        )
        .unwrap();
        let wanted = OciState {
            pid: 42,
            start: 7,
            bundle: Some("/b".into()),
            own_mounts: true,
        };
        assert_eq!(state, wanted);
        assert!(parse_runc_state(b"{\"init_process_pid\":\"x\"}").is_err());
    }

    #[test]
    fn reads_cruns_status() {
        let state =
            parse_crun_status(br#"{"pid":42,"process-start-time":7,"bundle":"/b"}"#).unwrap();
        assert_eq!((state.pid, state.start), (42, 7));
        assert!(parse_crun_status(b"[]").is_err());
    }
}
