//! What only other kernels have, in virtual machines: cgroup v2 as systemd lays it out, AppArmor,
//! an initramfs as root, Linux 6.1 and 6.12.
//!
//! The cases are scripts, `tests/vm/cases/*.sh`. Each kernel is started once; it runs all of them
//! and says how each went. Here every one of them is a test for each kernel.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use kpexec_tests::{ContainerSpec, Kernel, Vm};

/// It takes a minute or so; the host may be busy.
const DEADLINE: Duration = Duration::from_secs(600);

/// Runs in the initramfs, before the others.
const EARLY: &str = "no_pivot_on_the_initramfs";

/// How each case went: nothing, or what was wrong.
struct Report(BTreeMap<String, Option<String>>);

impl Report {
    fn of(kernel: Kernel) -> Self {
        let mut machine = Vm::new(kernel)
            .script("/main", include_str!("../vm/main.sh"))
            .script("/early", include_str!("../vm/early.sh"))
            .script("/lib.sh", include_str!("../vm/lib.sh"))
            .bundle(&ContainerSpec::sleeper("plain"))
            .bundle(&ContainerSpec::sleeper("userns").userns());
        for (name, script) in scripts() {
            machine = machine.script(&format!("/cases/{name}.sh"), &script);
        }
        Self::parse(&machine.run(DEADLINE))
    }

    fn parse(text: &str) -> Self {
        let mut cases = BTreeMap::new();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let mut trace = String::new();
            while let Some(line) = lines.next_if(|line| line.starts_with('#')) {
                trace.push_str(line.trim_start_matches(['#', ' ']));
                trace.push('\n');
            }
            let (name, outcome) = match (line.strip_prefix("ok "), line.strip_prefix("not ok ")) {
                (Some(name), _) => (name, None),
                (_, Some(name)) => (name, Some(trace)),
                _ => panic!("the machine printed {line:?}, in:\n{text}"),
            };
            assert!(
                cases.insert(name.to_owned(), outcome).is_none(),
                "{name} is there twice"
            );
        }
        Self(cases)
    }

    fn assert_ok(&self, case: &str) {
        match self.0.get(case) {
            Some(None) => {}
            Some(Some(trace)) => panic!("{case}:\n{trace}"),
            None => panic!("{case} was not run: {:?}", self.0),
        }
    }
}

/// Each case's name and script.
fn scripts() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vm/cases");
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect()
}

macro_rules! cases {
    ($($case:ident,)*) => {
        const CASES: &[&str] = &[$(stringify!($case)),*];
        cases!(linux_6_1: Linux6_1, $($case,)*);
        cases!(linux_6_12: Linux6_12, $($case,)*);
    };
    ($module:ident: $kernel:ident, $($case:ident,)*) => {
        mod $module {
            use super::*;
            static REPORT: LazyLock<Report> = LazyLock::new(|| Report::of(Kernel::$kernel));
            $(
                #[test]
                fn $case() {
                    REPORT.assert_ok(stringify!($case));
                }
            )*
        }
    };
}

cases! {
    apparmor_profile_by_path,
    apparmor_profile_of_cnsenter,
    apparmor_profile_of_the_container,
    background_lives_on,
    from_a_pod,
    from_the_root_group,
    hundred_runs_leak_nothing,
    kill_ends_daemons,
    locked_down,
    memory_bound_holds,
    no_pivot_on_the_initramfs,
    nsdelegate_is_on,
    own_group_escapes_pids_max,
    own_group_is_a_leaf_of_the_session,
    own_group_spares_the_application,
    paused_by_a_parent_is_refused,
    paused_in_a_session,
    paused_is_refused,
    read_only_groups,
    target_ends_in_a_session,
    target_group_holds_the_command,
    target_group_of_nested_init,
    target_group_without_nsdelegate,
    target_memory_max_holds,
    target_pids_max_holds,
    terminal,
    user_namespace,
}

#[test]
fn every_script_is_a_test() {
    let mut scripts: Vec<_> = scripts().into_keys().collect();
    scripts.push(EARLY.to_owned());
    scripts.sort();
    assert_eq!(scripts, CASES);
}
