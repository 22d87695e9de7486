# Root of a container with a user namespace of its own.
. /lib.sh
start web userns
test "$(cnsenter web -- sh -c 'id -u; id -g; whoami' | tr '\n' ' ')" = '0 0 root '
test "$(cnsenter web -- cat /proc/self/uid_map | awk '{print $2}')" = 200000
cnsenter web -- touch /made
test "$(stat -c %u "/proc/$pid/root/made")" = 200000
cnsenter web -- sh -c 'mount -t tmpfs none /tmp && ip addr add 10.1.1.1/32 dev lo'
test "$(cnsenter -u app web -- id -u)" = 1000
test "$(cnsenter web -- cat /proc/self/attr/current)" = unconfined
expect 125 cnsenter -u 70000 web -- true
echo 1 >"$group/pids.max"
expect 0 cnsenter --cgroup=target web -- true
