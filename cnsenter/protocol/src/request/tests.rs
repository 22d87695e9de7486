use super::*;

fn web() -> Target {
    Target {
        uid: Some("5d1f-7".into()),
        container: Some("app".into()),
        container_id: Some("containerd://0123abcdef".into()),
        ..Target::pod("shop", "web-0")
    }
}

fn plain() -> Request {
    Request::new(web(), Profile::Full, vec![b"ls".to_vec(), b"-l".to_vec()])
}

fn everything() -> Request {
    Request {
        targets: vec![web(), Target::pod("shop", "web-1")],
        stdin: true,
        tty: Some(Tty {
            term: Some("xterm-256color".into()),
            size: Some(Size {
                rows: 24,
                columns: 80,
            }),
        }),
        user: Some("app:1".into()),
        groups: vec!["1".into(), "wheel".into()],
        workdir: Some(b"/srv/a b".to_vec()),
        env: vec![
            (b"A".to_vec(), b"secret".to_vec()),
            (b"B,%".to_vec(), b"\xff".to_vec()),
        ],
        clear_env: true,
        namespaces: Some(vec!["net".into(), "mount".into()]),
        cgroup: Some(CgroupChoice::Target),
        memory: Some(64 << 20),
        timeout: Some(Duration::from_millis(1500)),
        lease: Some(Duration::from_secs(5)),
        kill_on_exit: true,
        in_agent: true,
        verbose: true,
        ..plain()
    }
}

/// What the other end makes of it, whoever reads it on its way.
fn round(request: &Request) -> Request {
    assert_eq!(round_by(request, Reader::Shell), *request);
    round_by(request, Reader::None)
}

fn round_by(request: &Request, reader: Reader) -> Request {
    let encoded = request.encode_for(reader).unwrap();
    let all_plain = encoded.words.iter().all(|word| is_plain(word));
    assert!(all_plain || reader == Reader::None, "{:?}", encoded.words);
    let argv = Argv::read(&encoded.words).unwrap();
    assert_eq!(argv.is_complete(), encoded.supplement.is_none());
    argv.complete(&encoded.supplement.unwrap_or_default())
        .unwrap()
}

/// Reads words given as one line.
fn read(line: &str) -> Result<Argv, Error> {
    Argv::read(&line.split(' ').collect::<Vec<_>>())
}

#[test]
fn is_spelled_as_policies_and_audit_logs_expect() {
    assert_eq!(
        plain().encode().unwrap().words.join(" "),
        "session 1 shop/web-0 full --pod-uid=5d1f-7 --container=app \
         --container-id=containerd://0123abcdef -- ls -l"
    );
    let words = everything().encode().unwrap().words.join(" ");
    let (before, after) = words.split_once(" --request=").unwrap();
    assert_eq!(
        before,
        "session 1 shop/web-0,shop/web-1 full --pod-uid=5d1f-7, --container=app, \
         --container-id=containerd://0123abcdef, --user=app:1 --groups=1,wheel --workdir=/srv/a b \
         --env=A,B%2C%25 --namespaces=net,mount --cgroup=target --memory=67108864 \
         --timeout=1500ms --lease=5s --term=xterm-256color --size=24x80"
    );
    let (sum, rest) = after.split_at(64);
    assert!(sum.bytes().all(|b| b.is_ascii_hexdigit()));
    assert_eq!(
        rest,
        " --stdin --tty --clear-env --kill-on-exit --agent --verbose -- ls -l"
    );
}

#[test]
fn arrives_as_it_was() {
    for request in [plain(), everything()] {
        assert_eq!(round(&request), request);
    }
    let every_byte: Vec<u8> = (1..=255).collect();
    for word in [
        vec![],
        every_byte,
        vec![b'x'; 131_071],
        b"--".to_vec(),
        b"a\nb".to_vec(),
    ] {
        let mut request = plain();
        request.command = vec![b"echo".to_vec(), word.clone(), word.clone()];
        request.workdir = Some(word);
        if request.workdir.as_ref().unwrap().len() < 1000 {
            assert_eq!(round(&request), request);
        }
    }
}

#[test]
fn what_does_not_fit_is_shown_in_part() {
    let mut request = plain();
    request.command = vec![b"sh".to_vec(), b"-c".to_vec(), vec![b'x'; 100_000]];
    let encoded = request.encode().unwrap();
    let shown = encoded
        .words
        .iter()
        .skip_while(|w| *w != "--")
        .collect::<Vec<_>>();
    assert_eq!(shown[1..3], ["sh", "-c"]);
    assert!(shown[3].starts_with("xxx") && shown[3].len() < 1024);
    assert_eq!(shown[4], "...");
    assert_eq!(round(&request), request);
    request.command = vec![b"rm".to_vec(), b"\xff\x1b[2J".to_vec()];
    let shown = request.encode().unwrap().words;
    assert_eq!(shown[shown.len() - 3..], ["rm", "\u{fffd}?[2J", "..."]);
}

#[test]
fn however_many_words_there_are_some_are_shown() {
    for word in ["", "a", "aaaaaaa", "\u{fc}\u{fc}\u{fc}"] {
        for count in (1..200).chain([500, 505, 3000]) {
            let mut request = plain();
            // One that is not plain has the frame hold them all.
            let words = std::iter::repeat_n(word, count).chain(["a b\n"]);
            request.command = words.map(|word| word.as_bytes().to_vec()).collect();
            assert_eq!(round(&request), request, "{count} times {word:?}");
        }
    }
}

#[test]
fn a_shell_reads_nothing_but_plain_words() {
    let mut request = plain();
    request.command = ["sh", "-c", "echo 'a b' >/tmp/ü;", "=ls", ""]
        .map(|word| word.as_bytes().to_vec())
        .to_vec();
    let words = request.encode_for(Reader::Shell).unwrap().words;
    let shown = "sh -c echo__a_b___/tmp/__ _ls _ ...";
    assert!(
        words.join(" ").ends_with(&format!(" -- {shown}")),
        "{words:?}"
    );
    assert_eq!(round(&request), request);

    // What is plain is there as it is.
    let words = plain().encode_for(Reader::Shell).unwrap();
    assert_eq!(words, plain().encode().unwrap());

    request.user = Some("DOMAIN\\user name".into());
    request.groups = vec!["1".into(), "a$b".into()];
    let words = request.encode_for(Reader::Shell).unwrap().words;
    assert!(words.iter().all(|word| is_plain(word)), "{words:?}");
    assert!(!words.join(" ").contains("user"), "{words:?}");
    assert_eq!(round(&request), request);
    request.tty = Some(Tty {
        term: Some("a b".into()),
        size: None,
    });
    // No terminal has such a name.
    let words = request.encode_for(Reader::Shell).unwrap().words;
    assert!(!words.join(" ").contains("--term"), "{words:?}");
}

/// A policy reads words; what it could have read there is not taken from anywhere else.
#[test]
fn nobody_hides_who_it_is() {
    let mut request = plain();
    request.user = Some("a b".into());
    let encoded = request.encode_for(Reader::Shell).unwrap();
    let shown = encoded.supplement.unwrap();
    let mut hidden = shown.clone();
    let at = hidden.windows(3).position(|part| part == b"a b").unwrap();
    hidden[at + 1] = b'_';
    let sums = [&shown, &hidden].map(|payload| supplement::sum(payload));
    let read = |sum: &str, payload: &[u8]| {
        let words = encoded.words.iter().map(|word| word.replace(&sums[0], sum));
        let words: Vec<_> = words.collect();
        Argv::read(&words).unwrap().complete(payload)
    };
    assert_eq!(read(&sums[0], &shown).unwrap().user.as_deref(), Some("a b"));
    assert_eq!(read(&sums[1], &hidden), Err(Error::Differs("the user")));
}

#[test]
fn secrets_are_not_on_the_command_line() {
    let words = everything().encode().unwrap().words.join(" ");
    assert!(
        words.contains("--env=A,") && !words.contains("secret"),
        "{words}"
    );
}

#[test]
fn nothing_is_said_twice_or_otherwise() {
    let refused = |line: &str, error: &str| {
        let said = read(line).unwrap_err().to_string();
        assert!(said.contains(error), "{line}: {said}");
    };
    refused("1 1 a/b full -- x", "\"1\"");
    refused("-- 1 a/b full -- x", "\"--\"");
    refused("", "\"\"");
    refused("session 7 a/b full -- x", "protocol 7");
    refused("session 01 a/b full -- x", "protocol 01");
    refused("session", "names no protocol");
    refused("session 1 -- x", "names no target");
    refused("session 1 a/b -- x", "names no profile");
    refused("session 1 a/b full", "names no command");
    refused("session 1 a/b full --", "names no command");
    refused("session 1 a/b root -- x", "profile \"root\"");
    refused("session 1 a full -- x", "target \"a\"");
    refused("session 1 a/b/c full -- x", "pod \"b/c\"");
    refused("session 1 a/b, full -- x", "target \"\"");
    refused("session 1 a/.%2e full -- x", "pod");
    refused("session 1 a/b full --frob=1 -- x", "\"--frob\"");
    refused("session 1 a/b full --user -- x", "\"--user\"");
    refused("session 1 a/b full --use=0 -- x", "\"--use\"");
    refused("session 1 a/b full --tty=true -- x", "\"--tty\"");
    refused("session 1 a/b full -t -- x", "\"-t\"");
    refused(
        "session 1 a/b full --user=0 --user=1 -- x",
        "--user more than once".trim_start_matches('-'),
    );
    refused("session 1 a/b full c/d -- x", "\"c/d\"");
    refused(
        "session 1 a/b full --pod-uid=1,2 -- x",
        "one entry for each target",
    );
    refused("session 1 a/b full --pod-uid= -- x", "\"--pod-uid=\"");
    refused("session 1 a/b full --memory=010 -- x", "\"--memory=010\"");
    refused("session 1 a/b full --memory=+1 -- x", "\"--memory=+1\"");
    refused(
        "session 1 a/b full --timeout=1000ms -- x",
        "\"--timeout=1000ms\"",
    );
    refused("session 1 a/b full --timeout=1h -- x", "no time");
    refused("session 1 a/b full --size=1x2 -- x", "\"--size=1x2\"");
    refused("session 1 a/b full --container-id=abc -- x", "container ID");
    refused("session 1 a/b full --env=A -- x", "missing");
    refused("session 1 a/b full --groups= -- x", "group");
}

#[test]
fn a_frame_is_the_announced_one_or_none() {
    let mut request = plain();
    request.command = vec![b"\xff".to_vec()];
    let Encoded { words, supplement } = request.encode().unwrap();
    let payload = supplement.unwrap();
    let argv = Argv::read(&words).unwrap();
    assert!(!argv.is_complete());
    assert_eq!(argv.complete(&payload), Ok(request.clone()));
    assert_eq!(argv.complete(&[]), Err(Error::NoSupplement));
    let mut other = payload.clone();
    *other.last_mut().unwrap() ^= 1;
    assert_eq!(argv.complete(&other), Err(Error::Sum));
    let whole = Argv::read(&plain().encode().unwrap().words).unwrap();
    assert_eq!(whole.complete(&payload), Err(Error::Unannounced));
    assert_eq!(whole.complete(&[]), Ok(plain()));

    // The right sum, but the words tell the reader of the log something else.
    for (from, to) in [("\u{fffd}", "ls"), ("...", "....")] {
        let words: Vec<_> = words.iter().map(|w| w.replace(from, to)).collect();
        let error = Argv::read(&words).unwrap().complete(&payload);
        assert_eq!(error, Err(Error::Differs("the command")));
    }
    let mut with_env = plain();
    with_env.env = vec![(b"LD_PRELOAD".to_vec(), b"x".to_vec())];
    let Encoded { words, supplement } = with_env.encode().unwrap();
    let payload = supplement.unwrap();
    let renamed: Vec<_> = words
        .iter()
        .map(|w| w.replace("LD_PRELOAD", "LANG"))
        .collect();
    let error = Argv::read(&renamed).unwrap().complete(&payload);
    assert_eq!(error, Err(Error::Differs("the variables")));
    let hidden: Vec<_> = words.iter().filter(|w| !w.starts_with("--env")).collect();
    let error = Argv::read(&hidden).unwrap().complete(&payload);
    assert_eq!(error, Err(Error::Differs("the variables")));
}

#[test]
fn what_cannot_be_passed_on_is_refused_at_once() {
    let with = |change: fn(&mut Request)| {
        let mut request = plain();
        change(&mut request);
        request.encode().unwrap_err()
    };
    assert_eq!(with(|r| r.command.clear()), Error::Missing("command"));
    assert_eq!(with(|r| r.targets.clear()), Error::Missing("target"));
    assert_eq!(with(|r| r.command[0].push(0)), Error::Nul("the command"));
    assert!(matches!(
        with(|r| r.targets[0].pod = "a,b".into()),
        Error::BadValue { .. }
    ));
    assert!(matches!(
        with(|r| r.env = vec![(b"A=".to_vec(), vec![])]),
        Error::BadValue { .. }
    ));
    assert!(matches!(
        with(|r| r.groups = vec!["a,b".into()]),
        Error::BadValue { .. }
    ));
    assert!(matches!(
        with(|r| r.user = Some("x".repeat(9000))),
        Error::TooLong(_)
    ));
    assert!(matches!(
        with(|r| r.command.push(vec![b'x'; 5 << 20])),
        Error::TooMuch(_)
    ));
}
