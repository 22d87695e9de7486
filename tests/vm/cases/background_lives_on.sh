# What the command left in the background lives on after its normal end; its group does not.
. /lib.sh
start web
for choice in own target; do
  cnsenter --cgroup=$choice web -- sh -c 'setsid sleep 4704 >/dev/null 2>&1 &'
  is_running 'sleep 4704'
  is_empty "$group"
  is_empty $session
  kill "$(running 'sleep 4704')"
done
cnsenter --kill-on-exit web -- sh -c 'setsid sleep 4705 >/dev/null 2>&1 &'
eventually is_gone 'sleep 4705'
