# A container that may do nothing: the admin may do everything.
. /lib.sh
drop=
for cap in AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE NET_RAW SETFCAP SETGID SETPCAP SETUID SYS_CHROOT; do
  drop="$drop --cap-drop CAP_$cap"
done
ctr run -d --null-io --seccomp --read-only --user 1000:1000 $drop docker.io/kpexec/busybox:1 locked sleep 1000000
! ctr task exec --exec-id reference locked mount -t tmpfs none /tmp || exit 1
cnsenter locked -- sh -eux -c 'id -u; mount -t tmpfs none /tmp; echo x >/tmp/x; ip addr add 10.1.1.1/32 dev lo; ip link set lo up; ping -c 1 10.1.1.1'
test "$(cnsenter locked -- sed -n 's/^CapEff:\t//p' /proc/self/status)" = "$(sed -n 's/^CapEff:\t//p' /proc/self/status)"
cnsenter locked -- grep -qx 'Seccomp:	0' /proc/self/status
