# At the container's pids.max, when help is needed most, a shell can still start things.
. /lib.sh
start web
echo 1 >"$group/pids.max"
expect 0 cnsenter web -- sh -c 'sleep 0.1 & sleep 0.1 & wait'
# The reference is stopped by the limit.
! runc exec web sh -c 'sleep 0.1 & sleep 0.1 & wait' || exit 1
