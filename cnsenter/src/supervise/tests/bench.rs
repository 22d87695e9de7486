//! How fast a relay is: `cargo test --lib supervise::tests::bench -- --ignored --nocapture`.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::{case, null, pipe, wait};

const SCRIPT: &str = "exec dd if=/dev/zero bs=64k count=65536 2>/dev/null";

/// GB/s at which 64 KiB reads empty a pipe.
fn rate(out: OwnedFd) -> f64 {
    let start = Instant::now();
    let mut out = File::from(out);
    let mut buffer = vec![0; 64 << 10];
    let mut total = 0.0;
    loop {
        match out.read(&mut buffer).unwrap() {
            0 => break,
            count => total += count as f64,
        }
    }
    total / start.elapsed().as_secs_f64() / 1e9
}

#[test]
#[ignore = "a measurement"]
fn four_gibibytes() {
    for _ in 0..4 {
        let (out, theirs) = pipe();
        let mut direct = Command::new("sh")
            .args(["-c", SCRIPT])
            .stdout(Stdio::from(theirs))
            .spawn()
            .unwrap();
        let direct_rate = rate(out);
        direct.wait().unwrap();
        let (out, theirs) = pipe();
        let pid = case(SCRIPT).start(null(), theirs, null());
        let relayed = rate(out);
        assert_eq!(wait(pid), 0);
        let ratio = relayed / direct_rate;
        println!("direct {direct_rate:.2} GB/s, relayed {relayed:.2} GB/s, {ratio:.2}");
    }
}

#[test]
#[ignore = "a measurement"]
fn half_a_gibibyte_through_a_terminal() {
    const SCRIPT: &str = "exec head -c 536870912 /dev/zero";
    for _ in 0..4 {
        let (out, theirs) = pipe();
        let mut reference = Command::new("script")
            .args(["-qc", SCRIPT, "/dev/null"])
            .stdin(Stdio::null())
            .stdout(Stdio::from(theirs))
            .spawn()
            .unwrap();
        let reference_rate = rate(out);
        reference.wait().unwrap();
        let (out, theirs) = pipe();
        let pid = case(SCRIPT).tty().start(null(), theirs, null());
        let relayed = rate(out);
        assert_eq!(wait(pid), 0);
        let ratio = relayed / reference_rate;
        println!("script {reference_rate:.3} GB/s, relayed {relayed:.3} GB/s, {ratio:.2}");
    }
}
