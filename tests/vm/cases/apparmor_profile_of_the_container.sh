# A container is confined by a profile; the admin's command is not.
. /lib.sh
profile <<P
profile kpexec-container flags=(attach_disconnected, mediate_deleted) {
  file, capability, network, mount, umount, pivot_root, signal, ptrace,
  deny /secret rwklx,
}
P
start web plain kpexec-container
grep -qx 'kpexec-container (enforce)' "/proc/$pid/attr/current"
echo told >"/proc/$pid/root/secret"
! runc exec web cat /secret || exit 1
test "$(cnsenter web -- cat /secret)" = told
test "$(cnsenter web -- cat /proc/self/attr/current)" = unconfined
test "$(cnsenter -u 1000 web -- cat /proc/self/attr/current)" = unconfined

ctr run -d --null-io --apparmor-profile kpexec-container docker.io/kpexec/busybox:1 other sleep 1000000
cnsenter other -- sh -c 'echo told >/secret'
! ctr task exec --exec-id reference other cat /secret || exit 1
test "$(cnsenter other -- cat /secret)" = told
