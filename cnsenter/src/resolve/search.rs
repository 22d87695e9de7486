//! One search: candidates from every source that had to be asked, then the one that is meant.

use crate::causes::chain;
use crate::escape::escaped;
use crate::request::{Query, RuntimeChoice, Scheme};

use super::cgroup;
use super::daemon::{self, Question};
use super::known::{Api, KUBELET_LOGS};
use super::matching::{candidate, exact_id, fill, is_live, is_named, is_of_pod, same};
use super::state_dir::{Loaded, Stores, fits, is_full_id};
use super::{Container, Context, Error, Found, State, Warning};

/// A prefix this long is nobody's name by accident: names are not read once it is found.
const SURE_PREFIX: usize = 6;

pub(super) struct Search<'a> {
    ctx: &'a Context<'a>,
    query: &'a Query,
    stores: Stores,
    candidates: Vec<Container>,
    problems: Vec<Error>,
    warnings: Vec<Warning>,
    searched: Vec<&'static str>,
    /// What was found begins with a word so short that it may be somebody's name.
    may_be_a_name: bool,
}

impl<'a> Search<'a> {
    pub(super) fn new(ctx: &'a Context<'a>, query: &'a Query) -> Self {
        Self {
            ctx,
            query,
            stores: Stores::new(ctx),
            candidates: Vec::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
            searched: Vec::new(),
            may_be_a_name: false,
        }
    }

    /// Whether no further source has to be asked.
    pub(super) fn is_settled(&self) -> bool {
        self.candidates.iter().any(is_live)
    }

    /// Whether daemons have to be asked: some keep names where only they find them.
    pub(super) fn wants_daemons(&self) -> bool {
        !self.is_settled() || self.may_be_a_name
    }

    /// For `-v`.
    pub(super) fn progress(&self) -> String {
        let live = self.candidates.iter().filter(|c| is_live(c)).count();
        format!(
            "{live} running and {} other candidates",
            self.candidates.len() - live
        )
    }

    /// The runtimes' files: the node's own runtimes first, users' only if those know nothing.
    pub(super) fn state_dirs(&mut self) {
        self.searched.push("the runtimes' state directories");
        self.look_in();
        if !self.is_settled() {
            self.stores.add_rootless(self.ctx);
            self.look_in();
        }
    }

    fn look_in(&mut self) {
        match self.query {
            Query::Pid(_) => {}
            Query::Id { scheme, id } => self.by_word(id, Some(*scheme)),
            Query::Word(word) => self.by_word(word, None),
            Query::Pod {
                namespace,
                pod,
                container,
            } => self.by_pod(namespace, pod, container.as_deref()),
        }
    }

    /// Full ID, then a prefix that can be no name, then names, then any prefix.
    fn by_word(&mut self, word: &str, scheme: Option<Scheme>) {
        let ctx = self.ctx;
        let of_scheme = |c: &Container| scheme.is_none_or(|s| fits(s, c.runtime));
        let loaded = self.stores.find(ctx, word, scheme);
        self.take(loaded, |_| true);
        if self.is_settled() || word.len() < Query::MIN_PREFIX || is_full_id(word) {
            if !self.is_settled() {
                self.take(self.stores.recorded(ctx, word), of_scheme);
            }
            return;
        }
        let entries = self.stores.entries(ctx, scheme);
        let prefixed = || entries.iter().filter(|e| e.id.starts_with(word));
        let sure = word.len() >= SURE_PREFIX && word.bytes().all(|b| b.is_ascii_hexdigit());
        if sure || scheme.is_some() {
            self.take(self.stores.read_all(ctx, prefixed()), |_| true);
            if self.is_settled() {
                return;
            }
        }
        if scheme.is_some() {
            let recorded = self.stores.recorded(ctx, word);
            self.take(recorded, |c| of_scheme(c) && c.id.starts_with(word));
            return;
        }
        for id in self.stores.ids_of_name(ctx, word) {
            let loaded = self.stores.find(ctx, &id, scheme);
            self.take(loaded, |_| true);
        }
        let quoted = format!("\"{word}\"");
        let mentioned = self.stores.mentioning(&entries, &[&quoted]);
        self.take(self.stores.read_all(ctx, &mentioned), |c| is_named(c, word));
        if !self.is_settled() && !sure {
            self.take(self.stores.read_all(ctx, prefixed()), |_| true);
            self.may_be_a_name = self.is_settled();
        }
        if !self.is_settled() {
            self.take(self.stores.recorded(ctx, word), of_scheme);
        }
    }

    /// By kubelet's links to the logs, whose names have everything, checked by what the runtime
    /// wrote; else by reading every container's spec.
    fn by_pod(&mut self, namespace: &str, pod: &str, container: Option<&str>) {
        let ctx = self.ctx;
        let wanted = |c: &Container| is_of_pod(c, namespace, pod, container);
        for id in ids_by_logs(ctx, namespace, pod, container) {
            let mut loaded = self.stores.find(ctx, &id, None);
            if loaded.containers.iter().any(|c| c.pod.is_none()) {
                self.stores.name_all(ctx, &mut loaded.containers);
            }
            // A link of a container that is gone, or just going, is no problem of this search.
            loaded.problems.clear();
            self.take(loaded, wanted);
        }
        if self.is_settled() {
            return;
        }
        let (namespace, pod) = (format!("\"{namespace}\""), format!("\"{pod}\""));
        let entries = self.stores.entries(ctx, None);
        let entries = self.stores.mentioning(&entries, &[&pod, &namespace]);
        self.take(self.stores.read_all(ctx, &entries), wanted);
    }

    fn take(&mut self, loaded: Loaded, wanted: impl Fn(&Container) -> bool) {
        for container in loaded.containers {
            let known = |c: &Container| same(c, &container);
            if wanted(&container) && !self.candidates.iter().any(known) {
                self.candidates.push(container);
            }
        }
        self.problems.extend(loaded.problems);
    }

    /// Every daemon that is there, all at once.
    pub(super) fn daemons(&mut self) -> Result<(), Error> {
        if self.ctx.lookup.runtime == RuntimeChoice::None && self.ctx.lookup.endpoint.is_none() {
            return Ok(());
        }
        let Some(question) = Question::of(self.query) else {
            return Ok(());
        };
        // Only Docker keeps names where nobody else would look for them.
        let for_a_name = self.is_settled();
        let wanted = |api| !for_a_name || api == Api::Docker;
        let answers = daemon::ask(self.ctx, &question, wanted)?;
        if self.ctx.lookup.endpoint.is_some() || !answers.asked.is_empty() {
            self.searched.push("the runtimes' daemons");
        }
        self.warnings.extend(answers.warnings);
        for container in answers.containers {
            self.add_answer(container);
        }
        Ok(())
    }

    /// A daemon knows the name, a state directory has the better witness: where both know the
    /// process, the latter counts.
    fn add_answer(&mut self, answer: Container) {
        let wanted = match self.query {
            Query::Pod {
                namespace,
                pod,
                container,
            } => is_of_pod(&answer, namespace, pod, container.as_deref()),
            Query::Id { scheme, .. } => {
                self.ctx.lookup.endpoint.is_some() || fits(*scheme, answer.runtime)
            }
            Query::Pid(_) | Query::Word(_) => true,
        };
        if !wanted {
            return;
        }
        let loaded = match self.ctx.lookup.endpoint {
            Some(_) => Loaded::default(),
            None => self.stores.find(self.ctx, &answer.id, None),
        };
        let same_process = |c: &Container| c.state.pid() == answer.state.pid() && is_live(c);
        let on_disk = loaded.containers.into_iter().find(same_process);
        let mut container = match on_disk {
            Some(mut ours) => {
                fill(&mut ours, answer);
                ours
            }
            None => answer,
        };
        let known = self
            .candidates
            .iter_mut()
            .find(|c| c.id == container.id && (same(c, &container) || !is_live(c)));
        match known {
            // It says when and how a container ended that we only saw to be gone.
            Some(c) if !is_live(c) => {
                std::mem::swap(c, &mut container);
                fill(c, container);
            }
            Some(c) => fill(c, container),
            None => self.candidates.push(container),
        }
    }

    /// The names of all processes' cgroups, which have full IDs alone.
    pub(super) fn cgroups(&mut self) -> Result<(), Error> {
        let (word, scheme) = match self.query {
            Query::Id { scheme, id } => (id, Some(*scheme)),
            Query::Word(word) => (word, None),
            Query::Pid(_) | Query::Pod { .. } => return Ok(()),
        };
        let lookup = self.ctx.lookup;
        if lookup.runtime == RuntimeChoice::Cri {
            return Ok(());
        }
        self.searched.push("the cgroups of all processes");
        let scan = cgroup::scan(self.ctx.proc, |named| {
            named.is_wanted(lookup)
                && scheme.is_none_or(|s| fits(s, named.runtime))
                && (named.id == *word
                    || word.len() >= Query::MIN_PREFIX && named.id.starts_with(word.as_str()))
        })?;
        if scan.foreign {
            self.warnings.push(Warning(FOREIGN.into()));
        }
        for mut container in scan.containers {
            // What a runtime itself says counts for more, unless it only has an old record.
            let record = |c: &Container| matches!(c.state, State::Created(None) | State::Unknown);
            match self.candidates.iter().find(|c| c.id == container.id) {
                Some(known) if record(known) => fill(&mut container, known.clone()),
                Some(_) => continue,
                None => {}
            }
            self.candidates.push(container);
        }
        Ok(())
    }

    /// Exactly one, or why not.
    pub(super) fn choose(mut self) -> Result<Found, Error> {
        let query = self.query.to_string();
        let of_pod = matches!(self.query, Query::Pod { .. });
        let live = || self.candidates.iter().filter(|c| is_live(c));
        let mut meant: Vec<&Container> = live().filter(|c| !c.sandbox).collect();
        if let [first, rest @ ..] = meant.as_slice()
            && let Some(exact) = exact_id(self.query)
            && rest.iter().any(|c| c.id != first.id)
        {
            meant.retain(|c| c.id == exact || is_named(c, exact));
            if meant.is_empty() {
                meant = live().filter(|c| !c.sandbox).collect();
            }
        }
        match meant.as_slice() {
            [one] => {
                return Ok(Found {
                    container: (*one).clone(),
                    warnings: self.warnings,
                });
            }
            [] => {}
            several => {
                let named = several.iter().map(|c| candidate(c, several, of_pod));
                let mut candidates: Vec<_> = named.collect();
                candidates.sort();
                return Err(Error::Ambiguous { query, candidates });
            }
        }
        let sandbox =
            |c: &&Container| c.sandbox && !of_pod && !matches!(c.state, State::Exited { .. });
        if let Some(sandbox) = self.candidates.iter().find(sandbox) {
            return Err(Self::sandbox(self.ctx, &mut self.stores, sandbox));
        }
        self.not_running(query)
    }

    fn not_running(self, query: String) -> Result<Found, Error> {
        let mut ended = None;
        for c in self.candidates.iter().filter(|c| !c.sandbox) {
            let id = c.id.clone();
            match c.state {
                State::Created(pid) => {
                    let waiting = pid.is_some();
                    return Err(Error::NotStarted { id, waiting });
                }
                State::Exited { code, at } => {
                    let later = ended.as_ref().is_none_or(|(_, _, last)| at > *last);
                    if later {
                        ended = Some((id, code, at));
                    }
                }
                _ => {}
            }
        }
        if let Some(problem) = self.problems.into_iter().next() {
            return Err(problem);
        }
        if let Some((id, code, at)) = ended {
            return Err(Error::Exited { id, code, at });
        }
        let mut unasked = self.warnings;
        let dirs = self.stores.problems.iter();
        unasked.extend(dirs.map(|e| Warning(format!("left out: {}", chain(e)))));
        Err(Error::NotFound {
            query,
            searched: self.searched.join(", "),
            unasked,
        })
    }

    fn sandbox(ctx: &Context<'_>, stores: &mut Stores, sandbox: &Container) -> Error {
        let entries = match ctx.lookup.endpoint {
            Some(_) => Vec::new(),
            None => stores.entries(ctx, None),
        };
        let entries = stores.mentioning(&entries, &[&sandbox.id]);
        let mut all = stores.read_all(ctx, &entries).containers;
        if let (Some(pod), true) = (&sandbox.pod, all.is_empty()) {
            let question = Question::Pod {
                namespace: pod.namespace.clone(),
                pod: pod.name.clone(),
            };
            // Only for the hint: without an answer there is none.
            all =
                daemon::ask(ctx, &question, |_| true).map_or_else(|_| Vec::new(), |a| a.containers);
        }
        let mut containers: Vec<String> = all
            .iter()
            .filter(|c| !c.sandbox && is_live(c))
            .map(|c| escaped(&c.display_name().unwrap_or_else(|| c.id.clone())).to_string())
            .collect();
        containers.sort();
        Error::Sandbox {
            id: sandbox.id.clone(),
            pod: sandbox
                .display_name()
                .unwrap_or_else(|| "an unknown name".into()),
            containers,
        }
    }
}

/// Why nothing is found by cgroups from within a cgroup namespace.
pub(super) const FOREIGN: &str = "cgroups were left out: cnsenter is in a cgroup namespace of its own, which \
                       hides the names of groups outside it";

/// Whether the daemon that told of a container still says that `pid` is its init.
pub(super) fn daemon_still_names(
    ctx: &Context<'_>,
    container: &Container,
    pid: nix::unistd::Pid,
) -> Result<bool, Error> {
    let answers = daemon::ask(ctx, &Question::Word(container.id.clone()), |_| true)?;
    let same = |c: &Container| c.id == container.id && is_live(c) && c.state.pid() == Some(pid);
    Ok(answers.containers.iter().any(same))
}

/// IDs by kubelet's links, `<pod>_<namespace>_<container>-<id>.log`: anybody's guess until the
/// runtime's own files say the same.
fn ids_by_logs(
    ctx: &Context<'_>,
    namespace: &str,
    pod: &str,
    container: Option<&str>,
) -> Vec<String> {
    let start = format!("{pod}_{namespace}_");
    let path = ctx
        .lookup
        .host_root
        .join(KUBELET_LOGS.trim_start_matches('/'));
    let links = std::fs::read_dir(path).into_iter().flatten().flatten();
    links
        .filter_map(|link| {
            let name = link.file_name();
            let rest = name.to_str()?.strip_prefix(&start)?.strip_suffix(".log")?;
            let (name, id) = rest.rsplit_once('-')?;
            let wanted = is_full_id(id) && container.is_none_or(|c| c == name);
            wanted.then(|| id.to_owned())
        })
        .collect()
}
