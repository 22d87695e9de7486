//! What a host says before it lets anybody in (RFC 4252, section 5.4): whose it is, or where its user has
//! to confirm the login.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::prompt::Prompt;
use super::settings::Settings;

/// The most of it that is shown, in bytes.
const MOST: usize = 16 << 10;

/// Whoever shows it, on a terminal, to a user who wants to know (LogLevel of ssh_config(5)).
#[derive(Clone)]
pub(super) struct Banner {
    to: Option<Prompt>,
    /// How much of it was shown.
    shown: Arc<AtomicUsize>,
}

impl Banner {
    pub(super) fn new(settings: &Settings, prompt: &Prompt) -> Self {
        Self {
            to: (prompt.may() && settings.tells_banners).then(|| prompt.clone()),
            shown: Arc::default(),
        }
    }

    /// Shows what the host says.
    pub(super) fn show(&self, text: &str) {
        let Some(prompt) = &self.to else {
            return;
        };
        let text = text.replace("\r\n", "\n");
        let text = text.trim_end();
        let before = self.shown.fetch_add(text.len(), Ordering::Relaxed);
        if !text.is_empty() && before + text.len() <= MOST {
            prompt.note(text);
        }
    }

    /// Whether the user has something to do before the host goes on.
    pub(super) fn is_shown(&self) -> bool {
        self.shown.load(Ordering::Relaxed) > 0
    }
}
