# A memory hog of the admin's does not get the application killed, as the kubelet's memory.oom.group would.
. /lib.sh
start web
echo 24M >"$group/memory.max"
echo 1 >"$group/memory.oom.group"
cnsenter web -- dd if=/dev/zero of=/dev/null bs=64M count=1
test -d "/proc/$pid"
# The reference takes the application with it.
! runc exec web dd if=/dev/zero of=/dev/null bs=64M count=1 || exit 1
eventually test ! -d "/proc/$pid"
