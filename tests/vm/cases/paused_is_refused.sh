# A paused container is refused at once, and nothing is run.
. /lib.sh
start web
runc pause web
for choice in own target; do
  expect 125 timeout 10 cnsenter --cgroup=$choice web -- touch /tmp/ran 2>/tmp/error
  grep -q 'is paused; resume it first' /tmp/error
done
runc resume web
test ! -e "/proc/$pid/root/tmp/ran"
expect 0 cnsenter web -- true
