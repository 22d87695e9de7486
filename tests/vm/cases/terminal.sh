# A terminal that the container knows.
. /lib.sh
for kind in plain userns; do
  start $kind $kind
  for choice in own target; do
    script -qec "cnsenter --cgroup=$choice -it $kind -- sh -c 'tty; exit 5'" /dev/null </dev/null >/tmp/screen || test $? = 5
    grep -q '/dev/pts/0' /tmp/screen
  done
done
