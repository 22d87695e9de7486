//! Who wants words: a shell, or kubectl for one.

use clap::ValueEnum;

use crate::program::Program;

/// Tells kpexec that a shell wants words, and which shell.
pub(super) const VARIABLE: &str = "_KPEXEC_COMPLETE";

/// Which of the words has the cursor. The name is that of clap_complete's scripts.
pub(super) const INDEX: &str = "_CLAP_COMPLETE_INDEX";

/// A shell that completes words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// bash 3.2 or newer.
    Bash,
    /// zsh.
    Zsh,
    /// fish.
    Fish,
    /// PowerShell.
    Powershell,
}

impl Shell {
    /// As `-C` spells it.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::from_str(name, false).ok()
    }
}

/// Who wants words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// A shell, by its script.
    Shell(Shell),
    /// kubectl, for whatever shell.
    Kubectl,
}

impl Asker {
    /// None if we are to run as usual.
    #[must_use]
    pub fn of(program: Program) -> Option<Self> {
        if program == Program::PluginCompleter {
            return Some(Self::Kubectl);
        }
        let shell = std::env::var(VARIABLE).ok()?;
        Shell::of_name(&shell).map(Self::Shell)
    }
}
