//! What `config.toml` and the environment say: who wins, who is shown, and what is refused.

use kpexec_tests::{Cmd, Node, cache};
use serde_json::Value;

const FILE: &str = "/root/.config/kpexec/config.toml";

fn node(file: &str) -> Node {
    let node = Node::start();
    node.write(FILE, file);
    node
}

fn kpexec(node: &Node, words: &[&str]) -> Cmd {
    let program = cache::kpexec().display().to_string();
    node.command([program.as_str()].iter().chain(words))
}

/// Value and origin of each setting.
fn shown(command: Cmd, setting: &str) -> [String; 2] {
    let shown: Value = serde_json::from_str(&command.ok()).unwrap();
    let all = shown["settings"].as_array().unwrap();
    let found = all.iter().find(|row| row["name"] == setting).unwrap();
    ["value", "origin"].map(|field| found[field].as_str().unwrap_or_default().to_owned())
}

#[test]
fn every_value_has_its_origin() {
    let node = node("# ours\nlease = \"5m\"\nimage = \"r/np\"\n");
    let show = || kpexec(&node, &["config", "show", "-o", "json"]);
    assert_eq!(shown(show(), "lease"), ["5m", &format!("{FILE}:2")]);
    assert_eq!(shown(show(), "agent-namespace"), ["kpexec", "default"]);
    assert_eq!(shown(show(), "request-timeout"), ["5s", "default"]);
    let set = show().env("KPEXEC_LEASE", "9s");
    assert_eq!(shown(set, "lease"), ["9s", "KPEXEC_LEASE"]);
    let typo = show().env("KPEXEC_LEESE", "9s").run();
    let told = "kpexec: the environment's KPEXEC_LEESE sets nothing; did you mean KPEXEC_LEASE?\n";
    assert_eq!((typo.code, typo.err().as_str()), (0, told), "{typo}");
    let words = ["config", "show", "-o", "json", "--lease=1m"];
    let flag = kpexec(&node, &words).env("KPEXEC_LEASE", "9s");
    assert_eq!(shown(flag, "lease"), ["1m", "--lease"]);

    let text = kpexec(&node, &["config", "show"]).ok();
    assert!(text.starts_with("SETTING"), "{text}");
    assert!(
        text.ends_with(&format!("configuration file: {FILE}")),
        "{text}"
    );
    let yaml = kpexec(&node, &["config", "show", "-o", "yaml"]).ok();
    assert!(yaml.contains("name: lease\n"), "{yaml}");
}

#[test]
fn the_file_may_be_elsewhere() {
    let node = node("lease = \"5m\"\n");
    let show = || kpexec(&node, &["config", "show", "-o", "json"]);
    node.write("/etc/other.toml", "lease = \"6m\"\n");
    let elsewhere = show().env("KPEXEC_CONFIG", "/etc/other.toml");
    assert_eq!(shown(elsewhere, "lease"), ["6m", "/etc/other.toml:1"]);
    let elsewhere = show().env("XDG_CONFIG_HOME", "/nowhere");
    assert_eq!(shown(elsewhere, "lease"), ["60s", "default"]);
    let homeless = show().env("HOME", "/nowhere");
    assert_eq!(shown(homeless, "lease"), ["60s", "default"]);
    let missing = show().env("KPEXEC_CONFIG", "/etc/missing.toml").run();
    assert_eq!(missing.code, 1, "{missing}");
    assert!(
        missing.err().contains("/etc/missing.toml: No such file"),
        "{missing}"
    );
}

#[test]
fn a_mistake_stops_every_run_with_its_line() {
    let node = Node::start();
    for (file, told) in [
        (
            "lease = \"5m\"\nleese = 1\n",
            "2: there is no setting \"leese\"; did you mean lease?",
        ),
        ("\nlease = \"soon\"", "2: lease cannot be \"soon\": "),
        ("image = \"a\"\nimage = \"b\"", "2: "),
        ("lease = {}", "1: lease is a table; write lease = \"VALUE\""),
        ("lease =", "1: "),
    ] {
        node.write(FILE, file);
        for words in [&["web", "--", "id"][..], &["check"], &["config", "show"]] {
            let output = kpexec(&node, words).run();
            assert_eq!(output.code, 1, "{output}");
            assert_eq!(output.out(), "", "{output}");
            let expected = format!("error: {FILE}:{told}");
            assert!(output.err().starts_with(&expected), "{expected}: {output}");
        }
        // Whoever asks what to write is answered, and so is a mistake of the command line.
        kpexec(&node, &["--help"]).ok();
        kpexec(&node, &["config", "show", "--help"]).ok();
        kpexec(&node, &["-C", "bash"]).ok();
        let output = kpexec(&node, &["web", "id"]).run();
        assert!(output.err().contains("no \"--\""), "{output}");
    }
    node.write(FILE, "");
    let command = kpexec(&node, &["web", "--", "id"]);
    let output = command.env("KPEXEC_LEASE", "soon").run();
    assert!(
        output
            .err()
            .starts_with("error: KPEXEC_LEASE cannot be \"soon\": "),
        "{output}"
    );
}
