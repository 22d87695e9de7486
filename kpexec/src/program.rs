//! What the user calls us: the name that we were started by.

use std::ffi::OsString;
use std::fmt;
use std::path::Path;

/// A name that this program is installed under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `kpexec`, or whatever else it was renamed to.
    Kpexec,
    /// `kubectl-pexec`, which kubectl runs for `kubectl pexec`.
    Plugin,
    /// `kubectl_complete-pexec`, which kubectl runs to complete the words of that.
    PluginCompleter,
}

impl Program {
    /// By the first word of a command line.
    #[must_use]
    pub fn of(args: &[OsString]) -> Self {
        let name = args.first().and_then(|word| Path::new(word).file_stem());
        match name.and_then(|name| name.to_str()) {
            Some("kubectl-pexec") => Self::Plugin,
            Some("kubectl_complete-pexec") => Self::PluginCompleter,
            _ => Self::Kpexec,
        }
    }

    /// What is typed to run it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kpexec => "kpexec",
            Self::Plugin | Self::PluginCompleter => "kubectl pexec",
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_tells_who_calls() {
        let of = |word: &str| Program::of(&[word.into()]);
        assert_eq!(of("/usr/bin/kubectl-pexec"), Program::Plugin);
        assert_eq!(of("kubectl-pexec.exe"), Program::Plugin);
        assert_eq!(of("kubectl_complete-pexec"), Program::PluginCompleter);
        assert_eq!(of("kpexec"), Program::Kpexec);
        assert_eq!(Program::of(&[]), Program::Kpexec);
    }
}
