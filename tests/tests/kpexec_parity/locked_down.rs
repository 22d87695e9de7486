//! What kubectl exec cannot do in a pod that may do nothing, and kpexec does.

use crate::{Site, on_each_node};

on_each_node! { a_pod_that_may_do_nothing }

const FORBIDDEN: &[&str] = &[
    "hostname debug && hostname locked",
    "ip link add debug0 type veth && ip link del debug0",
    "ping -c 1 127.0.0.1",
    "mount -t tmpfs none /tmp && umount /tmp",
    "mount -o remount,rw / && touch /debug && rm /debug && mount -o remount,ro /",
    "chroot / true",
    "mknod /dev/debug c 1 3 && rm /dev/debug",
    "chown 1 /dev/shm && chown 0 /dev/shm",
    "ls /root",
];

fn a_pod_that_may_do_nothing(site: &Site) {
    for script in FORBIDDEN {
        let [theirs, ours] = site.both(&["locked", "--", "sh", "-c", script], b"");
        assert_ne!(theirs.code, 0, "{script}: {theirs}");
        assert_eq!(ours.code, 0, "{script}: {ours}");
    }
    // The application noticed nothing.
    let rights = [
        "locked",
        "--",
        "grep",
        "-E",
        "^(Uid|CapBnd|Seccomp|NoNewPrivs):",
        "/proc/1/status",
    ];
    let [theirs, ours] = site.both(&rights, b"");
    assert_eq!(theirs, ours);
    assert!(
        theirs.out().contains("Uid:\t1000\t1000\t1000\t1000\n"),
        "{theirs}"
    );
    assert!(
        theirs.out().contains("CapBnd:\t0000000000000000\n"),
        "{theirs}"
    );
}
