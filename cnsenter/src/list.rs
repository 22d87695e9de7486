//! `cnsenter ls`: every container on this node that any runtime knows of.
//!
//! # JSON and YAML
//!
//! An array with one object for each container. Always there: `id`, `runtime` (`containerd`,
//! `cri-o`, `docker`, `podman`, `oci`, `-`), `state` (`running`, `paused`, `created`, `exited`,
//! `unknown`), `sandbox` (true only under `-a`), `source`. Where known: `name` (the runtime's own, or
//! the container's in its pod), `pod` (`namespace`, `name`, `uid`, and `defaultContainer`, which its
//! annotation names), `pid`, `image`, `created` (RFC
//! 3339), `handler`, `runtimeNamespace` (containerd's), `owner` (uid of a rootless container's
//! user), `exitCode`, `exitedAt` (RFC 3339). Unknown fields are left out. Text is as the runtime has
//! it, escaped as the format wants it.

use std::io::{self, Write};

use serde::Serialize;

use crate::escape::escaped;
use crate::hostproc::HostProc;
use crate::request::Lookup;
use crate::resolve::{self, Container, Runtime, State, Warning, rfc3339};

/// How many characters of a full ID the table shows, as crictl does.
const SHORT_ID: usize = 13;

/// What is listed, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// `-o`.
    pub format: Format,
    /// `--pod`: namespace and name.
    pub pod: Option<(String, String)>,
    /// `-a`: also sandboxes, and containers that do not run.
    pub all: bool,
}

/// How it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Columns
    Table,
    /// More columns
    Wide,
    /// JSON
    Json,
    /// YAML
    Yaml,
}

/// Why nothing was listed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No source could be asked.
    #[error(transparent)]
    Resolve(#[from] resolve::Error),
    /// The output is closed or full.
    #[error("cannot write the list")]
    Write(#[source] io::Error),
}

/// Writes the list to `out`; the warnings are for stderr.
///
/// # Errors
/// [`Error`].
pub fn run(
    options: &Options,
    proc: &HostProc,
    lookup: &Lookup,
    out: &mut impl Write,
) -> Result<Vec<Warning>, Error> {
    let mut listing = resolve::list(proc, lookup, options.all)?;
    if let Some((namespace, name)) = &options.pod {
        listing.containers.retain(|c| {
            c.pod
                .as_ref()
                .is_some_and(|p| p.namespace == *namespace && p.name == *name)
        });
    }
    show(options.format, &listing.containers, out).map_err(Error::Write)?;
    Ok(listing.warnings)
}

fn show(format: Format, containers: &[Container], out: &mut impl Write) -> io::Result<()> {
    let rows = || containers.iter().map(Row::from).collect::<Vec<_>>();
    match format {
        Format::Table => table(&[&[SHORT], &COLUMNS[..]].concat(), containers, out)?,
        Format::Wide => table(&[&[FULL], &COLUMNS[..], &MORE].concat(), containers, out)?,
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, &rows())?;
            writeln!(out)?;
        }
        Format::Yaml => {
            let text = serde_yaml_ng::to_string(&rows()).map_err(io::Error::other)?;
            out.write_all(text.as_bytes())?;
        }
    }
    out.flush()
}

/// One container in JSON and YAML.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<PodRow<'a>>,
    runtime: Runtime,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<i32>,
    sandbox: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    handler: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime_namespace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exited_at: Option<String>,
    source: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PodRow<'a> {
    namespace: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_container: Option<&'a str>,
}

impl<'a> From<&'a Container> for Row<'a> {
    fn from(c: &'a Container) -> Self {
        let (exit_code, at) = match c.state {
            State::Exited { code, at } => (code, at),
            _ => (None, None),
        };
        Self {
            id: &c.id,
            name: name(c),
            pod: c.pod.as_ref().map(|p| PodRow {
                namespace: &p.namespace,
                name: &p.name,
                uid: p.uid.as_deref(),
                default_container: c.pod_default.as_deref(),
            }),
            runtime: c.runtime,
            state: c.state.name(),
            pid: c.state.pid().map(nix::unistd::Pid::as_raw),
            sandbox: c.sandbox,
            image: c.image.as_deref(),
            created: c.created.map(rfc3339),
            handler: c.handler.as_deref(),
            runtime_namespace: c.runtime_namespace.as_deref(),
            owner: (c.owner != 0).then_some(c.owner),
            exit_code,
            exited_at: at.map(rfc3339),
            source: c.source.to_string(),
        }
    }
}

/// A container's own name: in its pod, else its runtime's.
fn name(c: &Container) -> Option<&str> {
    let in_pod = c.pod.as_ref().and_then(|p| p.container.as_deref());
    in_pod.or(c.name.as_deref())
}

/// A column's heading, and a container's cell in it.
type Column = (&'static str, fn(&Container) -> String);

const SHORT: Column = ("ID", |c| {
    let short = c.id.get(..SHORT_ID).filter(|_| c.id.len() == 64);
    short.unwrap_or(&c.id).to_owned()
});

const FULL: Column = ("ID", |c| c.id.clone());

const COLUMNS: [Column; 5] = [
    ("NAME", |c| name(c).unwrap_or_default().to_owned()),
    ("POD", |c| {
        let pod = c.pod.as_ref();
        pod.map(|p| format!("{}/{}", p.namespace, p.name))
            .unwrap_or_default()
    }),
    ("STATE", |c| match c.state {
        _ if c.sandbox => "sandbox".to_owned(),
        State::Exited {
            code: Some(code), ..
        } => format!("exited ({code})"),
        _ => c.state.name().to_owned(),
    }),
    ("PID", |c| {
        c.state.pid().map(|p| p.to_string()).unwrap_or_default()
    }),
    ("RUNTIME", |c| c.runtime.name().to_owned()),
];

/// What the wide table has besides.
const MORE: [Column; 5] = [
    ("IMAGE", |c| c.image.clone().unwrap_or_default()),
    ("CREATED", |c| c.created.map(rfc3339).unwrap_or_default()),
    ("HANDLER", |c| c.handler.clone().unwrap_or_default()),
    ("NAMESPACE", |c| {
        c.runtime_namespace.clone().unwrap_or_default()
    }),
    ("SOURCE", |c| c.source.to_string()),
];

/// Columns as wide as their widest cell. What is unknown is a "-", so that each line has as many
/// words as the heading (no cell of ours has a space but exit codes').
fn table(columns: &[Column], containers: &[Container], out: &mut impl Write) -> io::Result<()> {
    let heading = columns.iter().map(|(title, _)| (*title).to_owned());
    let mut lines: Vec<Vec<String>> = vec![heading.collect()];
    lines.extend(containers.iter().map(|c| {
        let cells = columns.iter().map(|(_, cell)| match cell(c) {
            empty if empty.is_empty() => "-".to_owned(),
            text => escaped(&text).to_string(),
        });
        cells.collect()
    }));
    let width = |i: usize| {
        lines
            .iter()
            .map(|l| l[i].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let padded = line
            .iter()
            .zip(&widths)
            .map(|(cell, w)| format!("{cell:<w$}"));
        text += padded.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    out.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::Pod;

    fn shown(format: Format, containers: &[Container]) -> String {
        let mut out = Vec::new();
        show(format, containers, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn samples() -> [Container; 2] {
        let mut app = Container::new(&"0123456789abcdef".repeat(4), Runtime::Containerd);
        app.pod = Some(Pod {
            namespace: "prod".into(),
            name: "web-0".into(),
            uid: None,
            container: Some("app".into()),
        });
        app.state = State::Running(nix::unistd::Pid::from_raw(42));
        let mut evil = Container::new("x\u{1b}[31m", Runtime::Docker);
        evil.name = Some("two\nlines".into());
        evil.state = State::Exited {
            code: Some(3),
            at: Some(0),
        };
        [app, evil]
    }

    #[test]
    fn the_table_has_a_line_for_each_container_and_shows_escapes() {
        let text = shown(Format::Table, &samples());
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "ID             NAME        POD         STATE       PID  RUNTIME",
                "0123456789abc  app         prod/web-0  running     42   containerd",
                "x\\x1b[31m      two\\nlines  -           exited (3)  -    docker",
            ]
        );
        assert!(shown(Format::Wide, &samples()).contains(&samples()[0].id));
    }

    #[test]
    fn json_and_yaml_say_the_same() {
        let json = shown(Format::Json, &samples());
        let yaml = shown(Format::Yaml, &samples());
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let yaml: serde_json::Value = serde_yaml_ng::from_str(&yaml).unwrap();
        assert_eq!(json, yaml);
        assert_eq!(json[0]["pid"], 42);
        assert_eq!(json[0]["pod"]["name"], "web-0");
        assert_eq!(json[1]["exitCode"], 3);
        assert_eq!(json[1]["exitedAt"], "1970-01-01T00:00:00Z");
        assert!(json[1].get("pid").is_none());
    }
}
