use super::*;
use crate::resolve::{Pod, Runtime};

fn container(id: &str, name: Option<&str>, pod: Option<(&str, &str, &str)>) -> Container {
    let mut c = Container::new(id, Runtime::Containerd);
    c.name = name.map(str::to_owned);
    c.image = Some("nginx:1\u{1b}[31m".into());
    c.pod = pod.map(|(namespace, name, container)| Pod {
        namespace: namespace.into(),
        name: name.into(),
        uid: None,
        container: Some(container.into()),
    });
    c
}

fn some() -> Vec<Container> {
    let mut sandbox = container("9999999999999999", Some("sandbox"), None);
    sandbox.sandbox = true;
    vec![
        container("aaaaaaaaaaaa1111", None, Some(("shop", "web-0", "app"))),
        container("aaaaaaaaaaaa2222", Some("db"), None),
        container("cccccccccccc3333", None, None),
        container("dddddddddddd4444", Some("$(reboot)"), None),
        container("eeeeeeeeeeee5555", Some("red\u{1b}[31m"), None),
        container("ffffffffffff6666", Some("-x"), None),
        sandbox,
    ]
}

fn slow() -> Vec<Container> {
    std::thread::sleep(Duration::from_secs(30));
    some()
}

/// What a shell is told for the last of these words.
fn words(line: &[&str]) -> Vec<String> {
    words_of(some, line)
}

fn words_of(list: List, line: &[&str]) -> Vec<String> {
    let args: Vec<OsString> = ["cnsenter"]
        .iter()
        .chain(line)
        .map(OsString::from)
        .collect();
    let index = args.len() - 1;
    let Some(place) = Place::at(&args, index) else {
        return Vec::new();
    };
    let mut command = command(list, &place);
    clap_complete::engine::complete(&mut command, args, index, None)
        .unwrap()
        .iter()
        .map(|c| c.get_value().to_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_pod_is_completed_where_one_is_asked_for() {
    assert_eq!(words(&["ls", "--pod", ""]), ["shop/web-0"]);
    assert_eq!(words(&["ls", "--pod", "x"]), [""; 0]);
}

#[test]
fn names_come_first_and_ids_where_there_is_no_name() {
    let all = words(&[""]);
    for word in ["ls", "inspect", "shop/web-0/app", "db", "cccccccccccc"] {
        assert!(all.contains(&word.to_owned()), "{word} in {all:?}");
    }
    assert!(
        !all.iter()
            .any(|w| w == "list" || w.starts_with('-') || w.starts_with("aaa")),
        "{all:?}"
    );
    assert_eq!(words(&["inspect", "sh"]), ["shop/web-0/app"]);
    assert_eq!(words(&["-u", "0", "d"]), ["db"]);
}

#[test]
fn ids_are_as_short_as_is_unique() {
    assert_eq!(words(&["c"]), ["completion", "cccccccccccc"]);
    assert_eq!(words(&["aa"]), ["aaaaaaaaaaaa1", "aaaaaaaaaaaa2"]);
    assert_eq!(words(&["aaaaaaaaaaaa11"]), ["aaaaaaaaaaaa11"]);
}

#[test]
fn nothing_that_a_shell_could_run_is_completed() {
    for word in words(&["inspect", ""]) {
        assert!(is_plain(&word), "{word:?}");
    }
    assert!(
        !words(&["inspect", "$"])
            .iter()
            .any(|w| w.contains("reboot"))
    );
    assert!(words(&["inspect", "red"]).is_empty());
    assert!(words(&["inspect", "sandbox"]).is_empty());
    let shown = targets(some, OsStr::new("db"))[0]
        .get_help()
        .unwrap()
        .to_string();
    assert_eq!(shown, "containerd  aaaaaaaaaaaa  nginx:1\\x1b[31m");
}

#[test]
fn flags_and_their_values_are_completed() {
    assert_eq!(words(&["--kill"]), ["--kill-on-exit"]);
    assert_eq!(words(&["--cgroup", ""]), ["own", "target"]);
    assert_eq!(words(&["inspect", "-o", "j"]), ["json"]);
    assert!(words(&["--namespaces", "net,u"]).contains(&"net,uts".to_owned()));
    assert_eq!(words(&["completion", ""]), ["bash", "zsh", "fish"]);
    assert!(words(&["-w", "/"]).is_empty(), "the node's directories");
}

#[test]
fn after_the_dashes_it_is_the_containers_business() {
    assert!(words(&["db", "--", ""]).is_empty());
    assert!(words(&["db", "--", "ls", "-"]).is_empty());
}

#[test]
fn a_hung_daemon_does_not_hold_the_prompt() {
    let start = std::time::Instant::now();
    assert!(words_of(slow, &["inspect", "db"]).is_empty());
    assert!(start.elapsed() < Duration::from_millis(1200));
}
