//! State of users' own runtimes; looked for only after the node's own.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::super::known::{Layout, Store, oci_store, storage};
use super::super::{Context, Runtime};
use crate::request::RuntimeChoice;

/// The stores of every user with a runtime folder (pam_systemd's /run/user/UID). They are believed
/// about that user's containers only.
pub(super) fn stores(ctx: &Context<'_>) -> Vec<Store> {
    match ctx.lookup.runtime {
        RuntimeChoice::Auto | RuntimeChoice::None => {}
        RuntimeChoice::Containerd | RuntimeChoice::Cri | RuntimeChoice::Docker => {
            return Vec::new();
        }
    }
    let mut all = Vec::new();
    let users = std::fs::read_dir(ctx.lookup.host_root.join("run/user"));
    for user in users.into_iter().flatten().flatten() {
        let name = user.file_name();
        let Some(uid) = name.to_str().and_then(|n| n.parse::<u32>().ok()) else {
            continue;
        };
        if uid == 0 {
            continue;
        }
        let run = PathBuf::from("/run/user").join(&name);
        let data = home(ctx, uid).map(|h| h.join(".local/share/containers/storage"));
        let data = data.unwrap_or_else(|| "/nonexistent".into());
        all.push(storage(run.join("containers"), data, uid));
        all.push(oci_store(Layout::Crun, Runtime::Oci, run.join("crun"), uid));
        all.push(oci_store(Layout::Runc, Runtime::Oci, run.join("runc"), uid));
        let docker = run.join("docker/runtime-runc/moby");
        all.push(oci_store(Layout::Runc, Runtime::Docker, docker, uid));
    }
    all
}

/// The folder in /home that a user owns. (The node's user database may be on a network.)
fn home(ctx: &Context<'_>, uid: u32) -> Option<PathBuf> {
    let homes = std::fs::read_dir(ctx.lookup.host_root.join("home")).ok()?;
    let own = homes
        .flatten()
        .find(|h| h.metadata().is_ok_and(|m| m.uid() == uid))?;
    Some(PathBuf::from("/home").join(own.file_name()))
}
