# A container that is paused while a command runs: the session can be killed, wherever the command is.
. /lib.sh
start web
for choice in own target; do
  cnsenter --cgroup=$choice web -- sh -c '(setsid sleep 4710 &); sleep 4711' &
  eventually is_running 'sleep 4711'
  eventually is_running 'sleep 4710'
  runc pause web
  kill -9 "$!"
  eventually is_gone 'sleep 471[01]'
  eventually is_empty "$group"
  eventually is_empty $session
  runc resume web
done
# In a group of its own it is not paused either.
cnsenter web -- sleep 4712 &
eventually is_running 'sleep 4712'
runc pause web
kill -TERM "$!"
expect 143 wait "$!"
runc resume web
