//! Which node, when the API server does not say: the one that is remembered, else all of them are asked.
//!
//! Whatever is remembered, the node itself has the last word: its cnsenter lists what runs there, and
//! the session names pod, UID and container once more.

mod choice;
mod error;
mod listed;
mod naming;
mod race;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use cnsenter_protocol::Target;
use tokio::time::{Instant, sleep};

pub use error::Error;

use crate::cache::{Memory, Node, Pod as Remembered, ago};
use crate::report::Report;
use crate::request::{BySsh, Named};
use crate::stderr::chain;
use crate::transport::ssh::{self, Connection, Host, Push, Ways};
use naming::Names;
use race::{Answers, LIMIT, race};

/// How many remembered pods of one object are looked for where they were.
const REMEMBERED: usize = 3;

/// How long it may take to see whether the pod is elsewhere as well.
const TWIN_LIMIT: Duration = Duration::from_secs(2);

/// How long others have to say that they have a pod that may be on a node without cnsenter.
const BELIEF_LIMIT: Duration = Duration::from_secs(5);

/// What is sought.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// POD or TYPE/NAME.
    pub named: &'a Named,
    /// `-c`.
    pub container: Option<&'a str>,
}

/// A container, and the node that has it.
pub struct Found {
    /// The node.
    pub host: Host,
    /// It has let us in already.
    pub connection: Connection,
    /// The container.
    pub target: Target,
}

/// A node that knows what is sought.
struct Place {
    host: Host,
    connection: Connection,
    pods: Vec<listed::Pod>,
    /// It has no cnsenter to say so: they are as they were seen, until the one that is sent looks.
    is_believed: bool,
}

/// Finds the container.
///
/// # Errors
/// When no node has it, or several have.
pub async fn find(
    wanted: &Wanted<'_>,
    memory: &Memory,
    by: &BySsh,
    report: &Report,
) -> Result<Found, Error> {
    let search = Search {
        wanted,
        memory,
        by,
        ways: Ways::default(),
        report,
    };
    let mut asked = Asked::default();
    if let Some(place) = search.where_it_was(&mut asked).await? {
        return match search.twin_of(&place).await {
            Some(twin) => Err(several(&[place, twin])),
            None => search.choose(place),
        };
    }
    // Nobody can say that it is there, but others may that it is not.
    let believed = asked.unequipped.take();
    let deadline = believed.as_ref().map(|_| Instant::now() + BELIEF_LIMIT);
    match (search.everywhere(asked, deadline).await, believed) {
        (Err(Error::NotFound { .. } | Error::Nameless(_)), Some(place)) => {
            let node = &place.host.name;
            report.note(&format!("No other node has it: cnsenter is sent to {node}"));
            search.choose(place)
        }
        (found, _) => found,
    }
}

/// Nodes that need not be asked any more.
#[derive(Default)]
struct Asked {
    /// They do not have it.
    without: Vec<String>,
    /// They do not say, and why.
    silent: Vec<(String, String)>,
    /// The first of those where it was seen, and that would say so if they had a cnsenter.
    unequipped: Option<Place>,
}

impl Asked {
    fn include(&self, node: &String) -> bool {
        self.without.contains(node) || self.silent.iter().any(|(silent, _)| silent == node)
    }
}

/// Why a node does not say what it has.
enum Silence {
    /// The user was asked, and does not want to answer.
    Unanswered(ssh::Error),
    /// There is no cnsenter to ask.
    Unequipped(Host, Box<Connection>),
    /// In words.
    Because(String),
}

struct Search<'a> {
    wanted: &'a Wanted<'a>,
    memory: &'a Memory,
    by: &'a BySsh,
    ways: Ways,
    report: &'a Report,
}

impl Silence {
    fn of(error: ssh::Error) -> Self {
        match error {
            error if error.is_unanswered() => Self::Unanswered(error),
            error => Self::Because(chain(&error)),
        }
    }

    /// For whoever looks for a pod that nobody has seen there.
    fn words(self) -> String {
        match self {
            Self::Unanswered(error) => chain(&error),
            Self::Unequipped(host, _) => format!(
                "cnsenter is not installed there, and nothing is sent while looking; if the pod is \
                 there: --node {} --push",
                host.name
            ),
            Self::Because(why) => why,
        }
    }
}

impl Search<'_> {
    /// Looks where earlier runs have seen it.
    async fn where_it_was(&self, asked: &mut Asked) -> Result<Option<Place>, Error> {
        for pod in self.remembered() {
            let Remembered {
                name, node, seen, ..
            } = pod;
            if asked.include(node) {
                continue;
            }
            let ago = ago(*seen);
            self.report.note(&format!(
                "From the cache, {ago}: pod {name:?} was on {node}"
            ));
            self.report.step(format_args!("asking {node}…"));
            let names = Names::pod(name);
            let answer = self.ask(self.host(node), &names, &self.by.options);
            let why = match self.in_time(answer).await {
                Some(Ok(Some(place))) => return Ok(Some(place)),
                Some(Ok(None)) => {
                    self.report.note(&format!("It is not on {node} any more"));
                    // Of an object other pods may be there.
                    if self.wanted.named.is_pod() {
                        asked.without.push(node.clone());
                    }
                    continue;
                }
                Some(Err(Silence::Unanswered(error))) => return Err(Error::Unanswered(error)),
                Some(Err(Silence::Unequipped(host, connection))) => {
                    let is_sent = self.by.options.push != Push::Never;
                    asked.unequipped = asked.unequipped.take().or(is_sent.then(|| Place {
                        host,
                        connection: *connection,
                        pods: vec![pod.into()],
                        is_believed: true,
                    }));
                    match is_sent {
                        true => "cnsenter is not installed there".to_owned(),
                        false => "cnsenter is not installed there; --push sends it".to_owned(),
                    }
                }
                Some(Err(silence)) => silence.words(),
                None => too_late(),
            };
            self.report.note(&format!("{node} does not say: {why}"));
            asked.silent.push((node.clone(), why));
        }
        Ok(None)
    }

    /// What comes of it, if that is soon. Whoever is asked for a password has all the time to find it.
    async fn in_time<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(work);
        tokio::select! {
            done = &mut work => return Some(done),
            () = sleep(LIMIT) => {}
        }
        match self.report.has_asked() {
            true => Some(work.await),
            false => None,
        }
    }

    /// The same pod elsewhere: a StatefulSet gives the names of its pods again, and one whose node was believed
    /// to be dead may still run there.
    async fn twin_of(&self, place: &Place) -> Option<Place> {
        let named = self.wanted.named;
        let pod = self.memory.pod(self.wanted.namespace, &named.name)?;
        let is_of_set = |object: &String| object.starts_with("statefulset/");
        if !named.is_pod() || !pod.objects.iter().any(is_of_set) {
            return None;
        }
        let mut nodes = self.nodes();
        nodes.remove(&place.host.name);
        let names = &Names::pod(&named.name);
        let options = &self.silently();
        let others = nodes.into_iter().collect();
        let deadline = Some(Instant::now() + TWIN_LIMIT);
        let asked = race(others, deadline, |node| {
            self.ask(self.host(&node), names, options)
        });
        asked.await.found.into_iter().map(|(_, place)| place).next()
    }

    /// How nodes are reached if many are asked at once: nobody knows which one a question is about.
    fn silently(&self) -> ssh::Options {
        ssh::Options {
            may_prompt: false,
            ..self.by.options.clone()
        }
    }

    fn remembered(&self) -> Vec<&Remembered> {
        let Wanted {
            namespace, named, ..
        } = self.wanted;
        let mut pods = match named.is_pod() {
            true => self
                .memory
                .pod(namespace, &named.name)
                .into_iter()
                .collect(),
            false => self.memory.pods_of(namespace, &named.to_string()),
        };
        pods.truncate(REMEMBERED);
        pods
    }

    /// Asks every node that is known, until `deadline` if there is one.
    async fn everywhere(&self, asked: Asked, deadline: Option<Instant>) -> Result<Found, Error> {
        let Wanted {
            namespace, named, ..
        } = self.wanted;
        let what = match named.is_pod() {
            true => format!("pod {namespace}/{named}"),
            false => named.to_string(),
        };
        let names = Names::of(named).ok_or_else(|| Error::Nameless(what.clone()))?;
        let nodes = self.nodes();
        if nodes.is_empty() {
            return Err(Error::NoNodes(what));
        }
        let nodes: Vec<_> = nodes
            .into_iter()
            .filter(|node| !asked.include(node))
            .collect();
        let all = match nodes.len() {
            1 => "1 node".to_owned(),
            all => format!("{all} nodes"),
        };
        self.report.step(format_args!("asking {all} for {what}…"));
        let names = &names;
        let options = &self.silently();
        let Answers {
            found,
            mut without,
            silent,
        } = race(nodes, deadline, |node| {
            self.ask(self.host(&node), names, options)
        })
        .await;
        let mut places: Vec<_> = found.into_iter().map(|(_, place)| place).collect();
        if names.only().is_some() && places.len() > 1 {
            return Err(several(&places));
        }
        if places.is_empty() {
            without.extend(asked.without);
            without.sort();
            let reason = |why: Option<Silence>| why.map_or_else(too_late, Silence::words);
            let silent = silent.into_iter().map(|(node, why)| (node, reason(why)));
            return Err(Error::NotFound {
                what,
                without,
                silent: asked.silent.into_iter().chain(silent).collect(),
            });
        }
        let place = places.swap_remove(0);
        if names.only().is_some() {
            let node = &place.host.name;
            let told = format!("Found {what} on {node}, one of {all} of the cache");
            self.report.note(&told);
        }
        self.choose(place)
    }

    /// Every node that was seen, or that a pod was seen on.
    fn nodes(&self) -> BTreeSet<String> {
        let named = self.memory.nodes.iter().map(|node| &node.name);
        let of_pods = self.memory.pods.iter().map(|pod| &pod.node);
        named.chain(of_pods).cloned().collect()
    }

    fn host(&self, node: &str) -> Host {
        host(node, self.memory.node(node), self.by)
    }

    /// What a node has of the pods that are meant; None if it has none.
    async fn ask(
        &self,
        host: Host,
        names: &Names,
        options: &ssh::Options,
    ) -> Result<Option<Place>, Silence> {
        let namespace = self.wanted.namespace;
        let words = listed::words(namespace, names);
        let connected = ssh::connect_by(&self.ways, &host, options, self.report).await;
        let mut connection = connected.map_err(Silence::of)?;
        let ran = match connection.run(&words).await {
            Err(ssh::Error::NoCnsenter { .. }) => {
                return Err(Silence::Unequipped(host, Box::new(connection)));
            }
            ran => ran.map_err(Silence::of)?,
        };
        if ran.code != Some(0) {
            let why = format!("cnsenter ls failed there: {}", ran.why());
            return Err(Silence::Because(why));
        }
        let pods = listed::read(&ran.stdout, namespace, names).map_err(|error| {
            Silence::Because(format!("cnsenter ls gave what cannot be read: {error}"))
        })?;
        Ok((!pods.is_empty()).then_some(Place {
            host,
            connection,
            pods,
            is_believed: false,
        }))
    }

    /// One container of what a node has.
    fn choose(&self, place: Place) -> Result<Found, Error> {
        let Wanted {
            namespace, named, ..
        } = self.wanted;
        if named.is_pod() && place.pods.len() > 1 {
            return Err(several(std::slice::from_ref(&place)));
        }
        let Place {
            host,
            connection,
            pods,
            is_believed,
        } = place;
        let Some(pod) = pods.into_iter().next() else {
            let what = named.to_string();
            let (without, silent) = (vec![host.name], Vec::new());
            return Err(Error::NotFound {
                what,
                without,
                silent,
            });
        };
        let remembered = self.memory.pod(namespace, &pod.name);
        let remembered = remembered.filter(|remembered| remembered.uid == pod.uid);
        if !named.is_pod() {
            let is_known = remembered.is_some_and(|r| r.objects.contains(&named.to_string()));
            self.report.note(&match is_known {
                true => format!("Entering pod {:?} of {named}", pod.name),
                false => format!(
                    "Entering pod {:?} on {}, which by its name is one of {named}",
                    pod.name, host.name
                ),
            });
        }
        let container = choice::container(self.wanted, &pod, remembered, &host, self.report)?;
        // It may have been made anew since it was seen, or its container have begun again.
        let is_said = |word: &String| !word.is_empty() && !is_believed;
        let target = Target {
            uid: Some(pod.uid).filter(is_said),
            container: Some(container.name),
            container_id: Some(container.id).filter(is_said),
            ..Target::pod(namespace, &pod.name)
        };
        Ok(Found {
            host,
            connection,
            target,
        })
    }
}

fn too_late() -> String {
    format!("no answer within {}", humantime::format_duration(LIMIT))
}

fn several(places: &[Place]) -> Error {
    let name = places.iter().flat_map(|place| &place.pods).next();
    let each = places.iter().flat_map(|place| {
        let pods = place.pods.iter();
        pods.map(|pod| format!("{} (UID {})", place.host.name, pod.uid))
    });
    Error::Several {
        pod: name.map(|pod| pod.name.clone()).unwrap_or_default(),
        places: each.collect(),
    }
}

/// How a node is reached: as `--ssh-host` has it, by its addresses in the order of `--node-address-type`,
/// else by its name, which ssh may know.
#[must_use]
pub fn host(name: &str, known: Option<&Node>, by: &BySsh) -> Host {
    if let Some(template) = &by.host {
        return Host {
            name: name.to_owned(),
            address: template.replace("{node}", name),
            others: Vec::new(),
        };
    }
    let addresses = known.map(|node| node.addresses.as_slice());
    let of_type = |kind: &ssh::AddressType| {
        let all = addresses.unwrap_or_default().iter();
        let of_it = all.filter(|address| address.kind == kind.name());
        of_it
            .map(|address| address.address.clone())
            .collect::<Vec<_>>()
    };
    let mut others: Vec<_> = by.address_types.iter().flat_map(of_type).collect();
    let address = match others.is_empty() {
        true => name.to_owned(),
        false => others.remove(0),
    };
    // By a name somebody else may be called where we are.
    others.retain(|other| *other != address && other.parse::<IpAddr>().is_ok());
    Host {
        name: name.to_owned(),
        address,
        others,
    }
}
