//! A report for people: sections of aligned columns, every cell escaped.

use std::fmt::Write;

use super::Report;
use super::cgroup::Membership;
use super::credentials::{Ids, Range, inside};
use super::limits::Rlimit;
use super::seccomp::{Mode, Seccomp};
use crate::escape::escaped;

/// Lists are broken so that lines stay about this long, in characters.
const WIDTH: usize = 96;

/// v1 has no word for "no limit": the largest multiple of a page.
const V1_UNLIMITED: u64 = i64::MAX as u64 / 4096 * 4096;

type Rows = Vec<Vec<String>>;

/// The whole table.
pub(super) fn render(report: &Report) -> String {
    let mut text = String::new();
    for (title, rows) in [
        ("CONTAINER", container(report)),
        ("NAMESPACES", namespaces(report)),
        ("IDENTITY", identity(report)),
        ("CAPABILITIES", capabilities(report)),
        ("CONFINEMENT", confinement(report)),
        ("CGROUPS", cgroups(&report.cgroups)),
        ("LIMITS", limits(&report.rlimits)),
        ("MOUNTS", mounts(report)),
    ] {
        let separator = if text.is_empty() { "" } else { "\n" };
        text += &format!("{separator}{title}\n");
        section(&mut text, &rows);
    }
    text
}

fn section(text: &mut String, rows: &Rows) {
    let rows: Rows = rows
        .iter()
        .map(|row| row.iter().map(|cell| escaped(cell).to_string()).collect())
        .collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    // One very long cell, such as a volume's path, must not push all others off the screen.
    let width = |i: usize| {
        let cells = rows.iter().filter_map(|row| row.get(i));
        cells.map(|c| c.chars().count().min(WIDTH / 2)).max()
    };
    let widths: Vec<usize> = (0..columns).map(|i| width(i).unwrap_or(0)).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(c, w)| format!("{c:<w$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        let _ = writeln!(text, "  {}", line.trim_end());
    }
}

/// A name and what it is, over as many lines as a list needs.
fn named(rows: &mut Rows, name: &str, value: &str) {
    let mut lines = vec![String::new()];
    for item in value.split_inclusive(", ") {
        match lines.last_mut() {
            Some(line) if line.is_empty() || line.len() + item.len() <= WIDTH => *line += item,
            _ => lines.push(item.to_owned()),
        }
    }
    for (i, line) in lines.iter().enumerate() {
        let name = if i == 0 { name } else { "" };
        rows.push(vec![name.to_owned(), line.trim_end().to_owned()]);
    }
}

fn container(report: &Report) -> Rows {
    let mut rows = Rows::new();
    named(&mut rows, "ID", &report.id);
    if let Some(pod) = &report.pod {
        let container = pod.container.as_deref().map(|c| format!("/{c}"));
        let name = format!(
            "{}/{}{}",
            pod.namespace,
            pod.name,
            container.unwrap_or_default()
        );
        named(&mut rows, "Pod", &name);
    }
    let runtime = report.runtime.name().to_owned();
    let namespace = report.runtime_namespace.as_ref();
    let runtime = namespace.map_or(runtime.clone(), |n| format!("{runtime}, namespace {n}"));
    for (name, value) in [
        ("Name", report.name.as_ref()),
        ("Image", report.image.as_ref()),
        ("Runtime", Some(&runtime)),
        ("Handler", report.handler.as_ref()),
    ] {
        if let Some(value) = value {
            named(&mut rows, name, value);
        }
    }
    named(
        &mut rows,
        "State",
        &format!("{}, PID {}", report.state, report.pid),
    );
    rows
}

fn namespaces(report: &Report) -> Rows {
    let row = |n: &super::Entered| {
        let whose = match (n.shared_with_node, n.shared_with_us) {
            (Some(true), _) => "the node's",
            (_, true) => "cnsenter's",
            (Some(false), false) => "its own",
            (None, false) => "not cnsenter's",
        };
        vec![
            n.kind.name().to_owned(),
            whose.to_owned(),
            n.inode.to_string(),
        ]
    };
    report.namespaces.iter().map(row).collect()
}

fn identity(report: &Report) -> Rows {
    let who = &report.identity;
    let mut rows = Rows::new();
    named(&mut rows, "User", &ids(&who.uid, &who.uid_map));
    named(&mut rows, "Group", &ids(&who.gid, &who.gid_map));
    let groups: Vec<String> = who.groups.iter().map(|g| id(*g, &who.gid_map)).collect();
    named(&mut rows, "Groups", &or_none(&groups));
    named(&mut rows, "User map", &map(&who.uid_map));
    named(&mut rows, "Group map", &map(&who.gid_map));
    rows
}

fn ids(ids: &Ids, map: &[Range]) -> String {
    let mut text = id(ids.effective, map);
    for (what, other) in [
        ("real", ids.real),
        ("saved", ids.saved),
        ("filesystem", ids.filesystem),
    ] {
        if other != ids.effective {
            text += &format!(", {what} {}", id(other, map));
        }
    }
    text
}

fn id(id: u32, map: &[Range]) -> String {
    match inside(map, id) {
        Some(same) if same == id => id.to_string(),
        Some(inside) => format!("{inside} ({id} on the node)"),
        None => format!("unmapped ({id} on the node)"),
    }
}

fn map(ranges: &[Range]) -> String {
    let last = |first: u32, count: u32| u64::from(first) + u64::from(count.max(1)) - 1;
    match ranges {
        [] => "none: no ID is mapped".to_owned(),
        [
            Range {
                inside: 0,
                outside: 0,
                count: u32::MAX,
            },
        ] => "the node's".to_owned(),
        ranges => {
            let range = |r: &Range| match r.count {
                1 => format!("{} is {}", r.inside, r.outside),
                n => {
                    let (inside, outside) = (last(r.inside, n), last(r.outside, n));
                    format!("{}-{inside} are {}-{outside}", r.inside, r.outside)
                }
            };
            let ranges = ranges.iter().map(range).collect::<Vec<_>>().join(", ");
            format!("{ranges} on the node")
        }
    }
}

fn capabilities(report: &Report) -> Rows {
    let sets = &report.capabilities;
    let mut rows = Rows::new();
    for (name, set) in [
        ("Effective", &sets.effective),
        ("Permitted", &sets.permitted),
        ("Inheritable", &sets.inheritable),
        ("Bounding", &sets.bounding),
        ("Ambient", &sets.ambient),
    ] {
        let all = report.capability_count;
        let is_all = all > 0 && set.len() == all as usize;
        let text = if is_all {
            format!("all {all}")
        } else {
            or_none(set)
        };
        named(&mut rows, name, &text);
    }
    rows
}

fn confinement(report: &Report) -> Rows {
    let mut rows = Rows::new();
    named(&mut rows, "No new privileges", yes(report.no_new_privs));
    named(&mut rows, "Seccomp", &seccomp(&report.seccomp));
    let module = format!("{:?}", report.lsm.name).to_lowercase();
    let lsm = match &report.lsm.label {
        Some(label) => format!("{module}: {label}"),
        None => module,
    };
    named(&mut rows, "LSM", &lsm);
    let access = match report.rootfs.read_only {
        Some(true) => ", read-only",
        Some(false) => ", writable",
        None => "",
    };
    named(
        &mut rows,
        "Root",
        &format!("{}{access}", report.rootfs.path),
    );
    if let Some(adj) = report.oom_score_adj {
        named(&mut rows, "OOM score adjustment", &adj.to_string());
    }
    if let Some(frozen) = report.frozen {
        named(&mut rows, "Frozen", yes(frozen));
    }
    rows
}

fn seccomp(seccomp: &Seccomp) -> String {
    let mut text = match seccomp.mode {
        Mode::Disabled => "off".to_owned(),
        Mode::Strict => "strict".to_owned(),
        Mode::Filter => match seccomp.filters {
            Some(1) => "1 filter".to_owned(),
            Some(n) => format!("{n} filters"),
            None => "filtered".to_owned(),
        },
    };
    if let (Some(action), Some(rules)) = (&seccomp.default_action, seccomp.rules) {
        text += &format!("; the runtime's profile: {rules} rules, else {action}");
    }
    text
}

fn cgroups(groups: &[Membership]) -> Rows {
    let mut rows: Rows = groups
        .iter()
        .map(|g| vec![g.hierarchy.clone(), g.path.clone()])
        .collect();
    let get = |name: &str| groups.iter().find_map(|g| g.settings.get(name));
    let number = |name: &str| get(name).and_then(|text| text.parse::<u64>().ok());
    let memory = get("memory.max").map(|max| max.parse().ok());
    let v1 = || number("memory.limit_in_bytes").map(|n| (n < V1_UNLIMITED).then_some(n));
    if let Some(limit) = memory.or_else(v1) {
        let used = number("memory.current").or_else(|| number("memory.usage_in_bytes"));
        let used = used
            .map(|n| format!(", {} used", bytes(n)))
            .unwrap_or_default();
        let limit = limit.map_or("no limit".to_owned(), bytes);
        named(&mut rows, "Memory", &format!("{limit}{used}"));
    }
    if let Some(limit) = get("pids.max") {
        let used = get("pids.current").map(|n| format!(", {n} used"));
        let limit = if limit == "max" { "no limit" } else { limit };
        named(
            &mut rows,
            "Processes",
            &format!("{limit}{}", used.unwrap_or_default()),
        );
    }
    if let Some(text) = cpu(
        get("cpu.max"),
        number("cpu.cfs_quota_us"),
        number("cpu.cfs_period_us"),
    ) {
        named(&mut rows, "CPU time", &text);
    }
    if let Some(cpus) = get("cpuset.cpus.effective").or_else(|| get("cpuset.cpus")) {
        named(&mut rows, "CPUs", cpus);
    }
    rows
}

/// How many CPUs' time the group may use. v1's quota of -1 is no number.
fn cpu(max: Option<&String>, quota: Option<u64>, period: Option<u64>) -> Option<String> {
    let (quota, period) = match max {
        Some(max) => {
            let (quota, period) = max.split_once(' ')?;
            (quota.parse().ok(), period.parse().ok()?)
        }
        None => (quota, period?),
    };
    Some(match quota {
        Some(quota) if period > 0 => format!("that of {:.2} CPUs", quota as f64 / period as f64),
        _ => "no limit".to_owned(),
    })
}

fn limits(rlimits: &[Rlimit]) -> Rows {
    let value = |limit: Option<u64>| limit.map_or("unlimited".to_owned(), |n| n.to_string());
    let row = |r: &Rlimit| {
        let unit = r.unit.clone().unwrap_or_default();
        let hard = match r.soft == r.hard {
            true => String::new(),
            false => format!("(up to {})", value(r.hard)),
        };
        vec![r.name.clone(), value(r.soft), unit, hard]
    };
    rlimits.iter().map(row).collect()
}

fn mounts(report: &Report) -> Rows {
    let row = |m: &super::Mount| {
        let source = match m.root.as_str() {
            "/" => m.source.clone(),
            root => format!("{}[{root}]", m.source),
        };
        let propagation = match m.propagation.is_empty() {
            true => "private".to_owned(),
            false => m.propagation.join(" "),
        };
        vec![
            m.target.clone(),
            m.fstype.clone(),
            m.options.join(","),
            propagation,
            source,
        ]
    };
    report.mounts.iter().map(row).collect()
}

fn or_none(list: &[String]) -> String {
    if list.is_empty() {
        "none".to_owned()
    } else {
        list.join(", ")
    }
}

fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

fn bytes(n: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    units
        .into_iter()
        .find(|(shift, _)| n >= 1 << shift)
        .map_or(format!("{n} bytes"), |(shift, unit)| {
            format!("{:.1} {unit}", n as f64 / f64::from(1_u32 << shift))
        })
}
