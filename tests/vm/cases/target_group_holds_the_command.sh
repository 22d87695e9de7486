# With --cgroup=target the command is in a leaf of the container's group, and the admin is warned.
. /lib.sh
start web
cnsenter --cgroup=target web -- sleep 4706 2>/tmp/warning &
eventually is_running 'sleep 4706'
inner=$(running 'sleep 4706')
case $(group_of "$inner") in
  /machine.slice/web/cnsenter-*) ;;
  *) exit 1 ;;
esac
is_empty $session
grep -q 'its limits hold for the command too' /tmp/warning
kill "$inner"
expect 143 wait $!
is_empty "$group"
