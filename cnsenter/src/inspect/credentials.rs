//! Users, groups and capabilities (credentials(7), capabilities(7)).

use serde::Serialize;

use crate::hostproc::Status;

/// Who the init is. Numbers are the node's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// User IDs.
    pub uid: Ids,
    /// Group IDs.
    pub gid: Ids,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Users of its user namespace.
    pub uid_map: Vec<Range>,
    /// Groups of its user namespace.
    pub gid_map: Vec<Range>,
}

/// One kind of ID, four times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Ids {
    /// Who started it.
    pub real: u32,
    /// Whose rights it has.
    pub effective: u32,
    /// Whose rights it may take again.
    pub saved: u32,
    /// Whose files it opens.
    pub filesystem: u32,
}

impl Ids {
    /// From the field `Uid` or `Gid` of /proc/PID/status.
    #[must_use]
    pub fn of(status: &Status, field: &str) -> Self {
        let ids = status.numbers(field);
        let id = |i: usize| ids.get(i).copied().unwrap_or(u32::MAX);
        Self {
            real: id(0),
            effective: id(1),
            saved: id(2),
            filesystem: id(3),
        }
    }
}

/// One line of a uid_map or gid_map (user_namespaces(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Range {
    /// First ID inside.
    pub inside: u32,
    /// First ID outside, on the node.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// Reads a uid_map or gid_map; lines that are not three numbers are passed over.
#[must_use]
pub fn parse_map(file: &[u8]) -> Vec<Range> {
    let range = |line: &str| {
        let mut numbers = line.split_ascii_whitespace().map(|n| n.parse().ok());
        Some(Range {
            inside: numbers.next()??,
            outside: numbers.next()??,
            count: numbers.next()??,
        })
    };
    String::from_utf8_lossy(file)
        .lines()
        .filter_map(range)
        .collect()
}

/// What an ID of the node is called inside; None if it is not mapped.
#[must_use]
pub fn inside(map: &[Range], outside: u32) -> Option<u32> {
    map.iter().find_map(|r| {
        let offset = outside.checked_sub(r.outside).filter(|o| *o < r.count)?;
        r.inside.checked_add(offset)
    })
}

/// The five sets, by name, in the order of their numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Capabilities {
    /// What it may do now.
    pub effective: Vec<String>,
    /// What it may make effective.
    pub permitted: Vec<String>,
    /// What an executed file's inheritable set may let through.
    pub inheritable: Vec<String>,
    /// What anything it executes can get at most.
    pub bounding: Vec<String>,
    /// What anything it executes gets, without being root.
    pub ambient: Vec<String>,
}

impl Capabilities {
    /// From /proc/PID/status.
    #[must_use]
    pub fn of(status: &Status) -> Self {
        let set = |field| names(status.mask(field).unwrap_or(0));
        Self {
            effective: set("CapEff"),
            permitted: set("CapPrm"),
            inheritable: set("CapInh"),
            bounding: set("CapBnd"),
            ambient: set("CapAmb"),
        }
    }
}

/// The names of a mask's bits, such as `CAP_CHOWN`; `cap_41` for one that has no name yet.
#[must_use]
pub fn names(mask: u64) -> Vec<String> {
    (0..u64::BITS as u8)
        .filter(|bit| mask & (1 << bit) != 0)
        .map(|bit| {
            let known = caps::all().into_iter().find(|c| c.index() == bit);
            known.map_or_else(|| format!("cap_{bit}"), |c| c.to_string())
        })
        .collect()
}
