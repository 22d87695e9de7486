//! containerd's tasks: the OCI bundle of each, with the PID of its init.

use super::super::known::Store;
use super::super::process::{self, Claim};
use super::super::trust::{self, Dir};
use super::super::{Container, Context, Error, Source, Witness};
use super::{created_or, failure, parse_pid, read_spec, set_spec};

/// The most that is read from `init.pid` and `runtime`, in bytes.
const SMALL: u64 = 4096;

/// The file that names a shim's program.
const SHIM: &str = "shim-binary-path";

const RUNC_SHIM: &str = "containerd-shim-runc-v2";

pub(super) fn load(
    ctx: &Context<'_>,
    store: &Store,
    namespace: Option<&str>,
    id: &str,
    dir: &Dir,
    siblings: &Dir,
) -> Result<Option<Container>, Error> {
    let fail = |e| failure(id, e);
    let mut container = Container::new(id, store.runtime);
    container.runtime_namespace = namespace.map(str::to_owned);
    container.handler = handler(dir, siblings);
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

/// The runtime below: what the runc shim wrote down, or the shim's own program. Since containerd 2.0
/// a pod's containers share the shim of their sandbox, and it is written down there alone.
fn handler(dir: &Dir, siblings: &Dir) -> Option<String> {
    let sandbox = || {
        siblings
            .dir(&written(dir, "sandbox").filter(|id| is_id(id))?)
            .ok()
    };
    let told = written(dir, "runtime")
        .or_else(|| written(dir, SHIM))
        .or_else(|| written(&sandbox()?, SHIM))?;
    // runc's shim writes down no runtime if it is to use its default.
    Some(if told.ends_with(RUNC_SHIM) {
        "runc".into()
    } else {
        told
    })
}

/// What a small file says, if anything.
fn written(dir: &Dir, name: &str) -> Option<String> {
    let text = String::from_utf8(dir.read(name, SMALL).ok()?.bytes).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// As containerd's identifiers are: nothing that leads out of a folder.
fn is_id(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.bytes().all(plain)
}
