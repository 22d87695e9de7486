# So is one whose pod is frozen, not itself.
. /lib.sh
start web
echo 1 >/sys/fs/cgroup/machine.slice/cgroup.freeze
trap 'echo 0 >/sys/fs/cgroup/machine.slice/cgroup.freeze' EXIT
eventually grep -q 'frozen 1' "$group/cgroup.events"
expect 125 timeout 10 cnsenter web -- touch /tmp/ran 2>/tmp/error
grep -q 'is paused; resume it first' /tmp/error
