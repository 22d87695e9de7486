//! containerd's tasks: the OCI bundle of each, with the PID of its init.

use super::super::known::Store;
use super::super::process::{self, Claim};
use super::super::trust::{self, Dir};
use super::super::{Container, Context, Error, Source, Witness};
use super::{created_or, failure, parse_pid, read_spec, set_spec};

/// The most that is read from `init.pid` and `runtime`, in bytes.
const SMALL: u64 = 4096;

pub(super) fn load(
    ctx: &Context<'_>,
    store: &Store,
    namespace: Option<&str>,
    id: &str,
    dir: &Dir,
) -> Result<Option<Container>, Error> {
    let fail = |e| failure(id, e);
    let mut container = Container::new(id, store.runtime);
    container.runtime_namespace = namespace.map(str::to_owned);
    container.handler = handler(dir);
    container.source = Source::StateDir(dir.path().to_owned());
    container.witness = Witness::PidFile(dir.path().join("init.pid"));
    let pid_file = match dir.read("init.pid", SMALL) {
        Ok(file) => file,
        // Shims of other kernels write none; whoever knows a process of it must know that.
        Err(e) if e.is_missing() && process::is_of_another_kernel(&container) => {
            return Ok(Some(container));
        }
        Err(e) => return Err(fail(e)),
    };
    let pid = parse_pid(&pid_file.bytes).ok_or_else(|| {
        fail(trust::Error::Malformed {
            path: dir.path().join("init.pid"),
            what: "a PID",
        })
    })?;
    let spec = read_spec(dir).map_err(fail)?;
    let cgroups_path = spec.linux.as_ref().map_or("", |l| &l.cgroups_path);
    let claim = Claim {
        pid,
        cgroups_path,
        written: Some(pid_file.modified),
        start: None,
    };
    let state = process::state(ctx.proc, &ctx.lookup.host_root, &claim)?;
    container.state = created_or(ctx, store, &[namespace.unwrap_or_default(), id], state);
    set_spec(&mut container, spec);
    Ok(Some(container))
}

/// The runtime below: what the runc shim wrote down, or the shim's own program.
fn handler(dir: &Dir) -> Option<String> {
    const RUNC_SHIM: &str = "containerd-shim-runc-v2";
    let told = ["runtime", "shim-binary-path"]
        .iter()
        .filter_map(|name| dir.read(name, SMALL).ok())
        .filter_map(|file| String::from_utf8(file.bytes).ok())
        .map(|text| text.trim().to_owned())
        .find(|text| !text.is_empty())?;
    // runc's shim writes down no runtime if it is to use its default.
    Some(if told.ends_with(RUNC_SHIM) {
        "runc".into()
    } else {
        told
    })
}
