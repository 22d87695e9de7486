# What the cases share.

# start NAME [KIND [PROFILE]]: runs a container of /img/KIND.json by runc, with a cgroup of its own
# as a runtime under systemd has it. Sets $pid, its init, and $group, its cgroup.
start() {
  bundle=/var/lib/bundles/$1
  rm -rf "$bundle"
  mkdir -p "$bundle"
  cp -a /img/rootfs "$bundle/"
  [ "${2:-}" != userns ] || chown -R 200000:200000 "$bundle/rootfs"
  sed "s|GROUP|/machine.slice/$1|; s|PROFILE|${3:-}|" "/img/${2:-plain}.json" >"$bundle/config.json"
  runc run --detach --pid-file /tmp/pid --bundle "$bundle" "$1" </dev/null >/tmp/runc.log 2>&1 || {
    cat /tmp/runc.log
    return 1
  }
  pid=$(cat /tmp/pid)
  group=/sys/fs/cgroup/machine.slice/$1
}

# Everything that a case may have started.
remove_all() {
  for each in $(ls /run/runc); do runc delete --force "$each"; done
  for each in $(ls /run/containerd/io.containerd.runtime.v2.task/default); do
    ctr task rm -f "$each"
    ctr container rm "$each"
  done
  for each in $(running 'sleep [0-9]*'); do kill -9 "$each"; done
  rm -rf /var/lib/bundles
} >/dev/null 2>&1

# expect CODE COMMAND...: the command's exit code is this one.
expect() {
  want=$1 got=0
  shift
  "$@" || got=$?
  test "$got" = "$want"
}

# eventually COMMAND...: the command succeeds within some seconds.
eventually() {
  set +x
  tries=50
  until "$@"; do
    tries=$((tries - 1))
    if [ $tries = 0 ]; then
      ps -o pid,ppid,args | grep -v '\['
      set -x
      return 1
    fi
    sleep 0.05
  done
  set -x
}

# running PATTERN: the process IDs of what was started with these words (grep's, the whole line).
# Busybox puts a name in braces before the words of a process whose name is not the first word.
running() { ps -o pid,args | sed -n "s/^ *\([0-9][0-9]*\) \({[a-z]*} \)\{0,1\}$1\$/\1/p"; }

is_running() { test -n "$(running "$1")"; }
is_gone() { test -z "$(running "$1")"; }
is_empty() { test -z "$(ls -d "$1"/cnsenter-* 2>/dev/null)"; }

# The cgroup of a process, as the machine sees it.
group_of() { sed 's/^0:://' "/proc/$1/cgroup"; }

# Loads an AppArmor profile from standard input.
profile() { apparmor_parser --replace --skip-cache; }

# The group of the admin's session: where cases are run, and cnsenter with them.
session=/sys/fs/cgroup/user.slice/user-0.slice/session-1.scope
