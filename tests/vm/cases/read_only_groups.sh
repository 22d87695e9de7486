# Where cgroups cannot be written, as in a pod, commands still run; to join the container's is refused.
. /lib.sh
start web
unshare -m sh -eux -c '. /lib.sh
  mount -o remount,bind,ro /sys/fs/cgroup
  expect 3 cnsenter web -- sh -c "exit 3"
  expect 125 cnsenter --cgroup=target web -- touch /tmp/ran 2>/tmp/error'
grep -q "cgroup.*Read-only file system" /tmp/error
test ! -e "/proc/$pid/root/tmp/ran"
