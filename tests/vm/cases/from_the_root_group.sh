# cnsenter itself may be in the root group, as on machines without systemd.
. /lib.sh
start web
echo $$ >/sys/fs/cgroup/cgroup.procs
for choice in own target; do
  expect 3 cnsenter --cgroup=$choice web -- sh -c 'sleep 0.1 & wait; exit 3'
done
cnsenter web -- sh -c '(setsid sleep 4708 &); sleep 4709' &
eventually is_running 'sleep 4708'
kill -9 "$!"
eventually is_gone 'sleep 470[89]'
