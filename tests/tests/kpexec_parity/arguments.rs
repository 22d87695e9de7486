//! Arguments of every byte, long ones and many.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::{Site, on_each_node};

on_each_node! { arguments }

/// The longest argument that Linux takes, 128 KiB with the NUL at its end.
const LONGEST: usize = (128 << 10) - 1;

fn arguments(site: &Site) {
    every_byte(site);
    odd_names(site);
    a_megabyte(site);
    ten_thousand(site);
}

/// What `printf '%s|'` says of these arguments.
fn printed(site: &Site, words: &[OsString]) -> Vec<u8> {
    let script = "printf '%s|' \"$@\"";
    let fixed = ["web", "--", "sh", "-c", script, "sh"].map(OsString::from);
    let output = site.kpexec(fixed.iter().chain(words)).run();
    assert_eq!((output.code, output.err().as_str()), (0, ""));
    output.stdout
}

/// NUL ends an argument: no program can be given one. kubectl's bytes that are not UTF-8 arrive as
/// U+FFFD, or the API server answers 500.
fn every_byte(site: &Site) {
    let all: Vec<u8> = (1..=255).collect();
    let apart: Vec<OsString> = all
        .iter()
        .map(|&byte| OsString::from_vec(vec![byte]))
        .collect();
    let expected: Vec<u8> = all.iter().flat_map(|&byte| [byte, b'|']).collect();
    assert!(printed(site, &apart) == expected);
    let together = [OsString::from_vec(all.clone()), OsString::new()];
    assert!(printed(site, &together) == [&all[..], b"||"].concat());
    // Variables, too.
    let mut variable = OsString::from("V=");
    variable.push(OsString::from_vec(all.clone()));
    let flags = [OsStr::new("-e"), &variable];
    let command = ["web", "--", "sh", "-c", "printf %s \"$V\""].map(OsStr::new);
    let output = site.kpexec(flags.iter().chain(&command)).run();
    assert!(output.stdout == all, "{output}");
}

/// Users and directories may have names that a shell would change, and directories any bytes.
fn odd_names(site: &Site) {
    let run = |words: &[&OsStr]| site.kpexec(words).run();
    let [web, end] = ["web", "--"].map(OsStr::new);
    for user in ["host$", "DOMAIN\\user", "a b", "1000;id"] {
        let output = run(&[OsStr::new("-u"), user.as_ref(), web, end, "id".as_ref()]);
        let told = format!("no user \"{user}\" in the container's /etc/passwd");
        assert_eq!(output.code, 125, "{output}");
        assert!(output.err().contains(&told), "no {told:?}: {output}");
    }
    let folder = OsString::from_vec(b"/dev/shm/a $b\xff".to_vec());
    let make = run(&[web, end, "mkdir".as_ref(), "-p".as_ref(), &folder]);
    assert_eq!(make.code, 0, "{make}");
    let output = run(&[OsStr::new("-w"), &folder, web, end, "pwd".as_ref()]);
    assert!(
        output.stdout == [folder.as_bytes(), b"\n"].concat(),
        "{output}"
    );
    run(&[web, end, "rmdir".as_ref(), &folder]);
}

/// kubectl's, in the URL, end at the API server, the proxies before it or the runtime's own limit.
fn a_megabyte(site: &Site) {
    let words: Vec<_> = (0..8_u8)
        .map(|n| OsString::from_vec(vec![b'a' + n; LONGEST]))
        .collect();
    let expected: Vec<u8> = words
        .iter()
        .flat_map(|word| [word.as_encoded_bytes(), b"|"].concat())
        .collect();
    assert!(printed(site, &words) == expected);
}

fn ten_thousand(site: &Site) {
    let words: Vec<_> = (0..10_000).map(|n| OsString::from(n.to_string())).collect();
    let expected: String = (0..10_000).map(|n| format!("{n}|")).collect();
    assert!(printed(site, &words) == expected.as_bytes());
}
