# KILL of cnsenter ends what the command started, daemons that forked twice included.
. /lib.sh
start web
script='(setsid sleep 4702 &); sleep 4703'
/usr/bin/nsenter -t "$pid" -a sh -c "$script" &
eventually is_running 'sleep 4703'
eventually is_running 'sleep 4702'
kill -9 "$!"
# The reference leaves both behind.
sleep 1
is_running 'sleep 4702'
kill $(running 'sleep 470[23]')
eventually is_gone 'sleep 470[23]'

for choice in own target; do
  cnsenter --cgroup=$choice web -- sh -c "$script" &
  eventually is_running 'sleep 4703'
  eventually is_running 'sleep 4702'
  kill -9 "$!"
  eventually is_gone 'sleep 470[23]'
  eventually is_empty "$group"
  eventually is_empty $session
done
