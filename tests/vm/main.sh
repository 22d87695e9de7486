#!/bin/sh
# Runs every case, each a script in /cases, in a machine of ../init.sh. Prints a line for each:
# "ok NAME", or "not ok NAME" and the end of the script's trace, every line of it after a "#".

# What a case could leave behind.
traces() {
  ps -o args >/tmp/processes
  {
    grep -vE '^\[|^ps |^timeout |/main' /tmp/processes
    find /sys/fs/cgroup -type d
    cut -d' ' -f2 /proc/mounts
    ls /dev/pts
  } | sort
}

# What is on its way out may take a moment.
leaks() {
  for _ in $(seq 30); do
    traces >/tmp/after
    cmp -s /tmp/before /tmp/after && return 1
    sleep 0.1
  done
  echo "left behind (+) or lost (-):"
  sort /tmp/before /tmp/after | uniq -u | while read -r line; do
    grep -qxF -- "$line" /tmp/after && echo "+ $line" || echo "- $line"
  done
}

report() {
  if [ "$1" = 0 ] && ! leaks >>/tmp/trace; then
    echo "ok $name"
  else
    echo "not ok $name"
    tail -n 40 /tmp/trace | sed 's/^/# /'
  fi
}

for script in /cases/*.sh; do
  name=$(basename "$script" .sh)
  traces >/tmp/before
  timeout 40 sh -eux "$script" >/tmp/trace 2>&1
  code=$?
  [ $code = 0 ] || echo "the case ended with $code" >>/tmp/trace
  . /lib.sh
  remove_all
  report $code
done
