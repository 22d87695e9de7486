//! `cnsenter inspect` against what the kernel and the runtime's configuration say.

use kpexec_tests::{Container, ContainerSpec, Kind, Node, Runtime, eventually, on_each_runtime};
use serde_json::Value;

on_each_runtime!(tells_the_truth);

fn tells_the_truth(kind: Kind, runtime: &dyn Runtime) {
    let node = runtime.node();
    let alone = matches!(kind, Kind::Runc11 | Kind::Runc15 | Kind::Crun);
    let locked = match alone {
        true => ContainerSpec::sleeper("locked")
            .uid(1000)
            .drop_all_caps()
            .read_only(),
        false => ContainerSpec::locked_down("locked"),
    };
    let locked = runtime.run(&locked);
    let plain = runtime.run(&ContainerSpec::sleeper("plain"));
    let shared = runtime.run(&ContainerSpec::sleeper("shared").host_network().host_pid());
    let mut all = vec![&locked, &plain, &shared];
    let mapped =
        (kind != Kind::Docker).then(|| runtime.run(&ContainerSpec::sleeper("mapped").userns()));
    all.extend(&mapped);
    let before = node.snapshot();
    for container in &all {
        let report = report(node, &container.id);
        assert_eq!(report["id"], container.id.as_str());
        assert_eq!(
            (&report["state"], &report["pid"]),
            (&"running".into(), &container.pid.into())
        );
        agrees_with_proc(node, container, &report);
        // In words for people: the table has the same.
        let table = node.cnsenter(["inspect", &container.id]).run().quiet();
        assert!(table.contains(&container.id), "{table}");
        assert!(table.contains(&container.pid.to_string()), "{table}");
        let yaml = node
            .cnsenter(["inspect", "-o", "yaml", &container.id])
            .run()
            .quiet();
        assert!(
            yaml.contains(&format!("pid: {}\n", container.pid)),
            "{yaml}"
        );
    }

    let report_of = |container: &Container| report(node, &container.id);
    let report = report_of(&locked);
    assert_eq!(
        report["identity"]["uid"]["effective"],
        if kind == Kind::PodmanRootless {
            300_999
        } else {
            1000
        }
    );
    for set in [
        "effective",
        "permitted",
        "inheritable",
        "bounding",
        "ambient",
    ] {
        assert_eq!(
            report["capabilities"][set],
            Value::Array(vec![]),
            "{set}: {report:#}"
        );
    }
    assert_eq!(report["rootfs"]["readOnly"], true);
    assert_eq!(
        report["seccomp"]["mode"],
        if alone { "disabled" } else { "filter" }
    );
    let report = report_of(&plain);
    assert_eq!(report["rootfs"]["readOnly"], false);
    assert!(
        names(&report["capabilities"]["bounding"]).contains(&"CAP_CHOWN".to_owned()),
        "{report:#}"
    );
    // Clocks and, with some runtimes, the view of version 1's cgroups; users, unless the runtime is
    // a user's.
    for kind_shared in shared_kinds(&report) {
        let fine = match kind_shared.as_str() {
            "time" | "cgroup" => true,
            "user" => kind != Kind::PodmanRootless,
            _ => false,
        };
        assert!(fine, "{kind_shared}: {report:#}");
    }
    let report = report_of(&shared);
    let kinds = shared_kinds(&report);
    assert!(kinds.contains(&"pid".to_owned()), "{report:#}");
    assert!(
        kinds.contains(&"net".to_owned()) || kind == Kind::PodmanRootless,
        "{report:#}"
    );
    if let Some(mapped) = &mapped
        && kind != Kind::PodmanRootless
    {
        let report = report_of(mapped);
        assert_eq!(report["identity"]["uid"]["real"], 200_000);
        let map = &report["identity"]["uidMap"][0];
        assert_eq!(
            (&map["inside"], &map["outside"], &map["count"]),
            (&0.into(), &200_000.into(), &65_536.into())
        );
        assert!(
            !shared_kinds(&report).contains(&"user".to_owned()),
            "{report:#}"
        );
    }
    if kind != Kind::PodmanRootless {
        runtime.pause(&plain);
        let report = report_of(&plain);
        assert_eq!(
            (&report["state"], &report["frozen"]),
            (&"paused".into(), &true.into())
        );
        runtime.unpause(&plain);
        assert_eq!(report_of(&plain)["frozen"], false);
    }
    runtime.stop(&plain);
    // A daemon may take a moment to notice.
    eventually("it is known to have exited", || {
        let said = node.cnsenter(["inspect", &plain.id]).run();
        said.refused(&[]);
        said.err().contains("has exited")
    });
    node.cnsenter(["inspect", &format!("pid:{}", locked.pid)])
        .run()
        .quiet();
    before.assert_same(node);
}

fn agrees_with_proc(node: &Node, container: &Container, report: &Value) {
    let proc = format!("/proc/{}", container.pid);
    let status = node.read(format!("{proc}/status"));
    let field = |name: &str| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
        line.unwrap_or_else(|| panic!("no {name} in {status}"))
            .to_owned()
    };
    for (id, name) in [("uid", "Uid"), ("gid", "Gid")] {
        let ids: Vec<_> = ["real", "effective", "saved", "filesystem"]
            .map(|which| report["identity"][id][which].to_string())
            .into();
        assert_eq!(ids.join("\t"), field(name));
    }
    for (set, name) in [
        ("effective", "CapEff"),
        ("permitted", "CapPrm"),
        ("bounding", "CapBnd"),
        ("ambient", "CapAmb"),
    ] {
        let mask = u64::from_str_radix(&field(name), 16).unwrap();
        let count = report["capabilities"][set].as_array().unwrap().len();
        assert_eq!(
            u32::try_from(count).unwrap(),
            mask.count_ones(),
            "{set}: {report:#}"
        );
    }
    assert_eq!(report["noNewPrivs"], field("NoNewPrivs") == "1");
    let mode = ["disabled", "strict", "filter"][field("Seccomp").parse::<usize>().unwrap()];
    assert_eq!(report["seccomp"]["mode"], mode);
    let spaces = report["namespaces"].as_array().unwrap();
    assert!(spaces.len() >= 7, "{report:#}");
    for space in spaces {
        let kind = space["kind"].as_str().unwrap();
        let file = if kind == "mount" { "mnt" } else { kind };
        let link =
            |pid: &str| std::fs::read_link(node.path(format!("/proc/{pid}/ns/{file}"))).unwrap();
        let its = link(&container.pid.to_string());
        assert_eq!(
            format!("{file}:[{}]", space["inode"]),
            its.display().to_string()
        );
        assert_eq!(space["sharedWithNode"], its == link("1"), "{space}");
    }
    let mounts = node.read(format!("{proc}/mountinfo"));
    let listed = report["mounts"].as_array().unwrap();
    assert_eq!(listed.len(), mounts.lines().count());
    for (mount, line) in listed.iter().zip(mounts.lines()) {
        assert_eq!(
            mount["target"],
            line.split(' ').nth(4).unwrap().replace("\\040", " ")
        );
    }
    let open = node.read(format!("{proc}/limits"));
    let open = open
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    let limit = report["rlimits"]
        .as_array()
        .unwrap()
        .iter()
        .find(|limit| limit["name"] == "nofile");
    assert_eq!(
        limit.unwrap()["soft"].to_string(),
        open.split_whitespace().nth(3).unwrap()
    );
    let adj = node.read(format!("{proc}/oom_score_adj"));
    assert_eq!(report["oomScoreAdj"].to_string(), adj.trim());
    // Read on the node, whose root of the cgroups is not the host's.
    let groups = node.command(["cat", &format!("{proc}/cgroup")]).ok();
    for group in report["cgroups"].as_array().unwrap() {
        let path = group["path"].as_str().unwrap();
        assert!(
            groups
                .lines()
                .any(|line| line.ends_with(&format!(":{path}"))),
            "{path}: {groups}"
        );
    }
    assert_eq!(
        report["cgroups"].as_array().unwrap().len(),
        groups.lines().count()
    );
}

fn shared_kinds(report: &Value) -> Vec<String> {
    let spaces = report["namespaces"].as_array().unwrap().iter();
    let shared = spaces.filter(|space| space["sharedWithNode"] == true);
    shared
        .map(|space| space["kind"].as_str().unwrap().to_owned())
        .collect()
}

fn names(list: &Value) -> Vec<String> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap().to_owned())
        .collect()
}

fn report(node: &Node, target: &str) -> Value {
    let said = node.cnsenter(["inspect", "-o", "json", target]).run();
    serde_json::from_str(&said.quiet()).unwrap()
}
