//! The kpexec under test, where kubectl is run too.

use std::ffi::{OsStr, OsString};

use super::{Cluster, Namespace, User};
use crate::{Cmd, cache};

/// Where [`Cluster::install_kpexec`] puts it.
const BIN: &str = "/root/bin";

/// The names that it has there.
const NAMES: [&str; 3] = ["kpexec", "kubectl-pexec", "kubectl_complete-pexec"];

impl Cluster {
    /// `kpexec` of somebody who may do everything.
    pub fn kpexec<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Cmd {
        let words = arguments.into_iter().map(|word| word.as_ref().to_owned());
        self.command([cache::kpexec().into_os_string()].into_iter().chain(words))
    }

    /// Links kpexec under all of its names, for [`Cluster::installed`].
    ///
    /// # Panics
    /// If that fails.
    pub fn install_kpexec(&self) {
        self.machine.command(["mkdir", "-p", BIN]).ok();
        let program = cache::kpexec();
        for name in NAMES {
            let link = format!("{BIN}/{name}");
            let words = [
                OsStr::new("ln"),
                OsStr::new("-sfn"),
                program.as_ref(),
                OsStr::new(&link),
            ];
            self.machine.command(words).ok();
        }
    }

    /// A command that finds kpexec, by all of its names, and kubectl in PATH.
    pub fn installed<S: AsRef<OsStr>>(&self, argv: impl IntoIterator<Item = S>) -> Cmd {
        self.command(argv).path_first(BIN)
    }
}

impl Namespace<'_> {
    /// `kpexec` of the administrator in this namespace.
    pub fn kpexec<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Cmd {
        let fixed: [OsString; 2] = ["-n".into(), self.name.clone().into()];
        let words = arguments.into_iter().map(|word| word.as_ref().to_owned());
        self.cluster.kpexec(fixed.into_iter().chain(words))
    }
}

impl User<'_> {
    /// `kpexec` of this user.
    pub fn kpexec<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Cmd {
        self.cluster.kpexec(arguments).env("KUBECONFIG", &self.file)
    }
}
