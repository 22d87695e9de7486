//! Commands in messages, as whoever reads them has to type them: under the name that kpexec was called
//! by, and for the cluster that was chosen.

use std::ffi::OsString;

use crate::program::Program;

/// The flags that choose a cluster, which kubectl has as well.
const CLUSTER: [&str; 3] = ["--kubeconfig", "--context", "--cluster"];

/// The flag that says where the agents are.
const AGENTS: &str = "--agent-namespace";

/// Our own commands that messages propose.
const OURS: [&str; 3] = ["kpexec install", "kpexec uninstall", "kpexec check"];

/// The text with its commands changed to go with `args`, our command line.
#[must_use]
pub fn as_typed(text: &str, program: Program, args: &[OsString]) -> String {
    let cluster: String = CLUSTER.iter().filter_map(|flag| said(args, flag)).collect();
    let mut text = text.replace("kubectl -n ", &format!("kubectl{cluster} -n "));
    for command in OURS {
        // Where that is needed, some say it themselves.
        let named = text.contains(&format!("{command} -n "));
        let agents = said(args, AGENTS).filter(|_| !named).unwrap_or_default();
        let typed = command.replace("kpexec", program.name());
        text = text.replace(command, &format!("{typed}{cluster}{agents}"));
    }
    text
}

/// ` FLAG VALUE` as the command line has it, for another one.
fn said(args: &[OsString], flag: &str) -> Option<String> {
    let mut words = args.iter().take_while(|word| *word != "--");
    let value = words.find_map(|word| {
        let word = word.to_str()?;
        match word.strip_prefix(flag) {
            Some("") => Some(None),
            Some(rest) => rest.strip_prefix('=').map(Some),
            None => None,
        }
    })?;
    let value = match value {
        Some(value) => value.to_owned(),
        None => words.next()?.to_str()?.to_owned(),
    };
    Some(format!(" {flag} {}", quoted(&value)))
}

/// As a shell takes it for one word.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:@%+=,".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str, program: Program, args: &[&str]) -> String {
        let args: Vec<_> = args.iter().map(OsString::from).collect();
        as_typed(text, program, &args)
    }

    #[test]
    fn the_chosen_cluster_is_chosen_again() {
        let text = "kpexec install puts one there; kubectl -n kpexec get pods";
        let args = [
            "kpexec",
            "--context=a b",
            "web",
            "--",
            "x",
            "--cluster",
            "no",
        ];
        assert_eq!(
            typed(text, Program::Plugin, &args),
            "kubectl pexec install --context 'a b' puts one there; kubectl --context 'a b' -n kpexec get \
             pods"
        );
        assert_eq!(typed(text, Program::Kpexec, &["kpexec", "web"]), text);
    }

    #[test]
    fn so_are_the_agents() {
        let args = ["kpexec", "--agent-namespace", "tools", "web"];
        let told = typed("kpexec check says more", Program::Kpexec, &args);
        assert_eq!(told, "kpexec check --agent-namespace tools says more");
        let said = "kpexec install -n tools puts one there";
        assert_eq!(typed(said, Program::Kpexec, &args), said);
    }
}
