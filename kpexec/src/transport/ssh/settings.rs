//! What the user's own ssh would do for a host: `ssh -G` says so, with all that ssh_config(5) can say.
//! Where there is no ssh, [`config_file`] reads what is simple.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::config_file::{self, Pairs};
use super::{Error, Host, Options, Ways};

/// How long a host may take to answer, unless ConnectTimeout says otherwise.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// A host that nobody's configuration means.
const NOBODY: &str = "kpexec.invalid";

/// How a host is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    /// As the user calls it.
    pub(super) alias: String,
    pub(super) host: String,
    /// Where it may be as well, if it is not there.
    pub(super) others: Vec<String>,
    /// The node's own name, where that is another one.
    pub(super) node: Option<String>,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) identities: Vec<PathBuf>,
    pub(super) certificates: Vec<PathBuf>,
    /// Keys of the agent that are none of those files are left alone.
    pub(super) identities_only: bool,
    /// The agent's socket.
    pub(super) agent: Option<PathBuf>,
    pub(super) user_known_hosts: Vec<PathBuf>,
    pub(super) global_known_hosts: Vec<PathBuf>,
    /// A program that knows more of them.
    pub(super) known_hosts_command: Option<String>,
    /// Keys that no host may have; or the words for a file that cannot be made out.
    pub(super) revoked_host_keys: Option<Result<PathBuf, String>>,
    pub(super) host_key_alias: Option<String>,
    pub(super) hash_known_hosts: bool,
    pub(super) strict: Strict,
    /// Nobody is asked anything.
    pub(super) is_batch: bool,
    /// What hosts say before they let anybody in is shown.
    pub(super) tells_banners: bool,
    /// Hosts to go through, separated by commas.
    pub(super) jump: Option<String>,
    /// A shell's command that is the connection.
    pub(super) proxy_command: Option<String>,
    pub(super) connect_limit: Duration,
}

/// StrictHostKeyChecking: what is done about unknown hosts. A changed key is always refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strict {
    /// They are refused.
    Yes,
    /// The user is asked.
    Ask,
    /// They are trusted, and remembered.
    AcceptNew,
}

/// The settings for a node. What ssh_config(5) says of its name holds; if that is nothing, what it says
/// of its address.
///
/// # Errors
/// When the configuration cannot be read.
pub(super) async fn of(ways: &Ways, host: &Host, options: &Options) -> Result<Settings, Error> {
    let by_name = ask(&host.name, options).await?;
    let name = host_of(&host.name);
    if host.name == host.address && host.others.is_empty() {
        return Ok(Settings::new(name, &by_name));
    }
    let nobody = ways.nobody.get_or_try_init(|| ask(NOBODY, options));
    if without_names(&by_name) == without_names(nobody.await?)
        && value(&by_name, "hostname") == Some(name)
    {
        let by_address = ask(&host.address, options).await?;
        let settings = Settings::new(&host.address, &by_address);
        return Ok(settings.of_node(name, host));
    }
    let mut settings = Settings::new(name, &by_name);
    if settings.host == name {
        settings.host.clone_from(&host.address);
        settings = settings.of_node(name, host);
    }
    Ok(settings)
}

/// The settings for a host to go through: `[USER@]HOST[:PORT]`, reached through `jump`.
///
/// # Errors
/// When the configuration cannot be read.
pub(super) async fn of_jump(
    place: &str,
    jump: Option<&str>,
    options: &Options,
) -> Result<Settings, Error> {
    let place = place.strip_prefix("ssh://").unwrap_or(place);
    let (name, port) = split_port(place);
    super::check_name(&name)?;
    // What the command line says is about the node.
    let options = Options {
        port,
        jump: jump.map(str::to_owned),
        config: options.config.clone(),
        ..Options::default()
    };
    let pairs = ask(&name, &options).await?;
    Ok(Settings::new(host_of(&name), &pairs))
}

fn host_of(name: &str) -> &str {
    name.rsplit_once('@').map_or(name, |(_, host)| host)
}

/// `HOST:PORT`, `[HOST]:PORT` or a host alone, which may be an IPv6 address; with a user before it.
fn split_port(place: &str) -> (String, Option<u16>) {
    let (user, host) = match place.rsplit_once('@') {
        Some((user, host)) => (format!("{user}@"), host),
        None => (String::new(), place),
    };
    let parsed = host.rsplit_once(':').and_then(|(host, port)| {
        let is_one = !host.contains(':') || host.ends_with(']');
        Some((host, port.parse().ok()?)).filter(|_| is_one)
    });
    let (host, port) = match parsed {
        Some((host, port)) => (host, Some(port)),
        None => (host, None),
    };
    (user + host.trim_matches(['[', ']']), port)
}

/// What `ssh -G` says of a host.
async fn ask(name: &str, options: &Options) -> Result<Pairs, Error> {
    let mut command = Command::new("ssh");
    command.arg("-G");
    let mut flag = |flag: &str, value: Option<&Path>| {
        if let Some(value) = value {
            command.arg(flag).arg(value);
        }
    };
    flag("-F", options.config.as_deref());
    flag("-l", options.user.as_deref().map(Path::new));
    let port = options.port.map(|port| port.to_string());
    flag("-p", port.as_deref().map(Path::new));
    flag("-J", options.jump.as_deref().map(Path::new));
    for identity in &options.identities {
        flag("-i", Some(identity));
    }
    command.arg("--").arg(name).stdin(Stdio::null());
    // A Match may run any program, and the search end before it.
    command.kill_on_drop(true);
    let output = match command.output().await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return config_file::read(name, options);
        }
        output => output.map_err(|source| Error::Program {
            program: "ssh -G".to_owned(),
            source,
        })?,
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<_> = said.lines().map(str::trim).collect();
        return Err(Error::Settings {
            host: name.to_owned(),
            said: lines.join("; "),
        });
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    let mut pairs: Pairs = pairs
        .map(|(keyword, value)| (keyword.to_lowercase(), value.trim().to_owned()))
        .collect();
    // ssh forgets those that are not there; it is to be told that they are not.
    for identity in options.missing_identities() {
        pairs.push(("identityfile".to_owned(), identity.display().to_string()));
    }
    Ok(pairs)
}

/// All that does not differ by the host's name alone.
fn without_names(pairs: &Pairs) -> BTreeSet<&(String, String)> {
    let is_name = |keyword: &str| matches!(keyword, "host" | "hostname" | "controlpath");
    pairs
        .iter()
        .filter(|(keyword, _)| !is_name(keyword))
        .collect()
}

/// Whether a LogLevel is below INFO.
fn is_terse(level: &str) -> bool {
    let terse = ["quiet", "fatal", "error"];
    terse.iter().any(|name| level.eq_ignore_ascii_case(name))
}

/// The value that comes first, which is the one that holds; "none" is none.
fn value<'a>(pairs: &'a Pairs, keyword: &str) -> Option<&'a str> {
    let (_, value) = pairs.iter().find(|(name, _)| name == keyword)?;
    Some(value.as_str()).filter(|value| !value.is_empty() && *value != "none")
}

impl Settings {
    pub(super) fn new(alias: &str, pairs: &Pairs) -> Self {
        let own_user = || {
            ["USER", "USERNAME"]
                .iter()
                .find_map(|name| std::env::var(name).ok())
        };
        let text = |keyword| value(pairs, keyword).map(str::to_owned);
        let number = |keyword| value(pairs, keyword).and_then(|text| text.parse().ok());
        let is_on = |keyword| matches!(value(pairs, keyword), Some("yes" | "true"));
        let mut settings = Self {
            alias: alias.to_owned(),
            host: text("hostname").unwrap_or_else(|| alias.to_owned()),
            others: Vec::new(),
            node: None,
            port: number("port").unwrap_or(22),
            user: text("user").or_else(own_user).unwrap_or_default(),
            identities: Vec::new(),
            certificates: Vec::new(),
            identities_only: is_on("identitiesonly"),
            agent: None,
            user_known_hosts: Vec::new(),
            global_known_hosts: Vec::new(),
            known_hosts_command: text("knownhostscommand"),
            revoked_host_keys: None,
            host_key_alias: text("hostkeyalias"),
            hash_known_hosts: is_on("hashknownhosts"),
            strict: match value(pairs, "stricthostkeychecking") {
                Some("yes" | "true") => Strict::Yes,
                Some("no" | "false" | "off" | "accept-new") => Strict::AcceptNew,
                _ => Strict::Ask,
            },
            is_batch: is_on("batchmode"),
            tells_banners: !value(pairs, "loglevel").is_some_and(is_terse),
            jump: text("proxyjump"),
            proxy_command: text("proxycommand"),
            connect_limit: number("connecttimeout")
                .map(|seconds| Duration::from_secs(u64::from(seconds)))
                .filter(|limit| !limit.is_zero())
                .unwrap_or(CONNECT_LIMIT),
        };
        let all = |keyword: &str| -> Vec<&str> {
            let named = pairs
                .iter()
                .filter(|(name, value)| name == keyword && value != "none");
            named.map(|(_, value)| value.as_str()).collect()
        };
        let paths = |texts: &mut dyn Iterator<Item = &str>| -> Vec<PathBuf> {
            texts.filter_map(|text| settings.path(text)).collect()
        };
        let identities = paths(&mut all("identityfile").into_iter());
        let certificates = paths(&mut all("certificatefile").into_iter());
        let lists = |keyword| {
            let words = all(keyword).into_iter().flat_map(words);
            joined(words.filter_map(|word| settings.path(&word)))
        };
        let user_known_hosts = lists("userknownhostsfile");
        let global_known_hosts = lists("globalknownhostsfile");
        let agent = pairs.iter().find(|(name, _)| name == "identityagent");
        settings.agent = settings.agent_of(agent.map(|(_, value)| value.as_str()));
        settings.identities = identities;
        settings.certificates = certificates;
        settings.user_known_hosts = user_known_hosts;
        settings.global_known_hosts = global_known_hosts;
        let revoked = value(pairs, "revokedhostkeys");
        settings.revoked_host_keys =
            revoked.map(|text| settings.path(text).ok_or_else(|| text.to_owned()));
        settings
    }

    /// The same of a node whose addresses the cluster has told.
    fn of_node(self, name: &str, host: &Host) -> Self {
        // What somebody has written of the first says nothing of the others.
        let is_as_told = self.host == host.address;
        Self {
            node: Some(name.to_owned()),
            others: host.others.iter().filter(|_| is_as_told).cloned().collect(),
            ..self
        }
    }

    /// Each place where the host may be, with its share of the time to connect.
    pub(super) fn places(&self) -> Vec<Self> {
        let hosts = [&self.host].into_iter().chain(&self.others);
        let all = u32::try_from(self.others.len() + 1).unwrap_or(1);
        let place = |host: &String| Self {
            host: host.clone(),
            connect_limit: self.connect_limit / all,
            ..self.clone()
        };
        hosts.map(place).collect()
    }

    /// IdentityAgent: a socket, the variable that names one, or none.
    fn agent_of(&self, value: Option<&str>) -> Option<PathBuf> {
        match value {
            Some("none") => None,
            None | Some("SSH_AUTH_SOCK") => std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from),
            Some(name) if name.starts_with('$') && !name.starts_with("${") => {
                std::env::var_os(&name[1..]).map(PathBuf::from)
            }
            Some(path) => self.path(path),
        }
        .filter(|path| !path.as_os_str().is_empty())
    }

    /// A path as ssh_config(5) spells it; None if it has a token that is not known here.
    fn path(&self, text: &str) -> Option<PathBuf> {
        let text = text.trim_matches('"');
        let text = with_variables(text).and_then(|text| self.with_tokens(&text, |_| None))?;
        Some(match text.strip_prefix("~/") {
            Some(rest) => std::env::home_dir()?.join(rest),
            None => PathBuf::from(text),
        })
    }

    /// Puts in what TOKENS of ssh_config(5) stand for, and these more; None if one of them is not known
    /// here.
    pub(super) fn with_tokens(
        &self,
        text: &str,
        more: impl Fn(char) -> Option<String>,
    ) -> Option<String> {
        let home = || Some(std::env::home_dir()?.display().to_string());
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, token)) = rest.split_once('%') {
            out.push_str(before);
            let mut after = token.chars();
            match after.next()? {
                '%' => out.push('%'),
                'd' => out.push_str(&home()?),
                'h' => out.push_str(&self.host),
                'n' => out.push_str(&self.alias),
                'p' => out.push_str(&self.port.to_string()),
                'r' => out.push_str(&self.user),
                'k' => out.push_str(self.host_key_alias.as_ref().unwrap_or(&self.alias)),
                'u' => out.push_str(&std::env::var("USER").ok()?),
                token => out.push_str(&more(token)?),
            }
            rest = after.as_str();
        }
        out.push_str(rest);
        Some(out)
    }

    /// Host and port, for messages.
    pub(super) fn place(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

/// The words of a list, some of which may be in double quotes.
fn words(list: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (part, is_quoted) in list.split('"').zip([false, true].into_iter().cycle()) {
        match is_quoted {
            true => words.push(part.to_owned()),
            false => words.extend(part.split_whitespace().map(str::to_owned)),
        }
    }
    words
}

/// Puts paths with blanks together again, which `ssh -G` does not quote: those whose parts are not there.
fn joined(parts: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for part in parts {
        match paths.last_mut() {
            Some(last) if !part.has_root() && !part.exists() => {
                last.as_mut_os_string().push(" ");
                last.as_mut_os_string().push(part);
            }
            _ => paths.push(part),
        }
    }
    paths
}

/// Puts in the environment's variables for `${NAME}`, which paths may have (ssh_config(5), ENVIRONMENT
/// VARIABLES); None if one is not set. In commands they are the shell's.
fn with_variables(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, name)) = rest.split_once("${") {
        let (name, after) = name.split_once('}')?;
        out.push_str(before);
        out.push_str(&std::env::var(name).ok()?);
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        let pairs = text.lines().filter_map(|line| line.split_once(' '));
        let pairs = pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        Settings::new("web", &pairs)
    }

    #[test]
    fn what_ssh_says_is_what_is_done() {
        let text = "user admin\nhostname 10.0.0.1\nport 2222\nidentityfile ~/.ssh/a\n\
                    identityfile /keys/%r@%h:%p-%n\nidentityfile /keys/%C\nidentitiesonly yes\n\
                    certificatefile none\nuserknownhostsfile /a /b\nproxyjump none\n\
                    identityagent none\nproxycommand nc %h %p\nstricthostkeychecking true\n\
                    connecttimeout 7\nhashknownhosts yes\nhostkeyalias k";
        let settings = settings(text);
        assert_eq!((settings.user.as_str(), settings.port), ("admin", 2222));
        assert_eq!(settings.host, "10.0.0.1");
        let home = std::env::home_dir().unwrap();
        let second = PathBuf::from("/keys/admin@10.0.0.1:2222-web");
        assert_eq!(settings.identities, [home.join(".ssh/a"), second]);
        assert!(settings.identities_only && settings.certificates.is_empty());
        assert_eq!(settings.user_known_hosts, ["/a", "/b"].map(PathBuf::from));
        assert_eq!((&settings.jump, &settings.agent), (&None, &None));
        assert_eq!(settings.proxy_command.as_deref(), Some("nc %h %p"));
        assert_eq!(settings.strict, Strict::Yes);
        assert_eq!(settings.connect_limit, Duration::from_secs(7));
        assert!(settings.hash_known_hosts);
        assert_eq!(settings.host_key_alias.as_deref(), Some("k"));
    }

    #[test]
    fn nothing_said_is_as_usual() {
        let settings = settings("");
        assert_eq!((settings.host.as_str(), settings.port), ("web", 22));
        assert_eq!(settings.strict, Strict::Ask);
        assert_eq!(settings.connect_limit, CONNECT_LIMIT);
        assert_eq!(settings.place(), "web:22");
    }

    #[test]
    fn paths_may_have_blanks() {
        let files = |list: &str| settings(&format!("userknownhostsfile {list}")).user_known_hosts;
        let both = ["/John Doe/a", "/b"].map(PathBuf::from);
        assert_eq!(files("/John Doe/a /b"), both);
        assert_eq!(files("\"/John Doe/a\" /b"), both);
        assert_eq!(
            files("/b \"/John Doe/a\""),
            [&both[1], &both[0]].map(PathBuf::clone)
        );
        assert_eq!(files("none"), [""; 0].map(PathBuf::from));
    }

    #[test]
    fn tokens_stand_for_something() {
        let settings = settings("user admin\nport 22");
        let expanded = |text| settings.with_tokens(text, |_| None);
        assert_eq!(
            expanded("a%%b %h ${x:-y} $x"),
            Some("a%b web ${x:-y} $x".into())
        );
        assert_eq!(expanded("%"), None);
        assert_eq!(expanded("%q"), None);
        let home = std::env::var("HOME").unwrap();
        assert_eq!(
            settings.path("${HOME}/%r"),
            Some(format!("{home}/admin").into())
        );
        assert_eq!(settings.path("${KPEXEC_NOT_SET}"), None);
        assert_eq!(settings.path("${unclosed"), None);
    }

    #[test]
    fn jump_hosts_have_ports() {
        assert_eq!(split_port("a"), ("a".into(), None));
        assert_eq!(split_port("me@a:2222"), ("me@a".into(), Some(2222)));
        assert_eq!(
            split_port("me@[10.0.0.1]:22"),
            ("me@10.0.0.1".into(), Some(22))
        );
        assert_eq!(split_port("[fe80::1]:22"), ("fe80::1".into(), Some(22)));
        assert_eq!(split_port("fe80::1"), ("fe80::1".into(), None));
        assert_eq!(host_of("me@a"), "a");
    }
}
