use super::*;
use crate::request::{Query, Request};

#[test]
fn sizes_are_in_powers_of_1024() {
    assert_eq!(parse_size("4096"), Ok(4096));
    assert_eq!(parse_size("64M"), Ok(64 << 20));
    assert_eq!(parse_size("1Gi"), Ok(1 << 30));
    for bad in [
        "",
        "M",
        "0",
        "-1",
        "1T",
        "1.5G",
        "18446744073709551615k",
        "6 M",
    ] {
        assert!(parse_size(bad).is_err(), "{bad:?}");
    }
}

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
fn times_are_read_as_people_write_them() {
    assert_eq!(parse_duration("30s"), Ok(Duration::from_secs(30)));
    assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5400)));
    assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
    assert_eq!(parse_duration("5"), Ok(Duration::from_secs(5)));
    for bad in ["", "0s", "-1s", "5x", "x"] {
        assert!(parse_duration(bad).is_err(), "{bad:?}");
    }
}
