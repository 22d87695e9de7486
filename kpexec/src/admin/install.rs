//! `kpexec install`: the manifest, applied, and awaited on every node.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::progress::Progress;
use super::rollout::{self, Rollout};
use super::{Error, InstallArgs, Place, print};
use crate::agent;
use crate::cluster::{self, Apply};
use crate::manifest::{self, Object, PART_OF, Wish};
use crate::stderr::say;

/// How often it is asked how far things are.
const POLL: Duration = Duration::from_secs(1);

/// Installs nodepause, or updates it.
pub(super) async fn run(args: InstallArgs) -> Result<u8, Error> {
    let place = args.place.open(false).await?;
    let wish = Wish {
        namespace: place.namespace.clone(),
        image: args.image,
        pull_secret: args.image_pull_secret,
    };
    let objects = manifest::objects(&wish)?;
    let has_namespace = look_before(&place, &wish, &objects).await?;
    let how = Apply {
        dry_run: args.dry_run,
        force: args.force_conflicts,
    };
    let image = match &wish.image {
        Some(image) => image.clone(),
        None => manifest::default_image()?,
    };
    let mut progress = Progress::new(args.quiet || args.dry_run);
    if has_namespace && !how.dry_run {
        // Of what somebody has changed nothing is applied, or all.
        for object in &objects {
            progress.say(&format!("checking {object}"));
            let check = Apply {
                dry_run: true,
                ..how
            };
            apply(&place, object, check).await?;
        }
    }
    for object in &objects {
        // The server checks nothing in a namespace that is not there.
        if how.dry_run && !has_namespace && !object.is_namespace() {
            continue;
        }
        progress.say(&format!("applying {object}"));
        apply(&place, object, how).await?;
    }
    if how.dry_run {
        drop(progress);
        if !has_namespace && !args.quiet {
            let namespace = &place.namespace;
            say(format_args!(
                "namespace {namespace} is not there yet: the server could check nothing else"
            ));
        }
        print(&manifest::to_yaml(&objects)?)?;
        return Ok(0);
    }
    if let Some(secret) = &wish.pull_secret {
        note_secret(&place, secret, &progress).await;
    }
    let rollout = wait(&place, args.timeout, image, &mut progress).await?;
    drop(progress);
    if !args.quiet {
        let Rollout { desired, .. } = rollout;
        let namespace = &place.namespace;
        let nodes = match desired {
            1 => "1 node".to_owned(),
            desired => format!("{desired} nodes"),
        };
        print(&format!(
            "nodepause is ready on {nodes} (namespace {namespace})\n"
        ))?;
        if namespace != agent::NAMESPACE {
            say(format_args!(
                "kpexec finds it there by --agent-namespace {namespace}, or agent-namespace = \
                 {namespace:?} in config.toml"
            ));
        }
    }
    Ok(0)
}

/// Refuses what could not be undone: to take over somebody's namespace, or to forget an image that
/// nobody will remember. Whether the namespace is there.
async fn look_before(place: &Place, wish: &Wish, objects: &[Object]) -> Result<bool, Error> {
    let mut has_namespace = false;
    for object in objects {
        let found: Value = match place.cluster.get(&object.path()).await {
            Ok(found) => found,
            // What we may not see the server will judge.
            Err(error) if error.is_not_found() || error.is_forbidden() => continue,
            Err(error) => return Err(error.into()),
        };
        if object.is_namespace() {
            has_namespace = true;
            if found["metadata"]["labels"][PART_OF.0] != PART_OF.1 {
                return Err(Error::Foreign(place.namespace.clone()));
            }
        }
        let image = &found["spec"]["template"]["spec"]["containers"][0]["image"];
        if let (Some(image), None) = (image.as_str(), &wish.image)
            && repository(image) != repository(&manifest::default_image()?)
        {
            return Err(Error::ImageUnnamed(image.to_owned()));
        }
    }
    Ok(has_namespace)
}

/// An image's name without its tag and digest.
fn repository(image: &str) -> &str {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    match name.rsplit_once(':') {
        // A colon before a slash is that of a port.
        Some((name, tag)) if !tag.contains('/') => name,
        _ => name,
    }
}

async fn apply(place: &Place, object: &Object, how: Apply) -> Result<(), Error> {
    let applied = place
        .cluster
        .apply(&object.path(), &object.value, how)
        .await;
    match applied {
        Ok(_) => Ok(()),
        Err(source) if source.is_conflict() => Err(Error::Conflict {
            object: object.to_string(),
            source: Box::new(source),
        }),
        Err(error) => Err(error.into()),
    }
}

/// Nobody would look for what is missing in the events of a pod.
async fn note_secret(place: &Place, secret: &str, progress: &Progress) {
    let namespace = &place.namespace;
    let [path, name] = [namespace, secret].map(cluster::encoded);
    let path = format!("/api/v1/namespaces/{path}/secrets/{name}");
    let found: Result<Value, _> = place.cluster.get(&path).await;
    if found.is_err_and(|error| error.is_not_found()) {
        progress.note(&format!(
            "secret {secret} is not there yet; make it with: kubectl -n {namespace} create secret \
             docker-registry {secret} --docker-server=... --docker-username=... \
             --docker-password=..."
        ));
    }
}

/// Waits until every node has it.
async fn wait(
    place: &Place,
    limit: Duration,
    image: String,
    progress: &mut Progress,
) -> Result<Rollout, Error> {
    let until = (!limit.is_zero())
        .then(|| Instant::now().checked_add(limit))
        .flatten();
    loop {
        let late = until.is_some_and(|until| Instant::now() >= until);
        match rollout::look(place).await {
            Ok(rollout) if rollout.is_done() => return Ok(rollout),
            Ok(mut rollout) if late => {
                rollout::explain(place, &mut rollout).await;
                return Err(Error::NotReady {
                    desired: rollout.desired,
                    ready: rollout.ready,
                    limit,
                    obstacles: rollout.obstacles,
                    image,
                });
            }
            Ok(rollout) => progress.say(&state(&rollout)),
            // A server that is away for a moment comes back.
            Err(error) if error.is_answer() || late => return Err(error.into()),
            Err(error) => progress.say(&error.to_string()),
        }
        sleep(POLL).await;
    }
}

fn state(rollout: &Rollout) -> String {
    let Rollout { ready, desired, .. } = rollout;
    if *desired == 0 {
        return "waiting for Kubernetes to count the nodes".to_owned();
    }
    let so_far = format!("nodepause is ready on {ready} of {desired} nodes");
    match rollout.obstacles.first() {
        Some((node, reason)) => format!("{so_far}; {node}: {reason}"),
        None => so_far,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_a_repository() {
        for image in [
            "r:5000/np",
            "r:5000/np:1",
            "r:5000/np@sha256:0",
            "r:5000/np:1@sha256:0",
        ] {
            assert_eq!(repository(image), "r:5000/np");
        }
    }
}
