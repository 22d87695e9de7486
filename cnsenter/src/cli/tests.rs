use super::*;
use crate::request::{Namespace, Query, Request};

fn request(args: &[&str], caller: &Caller) -> Request {
    let args = ["cnsenter"]
        .iter()
        .chain(args)
        .map(OsString::from)
        .collect();
    match parse(args).unwrap() {
        Invocation::Exec(exec) => exec.into_request(caller).unwrap(),
        Invocation::Sub(sub) => panic!("{sub:?}"),
    }
}

fn on_terminal() -> Caller {
    Caller {
        stdin_is_tty: true,
        stdout_is_tty: true,
        env: vec![("TERM".into(), "xterm".into()), ("LANG".into(), "C".into())],
    }
}

#[test]
fn definition_is_sound() {
    command().debug_assert();
    ExecArgs::augment_args(base_command()).debug_assert();
}

#[test]
fn a_container_may_be_called_like_a_subcommand() {
    let r = request(&["ls", "--", "id"], &Caller::default());
    assert_eq!(r.target, Query::Word("ls".into()));
    assert_eq!(r.command, ["id"]);
    let sub = parse(
        ["cnsenter", "ls", "-o", "json"]
            .iter()
            .map(OsString::from)
            .collect(),
    );
    assert!(matches!(sub, Ok(Invocation::Sub(Sub::Ls(_)))));
}

#[test]
fn a_forgotten_separator_is_told() {
    let error = |args: &[&str]| {
        let args = ["cnsenter"]
            .iter()
            .chain(args)
            .map(OsString::from)
            .collect();
        parse(args).unwrap_err().to_string()
    };
    for args in [
        &["web", "true"][..],
        &["web"],
        &["-u", "app", "web", "id", "-x"],
        &["lss"],
    ] {
        assert!(
            error(args).contains("no \"--\" before a command"),
            "{args:?}: {}",
            error(args)
        );
    }
    for args in [&["-v", "ls"][..], &["--runtime", "docker", "inspect", "x"]] {
        assert!(
            error(args).contains("it comes first: cnsenter "),
            "{args:?}"
        );
    }
    assert!(error(&["help"]).contains("Usage: cnsenter"));
    for args in [
        &["--nonsense"][..],
        &["inspect"],
        &["ls", "web", "x"],
        &["-i", "--no-such"],
    ] {
        assert!(
            !error(args).contains("before a command"),
            "{args:?}: {}",
            error(args)
        );
    }
}

#[test]
fn a_terminal_is_given_where_people_expect_one() {
    let io = |args: &[&str], caller: &Caller| {
        let all: Vec<&str> = args.iter().copied().chain(["x", "--", "id"]).collect();
        let io = request(&all, caller).io;
        (io.stdin, io.tty.is_some(), io.tty_refused)
    };
    let none = Caller::default();
    let term = on_terminal();
    let piped = Caller {
        stdout_is_tty: false,
        ..on_terminal()
    };
    assert_eq!(io(&[], &term), (true, true, false));
    assert_eq!(io(&["-T"], &term), (false, false, false));
    assert_eq!(io(&["-i"], &term), (true, false, false));
    assert_eq!(io(&["-t"], &term), (true, true, false));
    assert_eq!(io(&["-it"], &piped), (true, true, false));
    assert_eq!(io(&[], &piped), (false, false, false));
    assert_eq!(io(&[], &none), (false, false, false));
    assert_eq!(io(&["-i"], &none), (true, false, false));
    assert_eq!(io(&["-it"], &none), (true, false, true));
}

#[test]
fn namespaces_are_chosen_and_excluded() {
    let ns = |args: &[&str]| {
        let all: Vec<&str> = args.iter().copied().chain(["x", "--", "id"]).collect();
        request(&all, &on_terminal())
    };
    assert_eq!(ns(&[]).namespaces, Namespace::ALL);
    assert_eq!(
        ns(&["--namespaces", "net,uts"]).namespaces,
        [Namespace::Uts, Namespace::Net]
    );
    let r = ns(&["--no-mount", "--no-user"]);
    assert!(!r.namespaces.contains(&Namespace::Mount) && r.namespaces.len() == 6);
    assert!(r.caller_env.contains(&("LANG".into(), "C".into())));
    assert!(ns(&[]).caller_env.is_empty());
}

#[test]
fn environment_is_taken_by_value_or_from_the_caller() {
    let r = request(
        &["-e", "A=1=2", "-e", "LANG", "-e", "UNSET", "x", "--", "id"],
        &on_terminal(),
    );
    assert_eq!(
        r.env,
        [("A".into(), "1=2".into()), ("LANG".into(), "C".into())]
    );
}

#[test]
fn a_usage_error_is_one_line_and_what_to_do() {
    for (line, expected) in [
        (
            "cnsenter --namespces net web -- id",
            "unexpected argument '--namespces' found\n  \
             did you mean --namespaces? cnsenter --help says more",
        ),
        (
            "cnsenter --cgroup mine web -- id",
            "invalid value 'mine' for '--cgroup <CGROUP>' \
             [possible values: own, target]\n  cnsenter --help says more",
        ),
        (
            "cnsenter completion basj",
            "invalid value 'basj' for '<SHELL>' [possible values: bash, zsh, fish]\n  \
             did you mean bash? cnsenter --help says more",
        ),
        (
            "cnsenter -u",
            "a value is required for '--user <USER[:GROUP]>' but none was supplied\n  \
             cnsenter --help says more",
        ),
    ] {
        let words = line.split(' ').map(Into::into).collect();
        let error = parse(words).unwrap_err();
        assert_eq!(cnsenter_options::told(&error, "cnsenter"), expected);
    }
}
