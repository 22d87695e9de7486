# A bound on the command's memory is the command's alone, from the admin's session as well.
. /lib.sh
start web
expect 137 cnsenter --memory=24M web -- dd if=/dev/zero of=/dev/null bs=64M count=1 2>/tmp/told
grep -q -- '--memory was exceeded' /tmp/told
cnsenter --memory=128M web -- dd if=/dev/zero of=/dev/null bs=64M count=1
cnsenter --memory=24M web -- sleep 4731 &
eventually is_running 'sleep 4731'
inner=$(running 'sleep 4731')
case $(group_of "$inner") in
  /user.slice/user-0.slice/cnsenter-*) ;;
  *) exit 1 ;;
esac
test "$(cat "/sys/fs/cgroup$(group_of "$inner")/memory.max")" = $((24 << 20))
kill -9 $!
eventually is_gone 'sleep 4731'
eventually is_empty /sys/fs/cgroup/user.slice/user-0.slice
test -d "/proc/$pid"
