//! Who the command is.

use super::accounts::{groups, users};
use super::{Error, Facts, IdMap, MAX_GROUPS};
use crate::request::{IdOrName, Namespace, Request, UserSpec};

/// A file of accounts, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountFile {
    /// Nobody needs it.
    NotRead,
    /// What it holds.
    Read(Vec<u8>),
    /// It could not be read; the reason, for the message.
    Unusable(String),
}

impl AccountFile {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Read(bytes) => bytes,
            Self::NotRead | Self::Unusable(_) => &[],
        }
    }

    fn why(&self) -> String {
        match self {
            Self::Unusable(why) => format!(" ({why})"),
            Self::NotRead | Self::Read(_) => String::new(),
        }
    }
}

/// The command's ids, inside its user namespace and outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// User ID.
    pub uid: u32,
    /// Group ID.
    pub gid: u32,
    /// Supplementary group IDs.
    pub groups: Vec<u32>,
    /// Whether setgroups(2) can be called.
    pub set_groups: bool,
    /// The IDs to take first in a user namespace, in which ours do not exist: its root, or
    /// whatever is mapped.
    pub first: Option<(u32, u32)>,
    /// `uid` outside.
    pub host_uid: u32,
    /// `gid` outside.
    pub host_gid: u32,
    /// `groups` outside.
    pub host_groups: Vec<u32>,
    /// Home directory, if /etc/passwd says.
    pub home: Option<Vec<u8>>,
}

pub(super) fn of(request: &Request, facts: &Facts, in_user_ns: bool) -> Result<Identity, Error> {
    let whole = IdMap::identity();
    let (uids, gids) = if in_user_ns {
        (&facts.uid_map, &facts.gid_map)
    } else {
        (&whole, &whole)
    };
    let whose = if request.namespaces.contains(&Namespace::Mount) {
        "the container's"
    } else {
        "the node's"
    };
    let (uid, gid, mut group_ids) = match &request.user {
        // Root, or the nearest thing to it that the user namespace has.
        None => (
            uids.root_or_first().unwrap_or(0),
            gids.root_or_first().unwrap_or(0),
            Vec::new(),
        ),
        Some(spec) => named(spec, facts, whose)?,
    };
    if request.user.is_some() {
        // Else a set-group-ID program could shed the group to which a file denies what it allows
        // others (CVE-2022-36109, CVE-2023-25173).
        group_ids.push(gid);
    }
    for group in &request.extra_groups {
        group_ids.push(group_id(group, facts, whose)?);
    }
    group_ids.sort_unstable();
    group_ids.dedup();

    if group_ids.len() > MAX_GROUPS {
        return Err(Error::TooManyGroups(group_ids.len()));
    }
    let set_groups = !in_user_ns || facts.setgroups_allowed;
    if !set_groups && !request.extra_groups.is_empty() {
        return Err(Error::SetgroupsDenied);
    }
    if !set_groups {
        group_ids.clear();
    }
    let outside = |kind, map: &IdMap, id| {
        map.outside(id).ok_or_else(|| Error::NotMapped {
            kind,
            id,
            map: map.to_string(),
        })
    };
    Ok(Identity {
        uid,
        gid,
        set_groups,
        first: in_user_ns
            .then(|| Some((uids.root_or_first()?, gids.root_or_first()?)))
            .flatten(),
        host_uid: outside("uid", uids, uid)?,
        host_gid: outside("gid", gids, gid)?,
        host_groups: group_ids
            .iter()
            .map(|id| outside("gid", gids, *id))
            .collect::<Result<_, _>>()?,
        groups: group_ids,
        home: users(facts.passwd.bytes())
            .find(|u| u.uid == uid)
            .map(|u| u.home.to_vec())
            .filter(|h| h.starts_with(b"/")),
    })
}

/// The IDs of `-u`, with the groups that /etc/group adds, as docker exec and runc exec have it: a
/// number that no line knows has group 0.
fn named(
    spec: &UserSpec,
    facts: &Facts,
    whose: &'static str,
) -> Result<(u32, u32, Vec<u32>), Error> {
    let passwd = facts.passwd.bytes();
    let known = match &spec.user {
        IdOrName::Id(uid) => users(passwd).find(|u| u.uid == *uid),
        IdOrName::Name(name) => {
            let found = users(passwd).find(|u| u.name == name.as_bytes());
            Some(found.ok_or_else(|| Error::UnknownUser {
                name: crate::escape::escaped_start(name),
                whose,
                why: facts.passwd.why(),
            })?)
        }
    };
    let uid = match (&spec.user, &known) {
        (IdOrName::Id(uid), _) => *uid,
        (IdOrName::Name(_), Some(user)) => user.uid,
        (IdOrName::Name(_), None) => 0,
    };
    if let Some(group) = &spec.group {
        return Ok((uid, group_id(group, facts, whose)?, Vec::new()));
    }
    let Some(user) = known else {
        return Ok((uid, 0, Vec::new()));
    };
    let member_of = groups(facts.group.bytes())
        .filter(|g| g.has_member(user.name))
        .map(|g| g.gid);
    Ok((uid, user.gid, member_of.collect()))
}

fn group_id(group: &IdOrName, facts: &Facts, whose: &'static str) -> Result<u32, Error> {
    match group {
        IdOrName::Id(gid) => Ok(*gid),
        IdOrName::Name(name) => groups(facts.group.bytes())
            .find(|g| g.name == name.as_bytes())
            .map(|g| g.gid)
            .ok_or_else(|| Error::UnknownGroup {
                name: crate::escape::escaped_start(name),
                whose,
                why: facts.group.why(),
            }),
    }
}
