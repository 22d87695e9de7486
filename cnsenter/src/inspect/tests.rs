use std::collections::BTreeMap;

use nix::unistd::Pid;

use super::cgroup::Membership;
use super::credentials::{Range, names, parse_map};
use super::lsm::Module;
use super::*;
use crate::resolve::State;
use crate::spec::Spec;

fn own_report() -> Report {
    let proc = HostProc::open().unwrap();
    let process = proc.own().unwrap();
    let mut container = Container::new("abc", Runtime::Docker);
    container.state = State::Running(process.pid());
    container.name = Some("web\u{1b}[31m".into());
    let spec = br#"{"linux":{"seccomp":{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["a"]},{}]}}}"#;
    container.spec = Some(Spec::parse(spec).unwrap());
    inspect(&proc, &container, &process).unwrap()
}

#[test]
fn ourselves_are_as_we_know() {
    let report = own_report();
    assert_eq!(report.pid, Pid::this().as_raw());
    assert_eq!(
        report.identity.uid.effective,
        nix::unistd::geteuid().as_raw()
    );
    assert!(report.namespaces.len() >= 7);
    assert!(
        report
            .namespaces
            .iter()
            .all(|n| n.shared_with_us && n.inode > 0)
    );
    assert!(
        report
            .mounts
            .iter()
            .any(|m| m.target == "/proc" && m.fstype == "proc")
    );
    assert_eq!(report.rlimits.len(), 16);
    let nofile = report.rlimits.iter().find(|r| r.name == "nofile").unwrap();
    let (soft, hard) =
        nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap();
    assert_eq!((nofile.soft, nofile.hard), (Some(soft), Some(hard)));
    assert_eq!(report.rootfs.path, "/");
    assert_eq!(
        report.seccomp.default_action.as_deref(),
        Some("SCMP_ACT_ERRNO")
    );
    assert_eq!(report.seccomp.rules, Some(2));
}

#[test]
fn an_ended_process_has_no_report() {
    let proc = HostProc::open().unwrap();
    let mut child = std::process::Command::new("sleep")
        .arg("60")
        .spawn()
        .unwrap();
    let pid = Pid::from_raw(child.id().cast_signed());
    let process = proc.process(pid).unwrap();
    let container = Container::new("abc", Runtime::None);
    assert!(inspect(&proc, &container, &process).is_ok());
    child.kill().unwrap();
    // A zombie still has most of its files.
    while process.is_alive() {}
    assert!(inspect(&proc, &container, &process).is_err());
    child.wait().unwrap();
    assert!(inspect(&proc, &container, &process).is_err());
}

#[test]
fn fields_have_their_documented_names() {
    let json: serde_json::Value = serde_json::to_value(own_report()).unwrap();
    for pointer in [
        "/id",
        "/runtime",
        "/state",
        "/pid",
        "/namespaces/0/sharedWithUs",
        "/identity/uid/effective",
        "/identity/uidMap",
        "/capabilities/bounding",
        "/noNewPrivs",
        "/seccomp/mode",
        "/seccomp/defaultAction",
        "/lsm/name",
        "/cgroups/0/hierarchy",
        "/cgroups/0/settings",
        "/rootfs/path",
        "/mounts/0/superOptions",
        "/mounts/0/propagation",
        "/rlimits/0/soft",
        "/oomScoreAdj",
    ] {
        assert!(json.pointer(pointer).is_some(), "{pointer}");
    }
    let mut yaml = Vec::new();
    own_report().write(Format::Yaml, &mut yaml).unwrap();
    assert!(String::from_utf8(yaml).unwrap().contains("\nnoNewPrivs: "));
}

#[test]
fn the_table_speaks_plainly_and_sends_no_escapes() {
    let mut report = own_report();
    report.capabilities.effective = names(u64::MAX >> (64 - report.capability_count));
    report.capabilities.ambient = Vec::new();
    report.identity.uid_map = vec![Range {
        inside: 0,
        outside: 100_000,
        count: 65_536,
    }];
    report.identity.uid.effective = 100_000;
    report.cgroups = vec![Membership {
        hierarchy: "v2".into(),
        path: "/a\u{1b}b".into(),
        settings: BTreeMap::from([
            ("memory.max", "536870912".to_owned()),
            ("pids.max", "max".to_owned()),
            ("cpu.max", "150000 100000".to_owned()),
        ]),
    }];
    let mut table = Vec::new();
    report.write(Format::Table, &mut table).unwrap();
    let table = String::from_utf8(table).unwrap();
    let all = format!("all {}", report.capability_count);
    for text in [
        all.as_str(),
        "none",
        "web\\x1b[31m",
        "/a\\x1bb",
        "512.0 MiB",
        "no limit",
        "that of 1.50 CPUs",
        "0 (100000 on the node)",
        "0-65535 are 100000-165535",
        "2 rules, else SCMP_ACT_ERRNO",
    ] {
        assert!(table.contains(text), "{text:?} in\n{table}");
    }
    assert!(!table.contains('\u{1b}'));
}

#[test]
fn capabilities_have_names_and_unknown_ones_numbers() {
    assert_eq!(
        names(1 | 1 << 21 | 1 << 41),
        ["CAP_CHOWN", "CAP_SYS_ADMIN", "cap_41"]
    );
    assert_eq!(names(u64::MAX).len(), 64);
}

#[test]
fn mounts_are_read_whatever_they_are_called() {
    let file = b"22 1 8:1 / / ro,relatime - ext4 /dev/sda1 rw\n\
        23 22 0:5 /a\\040b /x\\134\\012y rw shared:7 master:3 future - tmpfs  rw,size=1k\n\
        broken line\n24 22 0:6 / /n\xff rw - proc proc\n25 22 0:7 / /\\777\\+12\\ rw - a b c\n";
    let mounts = mounts::parse(file);
    assert_eq!(mounts.len(), 4);
    assert!(mounts[0].is_read_only() && mounts::is_root_read_only(&mounts) == Some(true));
    assert_eq!(
        (mounts[1].root.as_str(), mounts[1].target.as_str()),
        ("/a b", "/x\\\ny")
    );
    assert_eq!(mounts[1].propagation, ["shared:7", "master:3", "future"]);
    assert_eq!(
        (mounts[1].source.as_str(), mounts[1].super_options.len()),
        ("", 2)
    );
    assert_eq!(mounts[2].target, "/n\u{fffd}");
    assert_eq!(mounts[3].target, "/\\777\\+12\\");
    // What is mounted over the root later is what counts.
    let file = b"1 0 8:1 / / ro - ext4 a rw\n2 1 8:1 / / rw - ext4 a rw\n";
    assert_eq!(mounts::is_root_read_only(&mounts::parse(file)), Some(false));
    assert_eq!(mounts::is_root_read_only(&[]), None);
}

#[test]
fn cgroups_are_read_below_their_own_mount_alone() {
    let dir = tempfile::tempdir().unwrap();
    let group = dir.path().join("pids/a:b");
    std::fs::create_dir_all(&group).unwrap();
    std::fs::write(group.join("pids.max"), "max\n").unwrap();
    std::fs::write(dir.path().join("pids/pids.max"), "7\n").unwrap();
    let line = format!(
        "1 0 0:1 / {}/pids rw - cgroup c rw,pids\n",
        dir.path().display()
    );
    let mounts = mounts::parse(line.as_bytes());
    let read = |file: &[u8]| cgroup::memberships(file, &mounts);
    let found = read(b"4:pids:/a:b\n3:cpu:/a:b\n0::/a:b\n");
    assert_eq!(
        found[0].settings,
        BTreeMap::from([("pids.max", "max".to_owned())])
    );
    assert_eq!(found[0].path, "/a:b");
    assert!(found[1].settings.is_empty() && found[2].settings.is_empty());
    assert_eq!(found[2].hierarchy, "v2");
    // From another cgroup namespace, and a name that climbs.
    assert!(
        read(b"4:pids:/../a:b")
            .iter()
            .all(|g| g.settings.is_empty())
    );
    assert!(
        read(b"4:pids:/a:b/../")
            .iter()
            .all(|g| g.settings.is_empty())
    );
}

#[test]
fn frozen_by_either_hierarchy() {
    let group = |name, value: &str| Membership {
        hierarchy: String::new(),
        path: String::new(),
        settings: BTreeMap::from([(name, value.to_owned())]),
    };
    let thawed = group("freezer.state", "THAWED");
    assert_eq!(cgroup::is_frozen(&[]), None);
    assert_eq!(
        cgroup::is_frozen(std::slice::from_ref(&thawed)),
        Some(false)
    );
    for frozen in [
        group("freezer.state", "FROZEN"),
        group("cgroup.events", "populated 1\nfrozen 1"),
    ] {
        assert_eq!(cgroup::is_frozen(&[thawed.clone(), frozen]), Some(true));
    }
}

#[test]
fn labels_tell_their_module() {
    for (label, module) in [
        ("unconfined\n", Module::Apparmor),
        ("cri-containerd.apparmor.d (enforce)\n", Module::Apparmor),
        ("system_u:system_r:container_t:s0:c1,c2\0", Module::Selinux),
        ("_", Module::Other),
        ("", Module::None),
    ] {
        assert_eq!(lsm::parse(label.as_bytes()).name, module, "{label:?}");
    }
    let label = lsm::parse(b"a:b:c:s0\0").label;
    assert_eq!(label.as_deref(), Some("a:b:c:s0"));
}

#[test]
fn broken_files_break_nothing() {
    assert!(
        limits::parse("Max x\nMax open files \u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9} 1 2".as_bytes())
            .is_empty()
    );
    assert!(parse_map(b"0 0\n-1 2 3\nx").is_empty());
    assert_eq!(parse_map(b" 0 100000 65536\n").len(), 1);
    assert!(cgroup::parse(b"0:\n\xff").is_empty());
}
