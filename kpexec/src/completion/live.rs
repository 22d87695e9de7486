//! What is in the cluster now.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::runtime::Builder;

use crate::cli::ExecArgs;
use crate::cluster::{Cluster, Row, encoded};
use crate::config::{self, Selection};
use crate::request;
use crate::target::{self, Kind, Type, Wanted};

/// How long somebody who pressed TAB waits for words.
const PATIENCE: Duration = Duration::from_millis(900);

/// Something that can be named, and what it is.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) help: String,
}

type Answer = Option<Vec<Named>>;

/// The namespaces.
pub(super) fn namespaces(known: &ExecArgs) -> Vec<Named> {
    ask(known, async |cluster, _| {
        listed(&cluster, "/api/v1/namespaces", "").await
    })
}

/// Pods, and the types of what has pods.
pub(super) fn pods_and_types(known: &ExecArgs) -> Vec<Named> {
    let mut all = ask(known, async |cluster, namespace| {
        let path = format!("/api/v1/namespaces/{}/pods", encoded(&namespace));
        listed(&cluster, &path, "").await
    });
    all.extend(Kind::all().map(|kind| Named {
        name: format!("{}/", kind.plural),
        help: String::new(),
    }));
    all
}

/// The objects of a type, as TYPE/NAME.
pub(super) fn objects(known: &ExecArgs, word: &str) -> Vec<Named> {
    let word = word.to_owned();
    ask(known, async move |cluster, namespace| {
        let namespace = encoded(&namespace);
        let path = match Type::parse(&word) {
            Type::Known(kind) => kind.path(&namespace),
            Type::Other(word) => cluster.resource(&word).await.ok()??.path(&namespace),
        };
        listed(&cluster, &path, &format!("{word}/")).await
    })
}

/// The containers of the pod that is named, or of the one that would be chosen.
pub(super) fn containers(known: &ExecArgs) -> Vec<Named> {
    let Some(named) = known.target.as_deref() else {
        return Vec::new();
    };
    let Ok(named) = request::Named::parse(named) else {
        return Vec::new();
    };
    ask(known, async move |cluster, namespace| {
        let wanted = Wanted {
            namespace: &namespace,
            named: &named,
            container: None,
            limit: Duration::ZERO,
        };
        let pod = target::pod(&cluster, &wanted).await.ok()??;
        let all = target::containers(&pod).into_iter();
        let all = all.map(|container| Named {
            name: container.name,
            help: container.kind.to_owned(),
        });
        Some(all.collect())
    })
}

async fn listed(cluster: &Cluster, path: &str, prefix: &str) -> Answer {
    let rows = cluster.rows(path).await.ok()?.into_iter();
    let named = rows.map(|Row { name, state }| Named {
        name: format!("{prefix}{name}"),
        help: state,
    });
    Some(named.collect())
}

/// Asks the cluster, in a thread that is left behind if it takes too long: a credential plugin may
/// be in no hurry. Nothing is said of what fails.
fn ask<F>(known: &ExecArgs, question: F) -> Vec<Named>
where
    F: AsyncFnOnce(Cluster, String) -> Answer + Send + 'static,
{
    let selection = Selection {
        silent: true,
        ..known.cluster.access.selection()
    };
    let namespace = known.cluster.namespace.clone();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let answer = async {
            let access = config::load(&selection, None).await.ok()?;
            let cluster = Cluster::new(access, Some(PATIENCE)).ok()?;
            let namespace = namespace.filter(|name| !name.is_empty());
            let namespace = namespace.unwrap_or_else(|| cluster.default_namespace.clone());
            question(cluster, namespace).await
        };
        let runtime = Builder::new_current_thread().enable_all().build();
        let answer = runtime.ok().and_then(|runtime| runtime.block_on(answer));
        // Nobody may wait for it any more.
        let _ = sender.send(answer);
    });
    let answer = receiver.recv_timeout(PATIENCE);
    answer.ok().flatten().unwrap_or_default()
}
