use std::path::PathBuf;

use super::*;
use crate::request::{CgroupChoice, IdOrName, Io, Lookup, Query, Tty, UserSpec};

const ALL_CAPS: u64 = (1 << 41) - 1;

fn ids(base: u64) -> NamespaceIds {
    NamespaceIds::read(|ns| Ok::<_, ()>(Some(NsId(base + ns as u64)))).unwrap()
}

fn facts() -> Facts {
    Facts {
        own: ids(0),
        target: NamespaceIds::read(|ns| {
            let base = if ns == Namespace::User { 0 } else { 100 };
            Ok::<_, ()>(Some(NsId(base + ns as u64)))
        })
        .unwrap(),
        node: None,
        uid_map: IdMap::parse(b"0 100000 65536"),
        gid_map: IdMap::parse(b"0 200000 65536"),
        setgroups_allowed: true,
        container_env: vec![b"PATH=/bin".to_vec(), b"A=1".to_vec(), b"A=2".to_vec()],
        container_cwd: PathBuf::from("/srv"),
        passwd: AccountFile::Read(b"root:x:0:0::/root:\napp:x:1000:1001::/home/app:\n".to_vec()),
        group: AccountFile::Read(b"app:x:1001:\nextra:x:7:app\n".to_vec()),
        own_capabilities: ALL_CAPS & !(1 << 24),
        own_bounding: ALL_CAPS & !(1 << 24),
        all_capabilities: ALL_CAPS,
        own_oom_score_adj: 0,
        target_oom_score_adj: 985,
        apparmor: false,
        target_devpts: true,
    }
}

fn request() -> Request {
    Request {
        target: Query::Pid(1),
        lookup: Lookup::default(),
        command: vec!["id".into()],
        io: Io {
            stdin: false,
            tty: None,
            tty_refused: false,
        },
        user: None,
        extra_groups: Vec::new(),
        workdir: None,
        env: Vec::new(),
        caller_env: Vec::new(),
        clear_env: false,
        namespaces: Namespace::ALL.to_vec(),
        cgroup: CgroupChoice::Own,
        timeout: None,
        kill_on_exit: false,
        verbose: false,
        memory: None,
        expected: None,
        link: None,
    }
}

fn user(text: &str) -> Request {
    Request {
        user: Some(UserSpec::parse(text).unwrap()),
        ..request()
    }
}

fn in_user_ns() -> Facts {
    Facts {
        target: ids(100),
        ..facts()
    }
}

#[test]
fn joins_what_differs_and_was_chosen() {
    let plan = super::plan(&request(), &facts()).unwrap();
    assert!(!plan.joins(Namespace::User) && plan.joins(Namespace::Mount));
    assert_eq!(plan.join.len(), 7);
    let only_net = Request {
        namespaces: vec![Namespace::Net],
        ..request()
    };
    let plan = super::plan(&only_net, &facts()).unwrap();
    assert_eq!(plan.join, [(Namespace::Net, NsId(104))]);
    assert_eq!(plan.join_node, []);
}

#[test]
fn in_a_pod_the_nodes_are_joined_instead_of_the_pods() {
    let all_but_uts = Request {
        namespaces: Namespace::ALL[..3].to_vec(),
        ..request()
    };
    let in_a_pod = Facts {
        node: Some(ids(200)),
        ..facts()
    };
    let plan = super::plan(&request(), &in_a_pod).unwrap();
    assert_eq!(plan.join_node, []);
    let plan = super::plan(&all_but_uts, &in_a_pod).unwrap();
    let joined = plan.join_node.iter().map(|(ns, _)| *ns);
    assert!(joined.eq(Namespace::ALL[3..].iter().copied()));
}

#[test]
fn default_is_root_with_every_capability_that_we_have() {
    let plan = super::plan(&request(), &facts()).unwrap();
    assert_eq!((plan.identity.uid, plan.identity.gid), (0, 0));
    assert_eq!(plan.identity.first, None);
    assert_eq!(plan.capabilities, facts().own_capabilities);
}

#[test]
fn a_user_namespace_has_its_own_root_and_all_capabilities() {
    let plan = super::plan(&request(), &in_user_ns()).unwrap();
    assert_eq!(plan.identity.first, Some((0, 0)));
    assert_eq!(
        (plan.identity.host_uid, plan.identity.host_gid),
        (100_000, 200_000)
    );
    assert_eq!(plan.capabilities, ALL_CAPS);
}

#[test]
fn an_unmapped_uid_is_refused_with_what_is_mapped() {
    let error = super::plan(&user("70000"), &in_user_ns()).unwrap_err();
    assert_eq!(
        error,
        Error::NotMapped {
            kind: "uid",
            id: 70_000,
            map: "0-65535".into()
        }
    );
}

#[test]
fn users_and_groups_come_from_the_container() {
    let of = |text| super::plan(&user(text), &facts()).map(|p| p.identity);
    let app = of("app").unwrap();
    assert_eq!((app.uid, app.gid, app.groups), (1000, 1001, vec![7, 1001]));
    let by_number = of("1000").unwrap();
    assert_eq!(
        (by_number.uid, by_number.gid, by_number.groups),
        (1000, 1001, vec![7, 1001])
    );
    let with_group = of("app:extra").unwrap();
    assert_eq!((with_group.gid, with_group.groups), (7, vec![7]));
    let unknown = of("4242").unwrap();
    assert_eq!((unknown.uid, unknown.gid), (4242, 0));
    assert!(matches!(of("nobody"), Err(Error::UnknownUser { .. })));
    assert!(matches!(of("app:nobody"), Err(Error::UnknownGroup { .. })));
}

#[test]
fn a_number_is_not_looked_up_as_a_name() {
    let facts = Facts {
        passwd: AccountFile::Read(b"1000:x:0:0::/:".to_vec()),
        ..facts()
    };
    assert_eq!(
        super::plan(&user("1000"), &facts).unwrap().identity.uid,
        1000
    );
}

#[test]
fn a_name_needs_a_file_that_could_be_read() {
    let facts = Facts {
        passwd: AccountFile::Unusable("it is a FIFO".into()),
        ..facts()
    };
    let error = super::plan(&user("app"), &facts).unwrap_err().to_string();
    assert!(
        error.contains("it is a FIFO") && error.contains("give a number"),
        "{error}"
    );
    assert_eq!(
        super::plan(&user("1000"), &facts).unwrap().identity.uid,
        1000
    );
}

#[test]
fn other_users_have_no_capabilities_but_may_gain_them() {
    let plan = super::plan(&user("1000"), &facts()).unwrap();
    assert_eq!(
        (plan.capabilities, plan.bounding),
        (0, facts().own_capabilities)
    );
}

#[test]
fn groups_are_left_alone_where_setgroups_is_denied() {
    let facts = Facts {
        setgroups_allowed: false,
        ..in_user_ns()
    };
    assert!(!super::plan(&request(), &facts).unwrap().identity.set_groups);
    let add = Request {
        extra_groups: vec![IdOrName::Id(7)],
        ..request()
    };
    assert_eq!(super::plan(&add, &facts), Err(Error::SetgroupsDenied));
}

#[test]
fn the_environment_is_the_containers_then_ours_then_the_admins() {
    let show = |r: &Request| -> Vec<String> {
        let plan = super::plan(r, &facts()).unwrap();
        plan.env
            .into_iter()
            .map(|e| String::from_utf8(e).unwrap())
            .collect()
    };
    assert_eq!(show(&request()), ["PATH=/bin", "A=2", "HOME=/root"]);
    let r = Request {
        env: vec![("A".into(), "3".into()), ("PATH".into(), "/x".into())],
        io: Io {
            stdin: true,
            tty: Some(Tty {
                term: Some("vt100".into()),
                size: None,
            }),
            tty_refused: false,
        },
        ..request()
    };
    assert_eq!(show(&r), ["PATH=/x", "A=3", "HOME=/root", "TERM=vt100"]);
    assert_eq!(super::plan(&r, &facts()).unwrap().search_path, b"/x");
    let cleared = Request {
        clear_env: true,
        env: vec![("A".into(), "3".into())],
        ..request()
    };
    assert_eq!(show(&cleared), ["A=3"]);
    assert_eq!(show(&user("app"))[2], "HOME=/home/app");
}

#[test]
fn without_the_containers_files_its_environment_stays_out() {
    let namespaces = vec![Namespace::Net];
    let caller_env = vec![
        ("PATH".into(), "/host".into()),
        ("HOME".into(), "/root".into()),
    ];
    let plan = super::plan(
        &Request {
            namespaces,
            caller_env,
            ..request()
        },
        &facts(),
    )
    .unwrap();
    assert_eq!(plan.env, [b"PATH=/host".to_vec(), b"HOME=/root".to_vec()]);
    assert_eq!(plan.cwd, None);
}

#[test]
fn hostile_environments_are_tamed() {
    let container_env = vec![
        b"".to_vec(),
        b"=x".to_vec(),
        b"A".to_vec(),
        b"B=\0".to_vec(),
    ];
    let plan = super::plan(
        &request(),
        &Facts {
            container_env,
            ..facts()
        },
    )
    .unwrap();
    assert_eq!(plan.env[0], [b"PATH=", process::DEFAULT_PATH].concat());
    assert_eq!(plan.env.len(), 2);
}

#[test]
fn working_directory_is_the_containers_or_the_admins() {
    let cwd = |path: &str, required| {
        Some(Cwd {
            path: path.into(),
            required,
        })
    };
    assert_eq!(
        super::plan(&request(), &facts()).unwrap().cwd,
        cwd("/srv", false)
    );
    let asked = Request {
        workdir: Some("/tmp".into()),
        ..request()
    };
    assert_eq!(
        super::plan(&asked, &facts()).unwrap().cwd,
        cwd("/tmp", true)
    );
}

#[test]
fn the_debug_command_is_never_better_protected_than_the_application() {
    assert_eq!(
        super::plan(&request(), &facts()).unwrap().oom_score_adj,
        Some(985)
    );
    let protected = Facts {
        own_oom_score_adj: -997,
        target_oom_score_adj: -997,
        ..facts()
    };
    assert_eq!(
        super::plan(&request(), &protected).unwrap().oom_score_adj,
        Some(0)
    );
    let same = Facts {
        own_oom_score_adj: 0,
        target_oom_score_adj: 0,
        ..facts()
    };
    assert_eq!(super::plan(&request(), &same).unwrap().oom_score_adj, None);
}

#[test]
fn a_terminal_comes_from_the_target_where_it_can() {
    let tty = |facts: &Facts| {
        let io = Io {
            stdin: true,
            tty: Some(Tty {
                term: None,
                size: None,
            }),
            tty_refused: false,
        };
        super::plan(&Request { io, ..request() }, facts)
            .unwrap()
            .terminal
    };
    assert_eq!(tty(&facts()), TerminalKind::Target);
    assert_eq!(
        tty(&Facts {
            target_devpts: false,
            ..facts()
        }),
        TerminalKind::Host
    );
}
