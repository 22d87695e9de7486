//! Keys that nothing answers: their user is told, and may give the connection up.

use std::time::Duration;

use tokio::time::Instant;

/// How often this is looked at while keys are unanswered.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// After how long the other end is asked for a sign of life: not every key has an answer.
const DOUBT: Duration = Duration::from_secs(2);

/// After how long the user is told that there is none.
const PATIENCE: Duration = Duration::from_secs(5);

/// What then gives the connection up, as in ssh(1). It is no key of ours as long as keys are answered.
const ESCAPE: [u8; 2] = *b"~.";

/// How long nothing has come since something was typed.
#[derive(Debug, Default)]
pub(super) struct Silence {
    begun: Option<Instant>,
    is_asked: bool,
    is_told: bool,
    last_key: u8,
}

/// What is to be done about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing.
    Wait,
    /// To ask for a sign of life.
    Ask,
    /// To tell the user.
    Tell,
}

impl Silence {
    /// Whether there is something to look at.
    pub(super) fn may_be(&self) -> bool {
        self.begun.is_some()
    }

    /// How long it has been.
    pub(super) fn length(&self) -> Duration {
        self.begun.map_or(Duration::ZERO, |begun| begun.elapsed())
    }

    /// Something was typed; whether that gives up a connection whose silence was told.
    pub(super) fn typed(&mut self, keys: &[u8]) -> bool {
        self.begun.get_or_insert_with(Instant::now);
        if !self.is_told {
            return false;
        }
        keys.iter()
            .any(|&key| [std::mem::replace(&mut self.last_key, key), key] == ESCAPE)
    }

    /// Something came; whether the user believes that nothing does.
    pub(super) fn ends(&mut self) -> bool {
        std::mem::take(self).is_told
    }

    /// What is to be done by now, each of it once.
    pub(super) fn step(&mut self) -> Step {
        let length = self.length();
        if length >= PATIENCE && !self.is_told {
            self.is_told = true;
            return Step::Tell;
        }
        if length >= DOUBT && !self.is_asked {
            self.is_asked = true;
            return Step::Ask;
        }
        Step::Wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn a_user_is_told_once_and_after_a_question() {
        let mut silence = Silence::default();
        assert!(!silence.may_be());
        assert_eq!(silence.step(), Step::Wait);
        assert!(!silence.typed(b"~."), "nobody was told");
        let mut steps = Vec::new();
        for _ in 0..10 {
            advance(INTERVAL).await;
            let step = silence.step();
            steps.extend((step != Step::Wait).then_some((silence.length().as_secs(), step)));
        }
        assert_eq!(steps, [(2, Step::Ask), (5, Step::Tell)]);
        assert!(silence.ends());
        assert!(!silence.may_be() && !silence.ends());
    }

    #[tokio::test(start_paused = true)]
    async fn what_gives_up_may_come_key_by_key() {
        let told = async || {
            let mut silence = Silence::default();
            silence.typed(b"~");
            advance(PATIENCE).await;
            assert_eq!(silence.step(), Step::Tell);
            silence
        };
        let mut silence = told().await;
        assert!(!silence.typed(b"."), "the first was typed before");
        assert!(!silence.typed(b"x~"));
        assert!(silence.typed(b"."));
        assert!(told().await.typed(b"\r~.\r"));
        assert!(!told().await.typed(b"~x."));
    }
}
