//! Mounts (proc_pid_mountinfo(5)).
//!
//! A container with CAP_SYS_ADMIN has a say in every field: names hold any byte but NUL, lines come
//! by the hundred thousand. Nothing here trusts more than that fields are separated by spaces.

use serde::Serialize;

/// The most mounts that are told; the kernel's own bound (fs.mount-max).
const LIMIT: usize = 100_000;

/// One mount, as the process sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mount {
    /// Where, from the process's root.
    pub target: String,
    /// What, as its file system calls it: a device, `tmpfs`, `overlay`.
    pub source: String,
    /// Which part of the file system: "/" is all of it, else a bind mount's source.
    pub root: String,
    /// File system type.
    pub fstype: String,
    /// Of this mount: `ro`, `nosuid`, `relatime`.
    pub options: Vec<String>,
    /// Of the file system, wherever it is mounted.
    pub super_options: Vec<String>,
    /// Where mounts below it travel to and come from: empty is private, else `shared:7`,
    /// `master:3`, `unbindable`.
    pub propagation: Vec<String>,
}

impl Mount {
    /// Whether nothing can be written there.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        let ro = |options: &[String]| options.iter().any(|o| o == "ro");
        ro(&self.options) || ro(&self.super_options)
    }
}

/// Reads a /proc/PID/mountinfo; lines of another form are passed over.
#[must_use]
pub fn parse(file: &[u8]) -> Vec<Mount> {
    file.split(|b| *b == b'\n')
        .filter_map(mount)
        .take(LIMIT)
        .collect()
}

/// `ID PARENT MAJOR:MINOR ROOT TARGET OPTIONS [PROPAGATION...] - FSTYPE SOURCE SUPER_OPTIONS`
fn mount(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|b| *b == b' ');
    let (root, target) = (fields.nth(3)?, fields.next()?);
    let options = fields.next()?;
    let mut propagation = Vec::new();
    loop {
        match fields.next()? {
            b"-" => break,
            field => propagation.push(text(field)),
        }
    }
    // An empty source or option list is an empty field.
    let (fstype, source) = (fields.next()?, fields.next()?);
    Some(Mount {
        target: text(target),
        source: text(source),
        root: text(root),
        fstype: text(fstype),
        options: list(options),
        super_options: list(fields.next().unwrap_or_default()),
        propagation,
    })
}

fn list(field: &[u8]) -> Vec<String> {
    field
        .split(|b| *b == b',')
        .filter(|option| !option.is_empty())
        .map(text)
        .collect()
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(&unescaped(field)).into_owned()
}

/// The kernel writes space, tab, newline, backslash and "#" as `\` and three octal digits.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, after)) = rest.split_first() {
        match (first, after.get(..3).and_then(octal)) {
            (b'\\', Some(byte)) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    bytes
}

fn octal(digits: &[u8]) -> Option<u8> {
    digits.iter().try_fold(0_u8, |byte, digit| match digit {
        b'0'..=b'7' => byte.checked_mul(8)?.checked_add(digit - b'0'),
        _ => None,
    })
}

/// Whether the process's root is mounted read-only: the last mount at "/" is on top. None where
/// its root is no mount (a chroot).
#[must_use]
pub fn is_root_read_only(mounts: &[Mount]) -> Option<bool> {
    mounts
        .iter()
        .rfind(|m| m.target == "/")
        .map(Mount::is_read_only)
}
