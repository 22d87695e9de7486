#!/bin/sh
# Runs in a virtual machine, after ../../../vm/init.sh: prints "CHOICE HOW CNSENTER NSENTER" with
# the medians in milliseconds.
ctr run -d --null-io docker.io/kpexec/busybox:1 web sleep 1000000 || exit
pid=$(ctr task ls | sed -n 's/^web *\([0-9]*\) .*/\1/p')
for choice in own target; do
  for how in warm cold; do
    case $how in
      warm) often='60 0' ;;
      cold) often='12 1000' ;;
    esac
    medians=$(bench time $often cnsenter --cgroup=$choice web -- true ::: /usr/bin/nsenter -t "$pid" -a true)
    echo "$choice $how $medians"
  done
done
