# A profile that confines cnsenter itself, or the shell it was started from, is named.
. /lib.sh
cp /usr/bin/cnsenter /usr/bin/confined
profile <<P
profile kpexec-caller /usr/bin/confined flags=(attach_disconnected) {
  file, capability, network, mount, umount, pivot_root, signal, ptrace,
}
P
start web
expect 125 confined web -- touch /tmp/ran 2>/tmp/error
grep -v '^+' /tmp/error | tee /tmp/told
grep -q 'AppArmor' /tmp/told
grep -q 'kpexec-caller' /tmp/told
test "$(wc -l </tmp/told)" = 2
test ! -e "/proc/$pid/root/tmp/ran"
rm /usr/bin/confined
