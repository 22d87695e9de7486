# A profile of the node that is attached to a path does not catch the command at that path in a container.
. /lib.sh
profile <<P
profile kpexec-attached /opt/cat flags=(attach_disconnected) {
  file, capability,
  deny /secret rwklx,
}
P
start web
mkdir "/proc/$pid/root/opt"
cp /bin/busybox "/proc/$pid/root/opt/cat"
echo told >"/proc/$pid/root/secret"
# The reference is caught.
! /usr/bin/nsenter -t "$pid" -a /opt/cat /secret 2>/tmp/error || exit 1
grep -q 'Permission denied' /tmp/error
test "$(cnsenter web -- /opt/cat /secret)" = told
test "$(cnsenter web -- /opt/cat /proc/self/attr/current)" = unconfined
