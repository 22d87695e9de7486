//! Every container that any source knows, for `cnsenter ls` and completion.
//!
//! The state directories and the daemons are read side by side, in threads that have ended when
//! this returns.

use std::thread;

use super::cgroup;
use super::daemon::{self, Answers, Question};
use super::known::Api;
use super::matching::{fill, is_live, same};
use super::search::FOREIGN;
use super::state_dir::{Entry, Loaded, Stores, is_full_id};
use super::{Container, Context, Error, Listing, Runtime, Warning};
use crate::causes::chain;
use crate::request::RuntimeChoice;

/// Containers for which a second thread is worth its start.
const WORTH_A_THREAD: usize = 40;

/// Collects them; `all`: those that ended are asked for how they did.
pub(super) fn everything(ctx: &Context<'_>, all: bool) -> Result<Listing, Error> {
    let lookup = ctx.lookup;
    let use_dirs = lookup.endpoint.is_none() && lookup.runtime != RuntimeChoice::Cri;
    let use_daemons = lookup.endpoint.is_some() || lookup.runtime != RuntimeChoice::None;
    let mut warnings = Vec::new();
    let mut containers = Vec::new();
    let mut stores = Stores::new(ctx);
    let mut entries = Vec::new();
    if use_dirs {
        stores.add_rootless(ctx);
        entries = stores.entries(ctx, None);
    }
    let ask = |known: Vec<String>| -> Result<Answers, Error> {
        match use_daemons {
            true => daemon::ask(ctx, &Question::All { known }, |_| true),
            false => Ok(Answers::default()),
        }
    };
    let (loaded, answers) = if all {
        (read(ctx, &stores, &entries), None)
    } else {
        thread::scope(|scope| {
            let known = entries.iter().map(|e| e.id.clone()).collect();
            let asked = scope.spawn(|| ask(known));
            let loaded = read(ctx, &stores, &entries);
            (loaded, asked.join().ok())
        })
    };
    for container in loaded.containers {
        if !containers.iter().any(|c| same(c, &container)) {
            containers.push(container);
        }
    }
    if all {
        for container in stores.recorded(ctx, "").containers {
            if !containers.iter().any(|c| c.id == container.id) {
                containers.push(container);
            }
        }
    }
    stores.name_all(ctx, &mut containers);
    let left_out = |e: &dyn std::error::Error| Warning(format!("left out: {}", chain(e)));
    warnings.extend(stores.problems.iter().map(|e| left_out(e)));
    let told = |e: &&Error| !matches!(e, Error::InTransition { .. });
    warnings.extend(loaded.problems.iter().filter(told).map(|e| left_out(e)));
    let answers = match answers {
        Some(answers) => answers?,
        None => {
            let live = containers.iter().filter(|c| is_live(c));
            ask(live.map(|c| c.id.clone()).collect())?
        }
    };
    warnings.extend(answers.warnings);
    if use_daemons && lookup.endpoint.is_none() {
        warnings.extend(without_daemon(&containers, &answers.asked));
    }
    for answer in answers.containers {
        let ours = containers
            .iter_mut()
            .find(|c| c.id == answer.id && same_place(c, &answer));
        match ours {
            Some(ours) => fill(ours, answer),
            None => containers.push(answer),
        }
    }
    // The look through all processes is only worth its time if somebody may have been missed.
    let missed = containers.is_empty() || !warnings.is_empty() || !use_daemons;
    if missed && use_dirs {
        let unknown = |id: &str| !containers.iter().any(|c| c.id == id);
        let scan = cgroup::scan(ctx.proc, |named| {
            named.is_wanted(lookup) && unknown(&named.id)
        })?;
        warnings.extend(scan.foreign.then(|| Warning(FOREIGN.into())));
        containers.extend(scan.containers);
    }
    Ok(Listing {
        containers,
        warnings,
    })
}

/// Runtimes whose containers run on while nobody listens: what only the daemon knows is missing.
fn without_daemon(containers: &[Container], asked: &[Api]) -> Vec<Warning> {
    let stopped = |runtime, api| {
        let has_containers = containers
            .iter()
            .any(|c| c.runtime == runtime && c.owner == 0 && is_live(c));
        has_containers && !asked.contains(&api)
    };
    [
        (Runtime::Containerd, Api::Containerd, "containerd"),
        (Runtime::Docker, Api::Docker, "Docker"),
        (Runtime::CriO, Api::Cri, "CRI-O"),
    ]
    .into_iter()
    .filter(|(runtime, api, _)| stopped(*runtime, *api))
    .map(|(.., name)| {
        Warning(format!(
            "{name} does not run here (it has no socket); its containers are listed from its state \
             directories"
        ))
    })
    .collect()
}

/// Reads all entries, on two processors where they are many.
fn read(ctx: &Context<'_>, stores: &Stores, entries: &[Entry]) -> Loaded {
    if entries.len() < WORTH_A_THREAD {
        return stores.read_all(ctx, entries);
    }
    let (first, second) = entries.split_at(entries.len() / 2);
    thread::scope(|scope| {
        let other = scope.spawn(|| stores.read_all(ctx, second));
        let mut loaded = stores.read_all(ctx, first);
        if let Ok(more) = other.join() {
            loaded.containers.extend(more.containers);
            loaded.problems.extend(more.problems);
        }
        loaded
    })
}

/// Short IDs may occur in several of containerd's namespaces.
fn same_place(a: &Container, b: &Container) -> bool {
    is_full_id(&a.id)
        || a.runtime_namespace.is_none()
        || b.runtime_namespace.is_none()
        || a.runtime_namespace == b.runtime_namespace
}
