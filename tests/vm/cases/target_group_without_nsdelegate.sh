# The same where cgroup namespaces are no boundaries.
. /lib.sh
start web
# The options of the last mount hold for all.
remount() { mount -t cgroup2 "$@" cgroup2 /mnt && umount /mnt; }
mkdir -p /mnt
remount
trap 'remount -o nsdelegate' EXIT
! grep -q nsdelegate /proc/mounts || exit 1
for choice in own target; do
  expect 3 cnsenter --cgroup=$choice web -- sh -c 'sleep 0.1 & wait; exit 3'
done
