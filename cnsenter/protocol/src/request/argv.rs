//! Reading a request's words, as strictly as can be: what they were not written as is refused, so
//! that a policy that reads them and cnsenter never see two different requests.

use std::time::Duration;

use super::supplement::{self, Supplement};
use super::{CgroupChoice, Error, Profile, Reader, Request, Target, Tty, is_plain};
use crate::PROTOCOL;
use crate::control::Size;

/// How many words have fixed places: `session`, protocol, targets, profile.
const HEAD: usize = 4;

/// A request as its words have it, which may not be all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argv {
    words: Vec<String>,
    request: Request,
    sum: Option<String>,
}

impl Argv {
    /// Reads the words after cnsenter's own name, `session` first.
    ///
    /// # Errors
    /// When they are not the words of a request.
    pub fn read(words: &[impl AsRef<str>]) -> Result<Self, Error> {
        let words: Vec<String> = words.iter().map(|w| w.as_ref().to_owned()).collect();
        let word = |at: usize| words.get(at).map(String::as_str).filter(|w| *w != "--");
        if word(0) != Some("session") {
            return Err(Error::Spelling(words.first().cloned().unwrap_or_default()));
        }
        match word(1) {
            Some(protocol) if protocol == PROTOCOL.to_string() => {}
            Some(other) => return Err(Error::Protocol(other.to_owned())),
            None => return Err(Error::Missing("protocol")),
        }
        let pods = word(2).ok_or(Error::Missing("target"))?;
        let profile = word(3).ok_or(Error::Missing("profile"))?;
        let profile = Profile::of_name(profile).ok_or_else(|| {
            Error::bad(
                "profile",
                profile,
                "none; write full, container, netadmin or general",
            )
        })?;
        let separator = words.iter().position(|word| word == "--");
        let separator = separator.ok_or(Error::Missing("command"))?;
        let flags = Flags::read(&words[HEAD..separator])?;
        let command = words[separator + 1..]
            .iter()
            .map(|w| w.clone().into_bytes());
        let request = Request {
            targets: flags.targets(pods)?,
            profile,
            command: command.collect(),
            ..flags.request()?
        };
        request.check()?;
        let argv = Self {
            sum: flags.get("request").map(str::to_owned),
            words,
            request,
        };
        if argv.sum.is_none() {
            if !argv.request.env.is_empty() {
                return Err(Error::NoSupplement);
            }
            argv.check_spelling(&argv.request, &Supplement::default())?;
        }
        Ok(argv)
    }

    /// What the words say by themselves: everything that a lookup needs, and how long to wait for
    /// the rest.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Whether the session starts by itself, without a Request frame.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.sum.is_none() && self.request.targets.len() == 1
    }

    /// The whole request, with the payload of the first Request frame.
    ///
    /// # Errors
    /// When the frame is not the one that the words announce.
    pub fn complete(&self, payload: &[u8]) -> Result<Request, Error> {
        let Some(sum) = &self.sum else {
            return match payload.is_empty() {
                true => Ok(self.request.clone()),
                false => Err(Error::Unannounced),
            };
        };
        if payload.is_empty() {
            return Err(Error::NoSupplement);
        }
        if *sum != supplement::sum(payload) {
            return Err(Error::Sum);
        }
        let supplement = Supplement::decode(payload)?;
        let mut request = self.request.clone();
        if let Some(command) = &supplement.command {
            request.command.clone_from(command);
        }
        if let Some(workdir) = &supplement.workdir {
            request.workdir = Some(workdir.clone());
        }
        // What can be read in the words is to be read there.
        let are_plain = |words: &Vec<String>| words.iter().all(|word| is_plain(word));
        if supplement.user.as_deref().is_some_and(is_plain)
            || supplement.groups.as_ref().is_some_and(are_plain)
        {
            return Err(Error::Differs("the user"));
        }
        if let Some(user) = &supplement.user {
            request.user = Some(user.clone());
        }
        if let Some(groups) = &supplement.groups {
            request.groups.clone_from(groups);
        }
        request.env.clone_from(&supplement.env);
        request.check()?;
        self.check_spelling(&request, &supplement)?;
        Ok(request)
    }

    /// Whether the words are those that the request is written as, for whoever reads them, in whatever
    /// order its flags are.
    fn check_spelling(&self, request: &Request, supplement: &Supplement) -> Result<(), Error> {
        let check = |reader| self.check_spelling_for(reader, request, supplement);
        check(Reader::Shell).or_else(|_| check(Reader::None))
    }

    fn check_spelling_for(
        &self,
        reader: Reader,
        request: &Request,
        supplement: &Supplement,
    ) -> Result<(), Error> {
        let written = request.words(supplement, self.sum.clone(), reader);
        let (head, mut written, command) = parts(&written);
        let (read_head, mut read, read_command) = parts(&self.words);
        if command != read_command {
            return Err(Error::Differs("the command"));
        }
        written.sort_unstable();
        read.sort_unstable();
        let mut odd = read.iter().filter(|word| !written.contains(word));
        let head_odd = read_head
            .iter()
            .zip(head)
            .find(|(read, written)| read != written);
        match head_odd
            .map(|(word, _)| word)
            .or_else(|| odd.next().copied())
        {
            Some(word) if word.starts_with("--env=") => Err(Error::Differs("the variables")),
            Some(word) => Err(Error::Spelling(word.clone())),
            None if read != written => Err(Error::Differs("the variables")),
            None => Ok(()),
        }
    }
}

/// Head, flags, and the command with its separator.
fn parts(words: &[String]) -> (&[String], Vec<&String>, &[String]) {
    let separator = words.iter().position(|word| word == "--");
    let (before, command) = words.split_at(separator.unwrap_or(words.len()));
    let (head, flags) = before.split_at(before.len().min(HEAD));
    (head, flags.iter().collect(), command)
}

/// Flags with a value.
const VALUES: [&str; 15] = [
    "pod-uid",
    "container",
    "container-id",
    "user",
    "groups",
    "workdir",
    "env",
    "namespaces",
    "cgroup",
    "memory",
    "timeout",
    "lease",
    "term",
    "size",
    "request",
];
/// Flags without.
const SWITCHES: [&str; 6] = [
    "stdin",
    "tty",
    "clear-env",
    "kill-on-exit",
    "agent",
    "verbose",
];

/// The words between head and command, each flag at most once.
struct Flags<'a>(Vec<(&'static str, &'a str)>);

impl<'a> Flags<'a> {
    fn read(words: &'a [String]) -> Result<Self, Error> {
        let mut flags: Vec<(&str, &str)> = Vec::with_capacity(words.len());
        for word in words {
            let unknown = || {
                let name = word.split('=').next().unwrap_or_default();
                Error::UnknownFlag(name.to_owned())
            };
            let text = word.strip_prefix("--").ok_or_else(unknown)?;
            let (name, value) = match text.split_once('=') {
                Some((name, value)) => (VALUES.into_iter().find(|n| *n == name), value),
                None => (SWITCHES.into_iter().find(|n| *n == text), ""),
            };
            let name = name.ok_or_else(unknown)?;
            if flags.iter().any(|(other, _)| *other == name) {
                return Err(Error::Repeated(name));
            }
            flags.push((name, value));
        }
        Ok(Self(flags))
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.0
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, value)| *value)
    }

    fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    fn list(&self, name: &str) -> Option<Vec<String>> {
        Some(self.get(name)?.split(',').map(str::to_owned).collect())
    }

    fn parsed<T>(
        &self,
        name: &'static str,
        why: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        self.get(name)
            .map(|value| parse(value).ok_or_else(|| Error::bad(name, value, why)))
            .transpose()
    }

    /// Everything but the head and the command.
    fn request(&self) -> Result<Request, Error> {
        let size = self.parsed("size", "no size; write ROWSxCOLUMNS", size)?;
        let term = self.get("term").map(str::to_owned);
        let tty = self.has("tty").then_some(Tty { term, size });
        let time_words = "no time; write 30s or 500ms";
        // Their values are in the Request frame.
        let names = self.list("env").unwrap_or_default();
        Ok(Request {
            stdin: self.has("stdin"),
            tty,
            user: self.get("user").map(str::to_owned),
            groups: self.list("groups").unwrap_or_default(),
            workdir: self.get("workdir").map(|dir| dir.as_bytes().to_vec()),
            env: names
                .into_iter()
                .map(|name| (name.into_bytes(), Vec::new()))
                .collect(),
            clear_env: self.has("clear-env"),
            namespaces: self.list("namespaces"),
            cgroup: self.parsed("cgroup", "none; write own or target", cgroup)?,
            memory: self.parsed("memory", "no number of bytes", |text| text.parse().ok())?,
            timeout: self.parsed("timeout", time_words, time)?,
            lease: self.parsed("lease", time_words, time)?,
            kill_on_exit: self.has("kill-on-exit"),
            in_agent: self.has("agent"),
            verbose: self.has("verbose"),
            ..Request::new(Target::pod("", ""), Profile::Container, Vec::new())
        })
    }

    fn targets(&self, pods: &str) -> Result<Vec<Target>, Error> {
        let pods = pods.split(',').map(|pod| match pod.split_once('/') {
            Some((namespace, name)) => Ok(Target::pod(namespace, name)),
            None => Err(Error::bad("target", pod, "no pod; write NS/POD")),
        });
        let mut targets = pods.collect::<Result<Vec<_>, _>>()?;
        let mut fill = |name, set: fn(&mut Target, String)| -> Result<(), Error> {
            let Some(entries) = self.list(name) else {
                return Ok(());
            };
            if entries.len() != targets.len() {
                return Err(Error::Uneven(name));
            }
            for (target, entry) in targets.iter_mut().zip(entries) {
                if !entry.is_empty() {
                    set(target, entry);
                }
            }
            Ok(())
        };
        fill("pod-uid", |target, uid| target.uid = Some(uid))?;
        fill("container", |target, name| target.container = Some(name))?;
        fill("container-id", |target, id| target.container_id = Some(id))?;
        Ok(targets)
    }
}

fn cgroup(text: &str) -> Option<CgroupChoice> {
    [CgroupChoice::Own, CgroupChoice::Target]
        .into_iter()
        .find(|choice| choice.name() == text)
}

fn time(text: &str) -> Option<Duration> {
    match text.strip_suffix("ms") {
        Some(millis) => millis.parse().ok().map(Duration::from_millis),
        None => text
            .strip_suffix('s')?
            .parse()
            .ok()
            .map(Duration::from_secs),
    }
}

fn size(text: &str) -> Option<Size> {
    let (rows, columns) = text.split_once('x')?;
    Some(Size {
        rows: rows.parse().ok()?,
        columns: columns.parse().ok()?,
    })
}
