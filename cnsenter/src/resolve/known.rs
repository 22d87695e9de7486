//! Where runtimes keep their state and listen, by default.

use std::path::{Path, PathBuf};

use crate::request::{Lookup, RuntimeChoice};

use super::Runtime;

/// How a state directory is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// containerd's tasks: `<ns>/<id>/` is the OCI bundle with `init.pid`.
    Tasks,
    /// containers/storage: `<driver>-containers/<id>/userdata/`.
    Storage,
    /// runc: `<id>/state.json`.
    Runc,
    /// crun: `<id>/status`.
    Crun,
}

/// One state directory.
#[derive(Debug, Clone)]
pub(super) struct Store {
    pub(super) layout: Layout,
    /// Whose containers it holds, unless they say otherwise.
    pub(super) runtime: Runtime,
    pub(super) path: PathBuf,
    /// Where the OCI runtime below keeps its own state (with a folder for each of containerd's
    /// namespaces).
    pub(super) oci_roots: &'static [&'static str],
    /// Where lasting data is, for containers/storage.
    pub(super) data: Option<PathBuf>,
    /// Whose it is: 0, or a user with rootless containers.
    pub(super) owner: u32,
}

/// A daemon's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api {
    Containerd,
    Cri,
    Docker,
}

const TASKS: [(Runtime, &str, &[&str]); 6] = [
    (
        Runtime::Containerd,
        "/run/containerd",
        &["/run/containerd/runc"],
    ),
    (
        Runtime::Containerd,
        "/run/k3s/containerd",
        &["/run/containerd/runc", "/run/k3s/containerd/runc"],
    ),
    (
        Runtime::Containerd,
        "/var/snap/microk8s/common/run/containerd",
        &["/run/containerd/runc"],
    ),
    (
        Runtime::Containerd,
        "/run/k0s/containerd",
        &["/run/containerd/runc", "/run/k0s/containerd/runc"],
    ),
    (
        Runtime::Docker,
        "/run/docker/containerd/daemon",
        &["/run/docker/runtime-runc"],
    ),
    (
        Runtime::Docker,
        "/run/docker/containerd",
        &["/run/docker/runtime-runc"],
    ),
];

/// The folders of containerd's two shim APIs below its state directory, the newer first.
pub(super) const TASK_PLUGINS: [&str; 2] = [
    "io.containerd.runtime.v2.task",
    "io.containerd.runtime.v1.linux",
];

/// Docker's lasting data, for its containers' names.
pub(super) const DOCKER_CONTAINERS: &str = "/var/lib/docker/containers";

/// Where kubelet links the logs of every container.
pub(super) const KUBELET_LOGS: &str = "/var/log/containers";

/// Whether containers of `runtime` are wanted, without its daemon being asked.
pub(super) fn wants(lookup: &Lookup, runtime: Runtime) -> bool {
    match lookup.runtime {
        RuntimeChoice::Auto | RuntimeChoice::None => true,
        RuntimeChoice::Containerd => runtime == Runtime::Containerd,
        RuntimeChoice::Docker => runtime == Runtime::Docker,
        RuntimeChoice::Cri => false,
    }
}

/// The state directories of the node's own runtimes that `lookup` wants, the commonest first.
pub(super) fn stores(lookup: &Lookup) -> Vec<Store> {
    let wants = |runtime| wants(lookup, runtime);
    let mut all = Vec::with_capacity(16);
    for (runtime, path, oci_roots) in TASKS {
        // Docker's containers may be tasks of the system's containerd, in its namespace "moby".
        if wants(runtime) || path == "/run/containerd" && wants(Runtime::Docker) {
            for plugin in TASK_PLUGINS {
                all.push(Store {
                    layout: Layout::Tasks,
                    runtime,
                    path: Path::new(path).join(plugin),
                    oci_roots,
                    data: None,
                    owner: 0,
                });
            }
        }
    }
    if wants(Runtime::Podman) {
        all.push(storage(
            "/run/containers/storage".into(),
            "/var/lib/containers/storage".into(),
            0,
        ));
    }
    let oci = [
        (
            Layout::Runc,
            Runtime::Docker,
            "/run/docker/runtime-runc/moby",
        ),
        (Layout::Runc, Runtime::Oci, "/run/runc"),
        (Layout::Crun, Runtime::Oci, "/run/crun"),
    ];
    for (layout, runtime, path) in oci {
        if wants(runtime) {
            all.push(oci_store(layout, runtime, path.into(), 0));
        }
    }
    all
}

/// containers/storage of one user.
pub(super) fn storage(run: PathBuf, data: PathBuf, owner: u32) -> Store {
    Store {
        layout: Layout::Storage,
        runtime: Runtime::Podman,
        path: run,
        oci_roots: &["/run/crun", "/run/runc"],
        data: Some(data),
        owner,
    }
}

/// The state directory of an OCI runtime that is used alone.
pub(super) fn oci_store(layout: Layout, runtime: Runtime, path: PathBuf, owner: u32) -> Store {
    Store {
        layout,
        runtime,
        path,
        oci_roots: &[],
        data: None,
        owner,
    }
}

/// The sockets that `lookup` wants to be asked, as paths on the node.
pub(super) fn sockets(lookup: &Lookup) -> Vec<(Api, PathBuf)> {
    let containerd = [
        "/run/containerd/containerd.sock",
        "/run/k3s/containerd/containerd.sock",
        "/var/snap/microk8s/common/run/containerd.sock",
        "/run/k0s/containerd.sock",
        "/run/docker/containerd/containerd.sock",
        "/run/docker/containerd/docker-containerd.sock",
    ];
    let cri = ["/run/crio/crio.sock"];
    let docker = || {
        lookup
            .docker_host
            .clone()
            .unwrap_or_else(|| "/run/docker.sock".into())
    };
    let all = |api, paths: &[&str]| -> Vec<_> { paths.iter().map(|p| (api, p.into())).collect() };
    match lookup.runtime {
        RuntimeChoice::None => Vec::new(),
        RuntimeChoice::Containerd => all(Api::Containerd, &containerd),
        RuntimeChoice::Docker => vec![(Api::Docker, docker())],
        RuntimeChoice::Cri => {
            let mut found = all(Api::Cri, &containerd);
            found.extend(all(Api::Cri, &cri));
            found.push((Api::Cri, "/run/cri-dockerd.sock".into()));
            found
        }
        RuntimeChoice::Auto => {
            let mut found = all(Api::Containerd, &containerd);
            found.extend(all(Api::Cri, &cri));
            found.push((Api::Docker, docker()));
            found
        }
    }
}
