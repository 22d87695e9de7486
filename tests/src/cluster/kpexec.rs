//! The kpexec under test, where kubectl is run too.

use std::ffi::{OsStr, OsString};

use super::{Cluster, Namespace, User};
use crate::{Cmd, cache};

impl Cluster {
    /// `kpexec` of somebody who may do everything.
    pub fn kpexec<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Cmd {
        let words = arguments.into_iter().map(|word| word.as_ref().to_owned());
        self.command([cache::kpexec().into_os_string()].into_iter().chain(words))
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
