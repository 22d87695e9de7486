# When the container ends, so does the command, and the runtime can remove the group.
. /lib.sh
for choice in own target; do
  start web
  cnsenter --cgroup=$choice web -- sleep 4713 &
  eventually is_running 'sleep 4713'
  runc kill web KILL
  expect 137 wait "$!"
  is_empty $session
  runc delete --force web
  test ! -e "$group"
done
