#!/bin/sh
# Runs in a machine before ../init.sh has left the initramfs, where runtimes have to do without
# pivot_root, and prints what main.sh prints.
name=no_pivot_on_the_initramfs
insmod /lib/overlay.ko
sh -eux >/tmp/trace 2>&1 <<'CASE'
. /lib.sh
mkdir -p /var/lib/bundles/early
cp -a /img/rootfs /var/lib/bundles/early/
sed "s|GROUP|/early|; s|PROFILE||" /img/plain.json >/var/lib/bundles/early/config.json
echo container >/var/lib/bundles/early/rootfs/where
echo machine >/where
runc run --no-pivot --detach --pid-file /tmp/pid --bundle /var/lib/bundles/early early </dev/null >/tmp/runc.log 2>&1
test "$(cnsenter early -- cat /where)" = container
test "$(cnsenter --cgroup=target early -- cat /where)" = container
test "$(cnsenter early -- sh -c 'cd ../../../..; cat where; pwd' | tr '\n' ' ')" = 'container / '
test "$(cnsenter -u app early -- id -u)" = 1000
CASE
code=$?
cat /tmp/runc.log >>/tmp/trace
runc delete --force early
rmmod overlay
if [ $code = 0 ]; then
  echo "ok $name"
else
  echo "not ok $name"
  tail -n 40 /tmp/trace | sed 's/^/# /'
fi
