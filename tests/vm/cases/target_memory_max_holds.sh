# With --cgroup=target the container's memory.max holds, and its memory.oom.group takes the application too.
. /lib.sh
start web
echo 24M >"$group/memory.max"
echo 0 >"$group/memory.oom.group"
expect 137 cnsenter --cgroup=target web -- dd if=/dev/zero of=/dev/null bs=64M count=1
test -d "/proc/$pid"
echo 1 >"$group/memory.oom.group"
expect 137 cnsenter --cgroup=target web -- dd if=/dev/zero of=/dev/null bs=64M count=1
eventually test ! -d "/proc/$pid"
