# With --cgroup=target a container at its pids.max can still be entered; then its limit holds.
. /lib.sh
start web
echo 1 >"$group/pids.max"
expect 0 cnsenter --cgroup=target web -- true
expect 7 cnsenter --cgroup=target web -- sh -c 'exit 7'
! cnsenter --cgroup=target web -- sh -c 'sleep 0.1 & wait' || exit 1
echo 3 >"$group/pids.max"
expect 0 cnsenter --cgroup=target web -- sh -c 'sleep 0.1 & wait'
