//! Command lines, and what they come to.

use super::*;

fn args(words: &[&str]) -> Vec<OsString> {
    ["kpexec"].iter().chain(words).map(OsString::from).collect()
}

fn read(words: &[&str]) -> Result<Invocation, Failure> {
    parse(Program::Kpexec, &args(words), &Settings::default())
}

fn request(words: &[&str], caller: &Caller) -> Request {
    match read(words).unwrap() {
        Invocation::Exec(exec) => exec.into_request(caller).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn error(words: &[&str]) -> String {
    read(words).unwrap_err().to_string()
}

#[test]
fn definition_is_sound() {
    command(Program::Kpexec).debug_assert();
    exec_command(Program::Plugin).debug_assert();
}

#[test]
fn a_pod_may_be_called_like_a_subcommand() {
    let request = request(&["version", "--", "id"], &Caller::default());
    let named = Named::parse("version").unwrap();
    assert_eq!(request.target, Object::Named(named));
    assert_eq!(request.command, ["id"]);
    let sub = read(&["version"]);
    assert!(
        matches!(sub, Ok(Invocation::Sub(sub)) if matches!(*sub, Sub::Admin(admin::Task::Version(_))))
    );
    assert!(error(&["check", "extra"]).contains("unexpected argument 'extra'"));
}

#[test]
fn an_agent_of_ones_own_is_asked_for() {
    let words = ["--ephemeral", "--image=r/np", "web", "--", "id"];
    let wish = request(&words, &Caller::default()).ephemeral.unwrap();
    assert_eq!(wish.namespace, crate::agent::NAMESPACE);
    assert_eq!(wish.image.as_deref(), Some("r/np"));
    assert!(error(&["--image=r/np", "web", "--", "id"]).contains("--ephemeral"));
}

#[test]
fn the_agents_namespace_has_two_names() {
    for flag in ["-n", "--namespace", "--agent-namespace"] {
        let Ok(Invocation::Sub(sub)) = read(&["install", flag, "tools"]) else {
            panic!("{flag}");
        };
        assert!(
            matches!(*sub, Sub::Admin(admin::Task::Install(it)) if it.place.namespace == "tools")
        );
    }
}

#[test]
fn what_is_missing_is_told() {
    for words in [&["web", "id"][..], &["web"], &["-n", "shop", "web", "id"]] {
        assert!(
            error(words).contains("no \"--\""),
            "{words:?}: {}",
            error(words)
        );
    }
    let later = error(&["--kubeconfig", "f", "check"]);
    assert!(later.contains("it comes first: kpexec check"), "{later}");
    for namespace in ["../x", "a/b", "a?x="] {
        let told = error(&["-n", namespace, "web", "--", "id"]);
        assert!(told.contains("in a namespace's name"), "{told}");
    }
    let none = request(&["-n", "", "web", "--", "id"], &Caller::default());
    assert_eq!(none.namespace, None);
    assert!(error(&["web", "--"]).contains("at least one command for the container"));
    assert!(error(&["--", "id"]).contains("pod, type/name or --filename must be specified"));
    assert!(!error(&["--nonsense"]).contains("no \"--\""));
    assert!(error(&["web", "extra", "--", "id"]).contains("extra"));
}

#[test]
fn a_node_is_a_host_and_reached_by_ssh() {
    let refused = |way: &str, node: &str| match read(&[way, node, "web", "--", "id"]).unwrap() {
        Invocation::Exec(exec) => exec.into_request(&Caller::default()).unwrap_err(),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused("--ssh=never", "--node=n"), Error::NodeWithoutSsh);
    for node in ["--node=me@10.0.0.1:2222", "--node=[fe80::1]:2222"] {
        assert_eq!(refused("--ssh", node), Error::NodePort { port: 2222 });
    }
    for node in ["--node=me@10.0.0.1", "--node=fe80::1", "--node=[fe80::1]"] {
        let made = request(&["--ssh", node, "web", "--", "id"], &Caller::default());
        assert!(made.ssh.is_some_and(|ssh| ssh.node.is_some()), "{node}");
    }
}

#[test]
fn the_name_is_that_of_the_program() {
    let help = |program| {
        let error = parse(program, &args(&["--help"]), &Settings::default()).unwrap_err();
        error.to_string()
    };
    let usage = "Usage: kubectl pexec [OPTIONS] (POD | TYPE/NAME | -f FILE)";
    assert!(
        help(Program::Plugin).contains(usage),
        "{}",
        help(Program::Plugin)
    );
    assert!(!help(Program::Plugin).contains("  kpexec"));
    assert!(help(Program::Kpexec).contains("\n  kpexec web-0 -- ip addr"));
    let words = args(&["web", "id"]);
    let error = parse(Program::Plugin, &words, &Settings::default()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("; write kubectl pexec [OPTIONS]")
    );
}

#[test]
fn a_manifest_takes_the_place_of_a_name() {
    let request = request(&["-f", "web.yaml", "--", "id"], &Caller::default());
    assert_eq!(request.target, Object::InFile("web.yaml".into()));
    assert!(error(&["-f", "web.yaml", "web", "--", "id"]).contains("cannot be used with"));
    let Ok(Invocation::Exec(exec)) = read(&["-i", "-f", "-", "--", "id"]) else {
        panic!();
    };
    let refused = exec.into_request(&Caller::default()).unwrap_err();
    assert_eq!(refused, Error::StdinTwice);
}

#[test]
fn an_unfinished_line_is_read_as_far_as_it_goes() {
    let read = |words: &[&str]| parse_unfinished(&args(words)).unwrap();
    let line = read(&["-n", "shop", "web", "-c", ""]);
    assert_eq!(line.cluster.namespace.as_deref(), Some("shop"));
    assert_eq!(line.target.as_deref(), Some("web"));
    assert_eq!(
        read(&["--context", "a", "--nonsense"])
            .cluster
            .access
            .context
            .as_deref(),
        Some("a")
    );
    assert_eq!(read(&["-n"]).target, None);
}

#[test]
fn flags_of_the_command_are_the_commands() {
    let request = request(&["web", "--", "ls", "-n", "--", "-t"], &Caller::default());
    assert_eq!(request.command, ["ls", "-n", "--", "-t"]);
    assert_eq!(request.namespace, None);
}

#[test]
fn of_a_flag_given_twice_the_last_counts() {
    let words = [
        "-n", "a", "-n", "b", "-e", "A=1", "-e", "B=2", "x", "--", "id",
    ];
    let request = request(&words, &Caller::default());
    assert_eq!(request.namespace.as_deref(), Some("b"));
    assert_eq!(request.run.env.len(), 2);
}

#[test]
fn a_terminal_is_given_as_kubectl_does() {
    let io = |words: &[&str], stdin_is_tty| {
        let words: Vec<_> = words.iter().copied().chain(["x", "--", "id"]).collect();
        let caller = Caller {
            stdin_is_tty,
            ..Caller::default()
        };
        let io = request(&words, &caller).io;
        (io.stdin, io.tty, io.tty_refused)
    };
    assert_eq!(io(&[], true), (false, false, false));
    assert_eq!(io(&["-t"], true), (false, false, false));
    assert_eq!(io(&["-i"], true), (true, false, false));
    assert_eq!(io(&["-it"], true), (true, true, false));
    assert_eq!(io(&["-it"], false), (true, false, true));
}

#[test]
fn times_are_read_as_kubectl_reads_them() {
    assert_eq!(parse_timeout("1m0s"), Ok(Duration::from_secs(60)));
    assert_eq!(parse_timeout("5"), Ok(Duration::from_secs(5)));
    assert_eq!(parse_timeout("0"), Ok(Duration::ZERO));
    for bad in ["", "-1s", "5x"] {
        assert!(parse_timeout(bad).is_err(), "{bad:?}");
    }
}
