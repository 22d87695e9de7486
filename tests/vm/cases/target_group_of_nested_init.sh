# A container that has divided its own group: the leaf is below its init's, where controllers are on.
. /lib.sh
start web
mkdir "$group/init" "$group/other"
echo "$pid" >"$group/init/cgroup.procs"
echo '+pids +memory' >"$group/cgroup.subtree_control"
echo 1 >"$group/pids.max"
expect 0 cnsenter --cgroup=target web -- true
! cnsenter --cgroup=target web -- sh -c 'sleep 0.1 & wait' || exit 1
echo max >"$group/pids.max"
cnsenter --cgroup=target web -- sleep 4707 &
eventually is_running 'sleep 4707'
case $(group_of "$(running 'sleep 4707')") in
  /machine.slice/web/init/cnsenter-*) ;;
  *) exit 1 ;;
esac
kill "$(running 'sleep 4707')"
expect 143 wait $!
is_empty "$group/init"
