//! `kpexec --node`: the same command, terminal, signals and exit codes by SSH, whatever the node's
//! login shell is.

use std::sync::OnceLock;

use kpexec_tests::SshBed;

fn bed() -> &'static SshBed {
    static BED: OnceLock<SshBed> = OnceLock::new();
    BED.get_or_init(SshBed::new)
}

#[test]
fn a_command_runs_in_a_pod_that_is_named() {
    let output = bed()
        .kpexec([
            "web",
            "--",
            "sh",
            "-c",
            "hostname; id -u; echo err >&2; exit 3",
        ])
        .run();
    assert_eq!(
        (output.code, output.out().as_str()),
        (3, "web\n0\n"),
        "{output}"
    );
    assert_eq!(output.err(), "err\ncommand terminated with exit code 3\n");
}
