//! Every byte arrives, whoever closes, stalls or stays.

use std::time::Duration;

use kpexec_tests::eventually;

use crate::{SITES, Site, numbers, on_each_node};

/// More than a gibibyte takes.
const DEADLINE: Duration = Duration::from_secs(200);

on_each_node! { input_of_every_size closed_streams background_children negotiated }

fn input_of_every_size(site: &Site) {
    let data: Vec<u8> = (0_u32..4 << 20).flat_map(u32::to_le_bytes).collect();
    for size in [0, 1, 4095, 64 << 10, (64 << 10) + 1, 1 << 20, 16 << 20] {
        let [theirs, ours] = site.both(&["-i", "web", "--", "cat"], &data[..size]);
        assert!(
            ours.stdout == data[..size],
            "{size}: {} bytes",
            ours.stdout.len()
        );
        assert_eq!((ours.code, ours.err()), (theirs.code, theirs.err()));
        assert!(
            theirs.stdout == ours.stdout,
            "{size}: {} bytes of kubectl's",
            theirs.stdout.len()
        );
    }
    // A command that reads less than there is. kubectl reports, or does not, that it could not
    // write the rest.
    let little = site.kpexec(["-i", "web", "--", "head", "-c", "3"]);
    let little = little.stdin(data).run();
    assert_eq!(
        (little.code, little.err().as_str(), &little.stdout[..]),
        (0, "", &[0, 0, 0][..])
    );
}

/// Closed in the command while stdin flows. kubectl's stdin ends with the stream that is closed: it
/// counts less, and says so with exit code 0.
fn closed_streams(site: &Site) {
    let data = vec![b'x'; 16 << 20];
    let count = format!("{}\n", data.len());
    for (script, code, stdout, stderr) in [
        ("exec wc -c 2>&-", 0, count.as_str(), ""),
        ("exec wc -c 2>/dev/null", 0, &count, ""),
        ("exec 3>&2 >&-; wc -c >&3; exit 8", 8, "", &count),
        (
            "exec >&- 2>&-; [ $(wc -c) = 16777216 ] && exit 7",
            7,
            "",
            "",
        ),
        ("exec >&- 2>&-; exec cat", 1, "", ""),
    ] {
        let output = site.sh(&["-i"], script).stdin(data.clone()).run();
        let told = match code {
            0 => String::new(),
            code => format!("command terminated with exit code {code}\n"),
        };
        assert_eq!(
            (output.code, output.out().as_str()),
            (code, stdout),
            "{script}: {output}"
        );
        assert_eq!(output.err(), format!("{stderr}{told}"), "{script}");
    }
}

/// They neither hold kpexec up nor end with it. kubectl waits for them to the end.
fn background_children(site: &Site) {
    let script = "sleep 45470 & sleep 45470 >/dev/null & echo started; exit 3";
    let output = site.sh(&[], script).run();
    assert_eq!(
        (output.code, output.out().as_str()),
        (3, "started\n"),
        "{output}"
    );
    assert_eq!(site.running("^sleep 45470"), "2");
    site.machine().command(["pkill", "-f", "^sleep 45470"]).ok();
    let output = site.sh(&["--kill-on-exit"], script).run();
    assert_eq!(output.code, 3, "{output}");
    eventually("nothing of it runs", || site.running("^sleep 45470") == "0");
}

/// A reader that stalls for 15 seconds after the command's end, 24 times: kubectl loses the tail in
/// one of four, and says that all went well.
#[test]
fn readers_that_stall() {
    let clients: Vec<_> = (0..24)
        .map(|n| {
            // Less and more than is kept on the way.
            let count = if n < 12 { 100_000 } else { 500_000 };
            let command = Site::get(n % SITES).sh(&[], &format!("seq 1 {count}; exit 6"));
            (count, command.within("\"$@\" | { sleep 20; cat; }").spawn())
        })
        .collect();
    for (count, client) in clients {
        let output = client.wait();
        let arrived = output.out() == numbers(count);
        assert!(arrived, "{count}: {} bytes", output.stdout.len());
        assert_eq!(output.code, 6, "{count}: {}", output.err());
    }
}

/// A gibibyte there and back.
#[test]
fn a_gibibyte() {
    // head ends openssl, by SIGPIPE.
    let random = "{ openssl enc -aes-128-ctr -nosalt -pass pass:kpexec -in /dev/zero 2>&- || :; } |
                  head -c 1G";
    let cluster = Site::get(0).shop.cluster;
    let expected = cluster
        .command(["bash", "-c", &format!("{random} | sha256sum")])
        .ok();
    for site in [0, 4].map(Site::get) {
        let cat = site.kpexec(["-i", "web", "--", "cat"]);
        let back = cat
            .within(&format!("{random} | \"$@\" | sha256sum"))
            .deadline(DEADLINE)
            .ok();
        assert_eq!(back, expected);
    }
}

/// Subprotocol v4 alone is offered, whatever else the server has: kpexec's own frames carry the end of
/// the input, which is all that v5 adds, and v4 costs the kubelet less than half.
fn negotiated(site: &Site) {
    let output = site.sh(&["-v", "-i"], "cat").stdin("passed on").run();
    assert_eq!(
        (output.code, output.out().as_str()),
        (0, "passed on"),
        "{output}"
    );
    let said = output.err();
    let way = match site.by_ssh {
        true => "connected by SSH to root@",
        false => "connected by WebSocket, v4.channel.k8s.io",
    };
    assert!(said.contains(way), "{said}");
}
