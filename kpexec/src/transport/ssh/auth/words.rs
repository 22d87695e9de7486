//! What a host asks its user on a terminal, as a last resort: one-time codes, passwords.

use russh::MethodKind;
use russh::client::{Handler, KeyboardInteractiveAuthResponse as Answer};

use super::super::Error;
use super::{Door, TRIES, in_time};

impl<H: Handler> Door<'_, H> {
    /// Lets the user answer what the host asks: one-time codes, passwords.
    pub(super) async fn words(&mut self) -> Result<bool, Error> {
        if !self.prompt.may() {
            return Ok(false);
        }
        for _ in 0..TRIES {
            if !self.takes(MethodKind::KeyboardInteractive) {
                break;
            }
            match self.interactive().await? {
                Answered::Right => return Ok(true),
                Answered::Wrong => {}
                // Its patience is better kept for what it does ask.
                Answered::Nothing => break,
            }
        }
        for _ in 0..TRIES {
            if !self.takes(MethodKind::Password) {
                break;
            }
            let settings = self.settings;
            let question = format!("Password of {} on {}: ", settings.user, settings.place());
            let password = self.prompt.secret(&question).await?;
            self.tried.push("a password".to_owned());
            let answer = self
                .handle
                .authenticate_password(settings.user.as_str(), password);
            let answer = in_time(self.banner, answer).await;
            if self.is_open(answer.map_err(|_| None))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn interactive(&mut self) -> Result<Answered, Error> {
        let user = self.settings.user.clone();
        let begun = self
            .handle
            .authenticate_keyboard_interactive_start(user, None::<String>);
        let mut answer = begun.await;
        let mut outcome = Answered::Nothing;
        loop {
            let asked = match answer {
                Ok(Answer::InfoRequest {
                    instructions,
                    prompts,
                    ..
                }) => (instructions, prompts),
                Ok(Answer::Success) => return Ok(Answered::Right),
                Ok(Answer::Failure {
                    remaining_methods, ..
                }) => {
                    self.methods = remaining_methods;
                    return Ok(outcome);
                }
                Err(_) => return Err(self.shut()),
            };
            if outcome == Answered::Nothing {
                self.tried.push("answers on the terminal".to_owned());
                outcome = Answered::Wrong;
            }
            let (mut before, prompts) = asked;
            if prompts.is_empty() && !before.is_empty() {
                // Where the question is answered elsewhere: on a telephone, say.
                self.prompt.note(&before);
            }
            let mut responses = Vec::new();
            for prompt in prompts {
                if !before.is_empty() {
                    before.push('\n');
                }
                let question = std::mem::take(&mut before) + &prompt.prompt;
                responses.push(match prompt.echo {
                    true => self.prompt.line(&question).await?,
                    false => self.prompt.secret(&question).await?,
                });
            }
            answer = self
                .handle
                .authenticate_keyboard_interactive_respond(responses)
                .await;
        }
    }
}

/// What came of a host's questions.
#[derive(PartialEq, Eq)]
enum Answered {
    /// It lets us in.
    Right,
    /// It does not.
    Wrong,
    /// It had none.
    Nothing,
}
