# From a container like nodepause's: privileged, among the machine's processes, with its root at
# /host. Groups are found there, limits hold, and KILL ends all that the command started.
. /lib.sh
start web
ctr run -d --null-io --privileged --with-ns pid:/proc/1/ns/pid --with-ns cgroup:/proc/1/ns/cgroup \
  --mount type=bind,src=/,dst=/host,options=rbind:ro docker.io/kpexec/busybox:1 agent sleep 4704
agent=$(running 'sleep 4704')

# from_agent FLAG SCRIPT: cnsenter in the agent's files and group; takes the shell's place.
from_agent() {
  echo 0 >"/sys/fs/cgroup$(group_of "$agent")/cgroup.procs"
  exec /usr/bin/nsenter -t "$agent" -m /host/usr/bin/cnsenter --host-root /host "$1" web -- sh -c "$2"
}

test "$(from_agent --cgroup=own 'id -u' 2>/tmp/said)" = 0
! grep 'cnsenter: warning' /tmp/said || exit 1
# The container sees its own group as the root.
(from_agent --cgroup=target 'cat /proc/self/cgroup') | grep -q '^0::/cnsenter-'
for choice in own target; do
  from_agent --cgroup=$choice '(setsid sleep 4702 &); sleep 4703' &
  eventually is_running 'sleep 4703'
  eventually is_running 'sleep 4702'
  kill -9 "$!"
  eventually is_gone 'sleep 470[23]'
done
eventually is_empty "$group"
