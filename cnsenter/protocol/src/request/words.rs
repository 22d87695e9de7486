//! The one way to write a request's words, and how its values are spelled.

use std::time::Duration;

use super::supplement::{self, Supplement};
use super::{
    CgroupChoice, Encoded, Error, MAX_ENCODED, MAX_TARGETS, Reader, Request, Target, is_plain,
};
use crate::PROTOCOL;
use crate::control::Size;
use crate::frame::MAX_REQUEST;

/// The most of a command that is shown of one that is not on the command line, in bytes.
const SHOWN: usize = 1 << 10;

/// What each word takes in a URL beside itself, in bytes: `command=&`.
const PER_WORD: usize = 9;

/// Follows what was left out of a command that is shown.
const AND_SO_ON: &str = "...";

impl Request {
    /// [`Request::encode_for`], where cnsenter gets the words as they are.
    ///
    /// # Errors
    /// When a value cannot be passed on.
    pub fn encode(&self) -> Result<Encoded, Error> {
        self.encode_for(Reader::None)
    }

    /// Writes the request as the words of a command line and, where those cannot hold it, the
    /// payload of a Request frame.
    ///
    /// # Errors
    /// When a value cannot be passed on.
    pub fn encode_for(&self, reader: Reader) -> Result<Encoded, Error> {
        self.check()?;
        let is_readable = |word: &str| reader.leaves(word);
        let fits = |word: &Vec<u8>| std::str::from_utf8(word).is_ok_and(is_readable);
        let all_groups = || self.groups.iter().all(|group| is_readable(group));
        let mut supplement = Supplement {
            command: (!self.command.iter().all(fits)).then(|| self.command.clone()),
            workdir: self.workdir.clone().filter(|dir| !fits(dir)),
            user: self.user.clone().filter(|user| !is_readable(user)),
            groups: (!all_groups()).then(|| self.groups.clone()),
            env: self.env.clone(),
        };
        let mut payload = supplement.encode();
        let mut words = self.words(&supplement, announced(&supplement, &payload), reader);
        if encoded_length(&words) > MAX_ENCODED && supplement.command.is_none() {
            supplement.command = Some(self.command.clone());
            payload = supplement.encode();
            words = self.words(&supplement, announced(&supplement, &payload), reader);
        }
        if reader == Reader::Shell
            && let Some(word) = words.iter().find(|word| !is_plain(word))
        {
            return Err(Error::NotPlain(word.clone()));
        }
        match encoded_length(&words) {
            length if length > MAX_ENCODED => return Err(Error::TooLong(length)),
            _ if payload.len() > MAX_REQUEST => return Err(Error::TooMuch(payload.len())),
            _ => {}
        }
        let one_target = self.targets.len() == 1;
        let supplement = (!supplement.is_empty() || !one_target).then_some(payload);
        Ok(Encoded { words, supplement })
    }

    /// Whether everything in it can be written and read again.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.targets.is_empty() {
            return Err(Error::Missing("target"));
        }
        if self.targets.len() > MAX_TARGETS {
            return Err(Error::Uneven("list of targets"));
        }
        if self.command.is_empty() {
            return Err(Error::Missing("command"));
        }
        self.targets.iter().try_for_each(Target::check)?;
        let bytes = |what, bytes: &[u8]| match bytes.contains(&0) {
            true => Err(Error::Nul(what)),
            false => Ok(()),
        };
        self.command
            .iter()
            .try_for_each(|word| bytes("the command", word))?;
        self.workdir
            .iter()
            .try_for_each(|dir| bytes("the working directory", dir))?;
        for (name, value) in &self.env {
            bytes("a variable", name)?;
            bytes("a variable", value)?;
            if name.is_empty() || name.contains(&b'=') {
                let name = String::from_utf8_lossy(name);
                return Err(Error::bad("variable", &name, "no name of one"));
            }
        }
        let groups = self.groups.iter().map(|group| ("group", group));
        let namespaces = self.namespaces.iter().flatten().map(|ns| ("namespace", ns));
        for (name, value) in groups.chain(namespaces) {
            if value.is_empty() || value.contains(',') {
                return Err(Error::bad(name, value, "empty, or several"));
            }
        }
        let term = self.tty.iter().flat_map(|tty| &tty.term);
        for text in self.user.iter().chain(&self.groups).chain(term) {
            bytes("the request", text.as_bytes())?;
        }
        Ok(())
    }

    /// The words, `sum` naming the Request frame that holds what is in `supplement`.
    pub(super) fn words(
        &self,
        supplement: &Supplement,
        sum: Option<String>,
        reader: Reader,
    ) -> Vec<String> {
        let pods = self
            .targets
            .iter()
            .map(|t| format!("{}/{}", t.namespace, t.pod));
        let mut words = vec![
            "session".to_owned(),
            PROTOCOL.to_string(),
            pods.collect::<Vec<_>>().join(","),
            self.profile.name().to_owned(),
        ];
        let mut flag = |name: &str, value: Option<String>| {
            words.extend(value.map(|value| format!("--{name}={value}")));
        };
        flag("pod-uid", self.each(|t| t.uid.as_ref()));
        flag("container", self.each(|t| t.container.as_ref()));
        flag("container-id", self.each(|t| t.container_id.as_ref()));
        let user = self.user.clone();
        flag("user", user.filter(|_| supplement.user.is_none()));
        let groups = list(&self.groups);
        flag("groups", groups.filter(|_| supplement.groups.is_none()));
        let workdir = self
            .workdir
            .as_ref()
            .filter(|_| supplement.workdir.is_none());
        flag(
            "workdir",
            workdir.map(|dir| String::from_utf8_lossy(dir).into_owned()),
        );
        flag(
            "env",
            list(
                &self
                    .env
                    .iter()
                    .map(|(name, _)| escaped(name))
                    .collect::<Vec<_>>(),
            ),
        );
        flag("namespaces", self.namespaces.as_ref().map(|n| n.join(",")));
        flag("cgroup", self.cgroup.map(|c| c.name().to_owned()));
        flag("memory", self.memory.map(|bytes| bytes.to_string()));
        flag("timeout", self.timeout.map(time));
        flag("lease", self.lease.map(time));
        let tty = self.tty.as_ref();
        // One that a shell would mind names no terminal that anybody knows.
        let term = tty.and_then(|tty| tty.term.clone());
        flag("term", term.filter(|term| reader.leaves(term)));
        flag("size", tty.and_then(|tty| tty.size).map(size));
        flag("request", sum);
        let mut switch = |name: &str, on: bool| words.extend(on.then(|| format!("--{name}")));
        switch("stdin", self.stdin);
        switch("tty", tty.is_some());
        switch("clear-env", self.clear_env);
        switch("kill-on-exit", self.kill_on_exit);
        switch("agent", self.in_agent);
        switch("verbose", self.verbose);
        words.push("--".to_owned());
        match &supplement.command {
            Some(command) => words.extend(shown(command, reader)),
            None => words.extend(
                self.command
                    .iter()
                    .map(|word| String::from_utf8_lossy(word).into_owned()),
            ),
        }
        words
    }

    /// A list with one entry for each target, if any has one.
    fn each<'a>(&'a self, field: impl Fn(&'a Target) -> Option<&'a String>) -> Option<String> {
        let entries: Vec<_> = self.targets.iter().map(field).collect();
        let text = |entry: &Option<&String>| entry.map_or("", String::as_str).to_owned();
        entries
            .iter()
            .any(Option::is_some)
            .then(|| entries.iter().map(text).collect::<Vec<_>>().join(","))
    }
}

impl Reader {
    /// Whether a word is the same once it is read.
    fn leaves(self, word: &str) -> bool {
        self == Self::None || is_plain(word)
    }
}

impl Target {
    /// Only what Kubernetes and runtimes use for names, and nothing that a list could be cut at.
    fn check(&self) -> Result<(), Error> {
        let plain = |name, value: &str, more: &[u8]| {
            let fits =
                |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.') || more.contains(&b);
            if !value.is_empty() && value.len() <= 253 && value.bytes().all(fits) {
                Ok(())
            } else {
                Err(Error::bad(name, value, "no such thing in Kubernetes"))
            }
        };
        plain("namespace", &self.namespace, b"")?;
        plain("pod", &self.pod, b"")?;
        self.uid
            .iter()
            .try_for_each(|uid| plain("pod UID", uid, b"_"))?;
        self.container
            .iter()
            .try_for_each(|name| plain("container", name, b""))?;
        self.container_id
            .iter()
            .try_for_each(|id| match id.split_once("://") {
                Some((scheme, name)) => {
                    plain("container ID", scheme, b"")?;
                    plain("container ID", name, b"_")
                }
                None => Err(Error::bad(
                    "container ID",
                    id,
                    "not as a pod's status spells it",
                )),
            })
    }
}

impl CgroupChoice {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Target => "target",
        }
    }
}

/// The sum to be named on the command line, if a Request frame holds anything.
fn announced(supplement: &Supplement, payload: &[u8]) -> Option<String> {
    (!supplement.is_empty()).then(|| supplement::sum(payload))
}

fn list(entries: &[String]) -> Option<String> {
    (!entries.is_empty()).then(|| entries.join(","))
}

fn time(time: Duration) -> String {
    match time.as_millis() {
        millis if millis % 1000 == 0 => format!("{}s", millis / 1000),
        millis => format!("{millis}ms"),
    }
}

fn size(size: Size) -> String {
    format!("{}x{}", size.rows, size.columns)
}

/// A variable's name, with everything escaped as in a URL that names rarely have.
fn escaped(name: &[u8]) -> String {
    let each = |byte: &u8| match byte {
        b if b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.') => {
            char::from(*b).to_string()
        }
        b => format!("%{b:02X}"),
    };
    name.iter().map(each).collect()
}

/// What is shown of a command that is not on the command line: its beginning, and that it goes on.
fn shown(command: &[Vec<u8>], reader: Reader) -> Vec<String> {
    let mut left = SHOWN;
    let mut words = Vec::new();
    for word in command {
        // All that can be shown of it is at its beginning.
        let word = String::from_utf8_lossy(&word[..word.len().min(SHOWN)]);
        let word = match reader {
            Reader::None => word.replace(char::is_control, "?"),
            Reader::Shell => plain(&word),
        };
        // What a word costs by itself, too: there may be many that are empty.
        left = left.saturating_sub(PER_WORD);
        let mut end = word.len().min(left);
        while !word.is_char_boundary(end) {
            end -= 1;
        }
        let is_whole = end == word.len() && left > 0;
        if is_whole || end > 0 {
            words.push(word[..end].to_owned());
        }
        if !is_whole {
            break;
        }
        left -= end;
    }
    words.push(AND_SO_ON.to_owned());
    words
}

/// A word with everything replaced that is not plain.
fn plain(word: &str) -> String {
    let each = |c: char| match is_plain(c.encode_utf8(&mut [0; 4])) {
        true => c,
        false => '_',
    };
    match word {
        "" => "_".to_owned(),
        word => word.chars().map(each).collect(),
    }
}

/// How long the words are as `command=WORD&` in a URL.
fn encoded_length(words: &[String]) -> usize {
    let kept = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~');
    let length =
        |word: &String| -> usize { word.bytes().map(|b| if kept(b) { 1 } else { 3 }).sum() };
    words.iter().map(|word| PER_WORD + length(word)).sum()
}
