#!/bin/busybox sh
# PID 1 of a virtual machine. It starts on the initramfs, which pivot_root refuses as a root: there
# it runs /early, if a test has put it there. Then it moves to a tmpfs, has the cgroups of a machine
# with systemd, starts containerd and runs /main. What both print goes to the second serial port.
# Busybox' shell takes its own commands first: name others of the same name by their path.
export PATH=/usr/bin:/bin:/usr/sbin:/sbin HOME=/root TERM=xterm

mount_all() {
  mkdir -p /proc /sys /dev /run /tmp /root /var/lib
  mount -t proc proc /proc
  mount -t sysfs sysfs /sys
  mount -t devtmpfs dev /dev
  mkdir -p /dev/pts /dev/shm /dev/mqueue
  mount -t devpts -o ptmxmode=666,mode=620,gid=5 devpts /dev/pts
  mount -t tmpfs -o mode=755 run /run
  mount -t tmpfs tmp /tmp
  mount -t tmpfs -o mode=755 var /var/lib
  mount -t securityfs securityfs /sys/kernel/security
  mount -t cgroup2 -o nsdelegate cgroup2 /sys/fs/cgroup
  ln -sf /proc/self/fd /dev/fd
}

busybox stty -F /dev/ttyS1 raw 2>/dev/null
if [ "$1" != second ]; then
  mount_all
  stty -F /dev/ttyS1 raw
  [ ! -x /early ] || /early </dev/null >/dev/ttyS1 2>&1
  umount -l /var/lib /tmp /run /dev /sys /proc
  mkdir /newroot
  mount -t tmpfs -o size=80%,mode=755 root /newroot
  for each in /*; do
    case $each in
      /newroot | /proc | /sys | /dev | /run | /tmp) ;;
      *) cp -a "$each" /newroot/ ;;
    esac
  done
  mkdir -p /newroot/proc /newroot/sys /newroot/dev /newroot/run /newroot/tmp
  exec switch_root /newroot /init second
fi

mount_all
mount --make-rshared /
ip link set lo up
insmod /lib/overlay.ko

# As systemd lays them out: processes at the leaves only, controllers on all the way down.
cd /sys/fs/cgroup
mkdir -p init.scope system.slice/containerd.service user.slice/user-0.slice/session-1.scope machine.slice default
echo $$ >init.scope/cgroup.procs
for group in . system.slice user.slice user.slice/user-0.slice machine.slice default; do
  echo "+cpu +memory +pids" >$group/cgroup.subtree_control
done
cd /

sh -c 'echo $$ >/sys/fs/cgroup/system.slice/containerd.service/cgroup.procs
  exec containerd >/tmp/containerd.log 2>&1' &
until ctr version >/dev/null 2>&1; do sleep 0.2; done
ctr image import /img/busybox.tar >/dev/null

sh -c 'echo $$ >/sys/fs/cgroup/user.slice/user-0.slice/session-1.scope/cgroup.procs
  exec /main' </dev/null >/dev/ttyS1 2>&1
echo "machine: done" >/dev/ttyS1
sync
poweroff -f
