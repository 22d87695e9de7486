//! Where a user's files are.

use std::path::PathBuf;

use etcetera::BaseStrategy;

/// kpexec's own folders in a user's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    /// `$XDG_CONFIG_HOME/kpexec`, else `~/.config/kpexec`; on Windows that of `%APPDATA%`.
    pub config: PathBuf,
    /// `$XDG_CACHE_HOME/kpexec`, else `~/.cache/kpexec`; on Windows that of `%LOCALAPPDATA%`.
    pub cache: PathBuf,
}

impl Folders {
    /// None where nobody has a home directory.
    #[must_use]
    pub fn of_user() -> Option<Self> {
        let places = etcetera::choose_base_strategy().ok()?;
        Some(Self {
            config: places.config_dir().join("kpexec"),
            cache: places.cache_dir().join("kpexec"),
        })
    }
}
