# What the other cases rely on: a machine as systemd makes it.
. /lib.sh
grep -q '^cgroup2 /sys/fs/cgroup cgroup2 .*nsdelegate' /proc/mounts
grep -q 'memory' /sys/fs/cgroup/cgroup.controllers
test "$(group_of $$)" = /user.slice/user-0.slice/session-1.scope
test "$(cat /sys/module/apparmor/parameters/enabled)" = Y
