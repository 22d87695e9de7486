#!/bin/bash
# What cnsenter is for, on a container of its own: `make demo-node`, as root on Debian or Ubuntu.
#
# The container and its containerd live in mount, PID, network, IPC and UTS namespaces with a
# /run in memory, so that nothing of this machine is touched and nothing is left behind; only
# packages that were missing stay installed, and the build in the cache. Fails if any step does
# not behave as it is told here.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${KPEXEC_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kpexec}
export KPEXEC_CACHE=$cache CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
policy=/usr/sbin/policy-rc.d

say() { printf 'demo: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# ---- what it needs ----------------------------------------------------------------------------

missing_packages() {
  local command package
  while read -r command package; do
    command -v "$command" >/dev/null || echo "$package"
  done <<'END'
cc gcc
ar binutils
make make
musl-gcc musl-tools
protoc protobuf-compiler
containerd containerd
ctr containerd
runc runc
ip iproute2
unshare util-linux
END
  # Only a static one runs in a container that holds nothing else; ldd refuses those.
  if ! command -v busybox >/dev/null || ldd "$(command -v busybox)" >/dev/null 2>&1; then
    echo busybox-static
  fi
}

install_missing() {
  local packages
  mapfile -t packages < <(missing_packages | sort -u)
  command -v cargo >/dev/null || packages+=(ca-certificates curl)
  [ ${#packages[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || die "this needs Debian or Ubuntu; missing here: ${packages[*]}"
  say "installing: ${packages[*]}"
  # Maintainer scripts must not start daemons: the demo starts its own, elsewhere.
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
    made_policy=yes
  fi
  apt-get update -q >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${packages[@]}" >&2
}

# Rust comes from rustup, which then installs what rust-toolchain.toml names; in the cache, if this
# machine has none.
find_cargo() {
  PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
  command -v cargo >/dev/null && return
  export RUSTUP_HOME=$cache/rustup CARGO_HOME=$cache/cargo
  PATH=$PATH:$CARGO_HOME/bin
  command -v cargo >/dev/null && return
  say "installing rustup into $cache"
  curl --proto '=https' -fsS https://sh.rustup.rs |
    sh -s -- -q -y --no-modify-path --profile minimal --default-toolchain none >&2
}

# ---- around the demo: namespaces and a cgroup of its own ----------------------------------------

# The cgroup hierarchies that matter: v2's (alone, or beside v1) and v1's freezer.
hierarchies() {
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    echo /sys/fs/cgroup
  else
    ls -d /sys/fs/cgroup/unified /sys/fs/cgroup/freezer 2>/dev/null || true
  fi
}

make_cgroups() {
  local hierarchy
  for hierarchy in $(hierarchies); do
    mkdir -p "$hierarchy$cgroup/story"
  done
  # On v2 runc turns controllers on from the root down; remembered, to be turned off again.
  controllers=$(cat /sys/fs/cgroup/cgroup.subtree_control 2>/dev/null || true)
}

# On v1 runc makes the group in every hierarchy.
remove_groups() {
  local left
  for _ in $(seq 100); do
    left=$(find /sys/fs/cgroup -depth -type d \( -path "*$1" -o -path "*$1/*" \) 2>/dev/null) || true
    [ -n "$left" ] || return 0
    xargs rmdir 2>/dev/null <<<"$left" || sleep 0.1
  done
  say "could not remove $left"
}

remove_cgroups() {
  local controller
  remove_groups "$cgroup"
  for controller in $(cat /sys/fs/cgroup/cgroup.subtree_control 2>/dev/null || true); do
    [[ " $controllers " == *" $controller "* ]] ||
      echo "-$controller" >/sys/fs/cgroup/cgroup.subtree_control || true
  done
}

# What a demo that was killed left: its groups, since its processes and mounts died with it.
remove_stale_cgroups() {
  local group
  for group in $(find /sys/fs/cgroup -maxdepth 2 -type d -name 'kpexec-demo-*' -printf '/%f\n' | sort -u); do
    [ -e "/proc/${group##*-}" ] || remove_groups "$group"
  done
}

clean_up() {
  trap '' INT TERM HUP
  [ -z "$story" ] || { kill -KILL "$story" && wait "$story"; } 2>/dev/null || true
  [ -z "$cgroup" ] || remove_cgroups
  [ -z "$made_policy" ] || rm -f $policy
}

stage() {
  [ "$(id -u)" = 0 ] || die "run this as root: it makes namespaces and a container"
  story='' cgroup='' made_policy=''
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  trap 'exit 129' HUP

  install_missing
  find_cargo
  say "building cnsenter (the first time takes minutes)"
  make -s -C "$here/.." build

  remove_stale_cgroups
  cgroup=/kpexec-demo-$$
  make_cgroups
  # KILL, since a PID namespace's init ignores the rest; and it dies with us in any case.
  setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --mount-proc --net --ipc --uts \
    bash "${BASH_SOURCE[0]}" --story "$cgroup" &
  story=$!
  local code=0
  wait $story || code=$?
  story=''
  exit $code
}

# ---- the demo's own containerd and container ----------------------------------------------------

runtime=/run/demo
image=docker.io/kpexec/demo:1
capabilities=(CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP
  NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE)

start_containerd() {
  mount -t tmpfs -o mode=755 tmpfs /run
  mkdir -p $runtime/root $runtime/tmp
  # runc's temporary files as well, of which one that is killed leaves some.
  export TMPDIR=$runtime/tmp
  unset XDG_RUNTIME_DIR
  cat >$runtime/containerd.toml <<END
version = 2
root = "$runtime/root"
state = "/run/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"]
[plugins."io.containerd.internal.v1.opt"]
  path = "$runtime/opt"
END
  containerd -c $runtime/containerd.toml >$runtime/containerd.log 2>&1 &
  for _ in $(seq 100); do
    ctr version >/dev/null 2>&1 && return
    sleep 0.1
  done
  tail -5 $runtime/containerd.log >&2
  die "containerd did not start"
}

# Adds a file to the image as a blob; its descriptor in $descriptor.
blob() {
  local type=$1 file=$2 sum
  sum=$(sha256sum <"$file" | cut -d ' ' -f 1)
  cp "$file" "$runtime/image/blobs/sha256/$sum"
  descriptor="\"mediaType\":\"application/vnd.oci.image.$type\",\"digest\":\"sha256:$sum\",\"size\":$(stat -c %s "$file")"
}

# An OCI image layout: busybox, and a user that the image says it runs as.
make_image() {
  local root=$runtime/rootfs made=$runtime/made sum layer config
  mkdir -p $root/{bin,dev,etc,mnt,proc,root,run,sys,tmp} $runtime/image/blobs/sha256
  cp "$(command -v busybox)" $root/bin/busybox
  chroot $root /bin/busybox --install -s /bin
  echo 'root:x:0:0:root:/root:/bin/sh' >$root/etc/passwd
  echo 'app:x:1000:1000:app:/tmp:/bin/sh' >>$root/etc/passwd
  echo 'app:x:1000:' >$root/etc/group

  tar -C $root -cf $made .
  sum=$(sha256sum <$made | cut -d ' ' -f 1)
  blob layer.v1.tar $made
  layer=$descriptor
  cat >$made <<END
{"architecture":"$(dpkg --print-architecture)","os":"linux",
 "config":{"User":"app","Env":["PATH=/bin"],"Cmd":["sleep","infinity"]},
 "rootfs":{"type":"layers","diff_ids":["sha256:$sum"]}}
END
  blob config.v1+json $made
  config=$descriptor
  echo "{\"schemaVersion\":2,\"config\":{$config},\"layers\":[{$layer}]}" >$made
  blob manifest.v1+json $made
  echo "{\"schemaVersion\":2,\"manifests\":[{$descriptor,\"annotations\":{\"io.containerd.image.name\":\"$image\"}}]}" \
    >$runtime/image/index.json
  echo '{"imageLayoutVersion":"1.0.0"}' >$runtime/image/oci-layout
  tar -C $runtime/image -cf $made .
  ctr images import --snapshotter native $made >/dev/null
}

start_container() {
  local drop=()
  for capability in "${capabilities[@]}"; do
    drop+=(--cap-drop "CAP_$capability")
  done
  # The labels are those that a pod's containers have.
  ctr run --detach --snapshotter native --read-only "${drop[@]}" --seccomp \
    --cgroup "$1/container" --label io.kubernetes.pod.namespace=shop \
    --label io.kubernetes.pod.name=web-0 --label io.kubernetes.container.name=app $image web
}

# ---- the story ------------------------------------------------------------------------------------

bold='' plain=''
if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m'; fi

tell() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }

quoted() {
  local word
  for word in "$@"; do
    if [[ $word == *[!A-Za-z0-9/=.:_-]* ]]; then word="'$word'"; fi
    printf ' %s' "$word"
  done
}

# Shows a command as one would type it, and what it prints; its exit code in $code, output in $out.
show() {
  code=0
  printf '  $%s\n' "$(quoted "$@")"
  out=$("$@" 2>&1) || code=$?
  [ -z "$out" ] || sed 's/^/    /' <<<"$out"
}

wrong() { printf '\ndemo: this is not what should have happened (exit code %s)\n' "$code" >&2; exit 1; }
works() { show "$@"; [ "$code" = 0 ] || wrong; }
fails() { show "$@"; [ "$code" != 0 ] || wrong; printf '    -> failed, exit code %s\n' "$code"; }
says() { grep -Eq "$1" <<<"$out" || wrong; }

exec_number=0
ordinary() {
  local verdict=$1
  shift
  exec_number=$((exec_number + 1))
  $verdict ctr task exec --exec-id "e$exec_number" web "$@"
}

story() {
  # shellcheck disable=SC2046 # a word each
  for hierarchy in $(hierarchies); do
    echo $$ >"$hierarchy$1/story/cgroup.procs"
  done
  PATH=$CARGO_TARGET_DIR/x86_64-unknown-linux-musl/release:$PATH
  hostname demo-node
  start_containerd
  make_image
  start_container "$1"

  tell "1. A locked-down container: uid 1000, no capability, a seccomp filter, a read-only root."
  ordinary works sh -c 'id -u; grep -E "CapBnd|NoNewPrivs|Seccomp:" /proc/self/status; touch /x; true'
  says '^1000$'; says 'CapBnd:.0000000000000000'; says 'NoNewPrivs:.1'; says 'Seccomp:.2'
  says 'Read-only file system'

  tell "2. An ordinary exec may do no more than that, so nothing a debugger needs works:"
  ordinary fails ip link add debug0 type veth
  ordinary fails ping -c 1 127.0.0.1
  ordinary fails mount -t tmpfs none /mnt

  tell "3. cnsenter knows every container of this node, whichever runtime started it ..."
  works cnsenter ls
  says 'shop/web-0'

  tell "4. ... and enters it by its pod, its ID or its name, with full privileges:"
  works cnsenter shop/web-0/app -- ip link add debug0 type veth
  works cnsenter shop/web-0/app -- ip link show debug0
  works cnsenter shop/web-0/app -- ping -c 1 127.0.0.1
  works cnsenter shop/web-0/app -- mount -t tmpfs none /mnt
  works cnsenter shop/web-0/app -- sh -c 'id -u; grep -E "CapEff|NoNewPrivs|Seccomp:" /proc/self/status'
  says '^0$'; says 'NoNewPrivs:.0'; says 'Seccomp:.0'

  tell "5. What the container has not installed comes from the node: its ip, in the container's network."
  works cnsenter --no-mount shop/web-0/app -- ip -brief link
  says '^debug0'

  tell "6. Or as the application's own user, by name, and with the command's own exit code:"
  works cnsenter -u app shop/web-0/app -- id
  says 'uid=1000'
  fails cnsenter shop/web-0/app -- sh -c 'exit 42'
  [ "$code" = 42 ] || wrong

  tell "7. The application noticed nothing: it still runs, with the rights it always had."
  ordinary works grep -E 'Name|Uid|CapEff|NoNewPrivs|Seccomp:' /proc/1/status
  says 'Name:.sleep'; says 'CapEff:.0000000000000000'; says 'Seccomp:.2'

  tell "All of it as told. The container, its containerd and their namespaces go now."
}

case ${1:-} in
--story) story "$2" ;;
'') stage ;;
*) die "it takes no arguments" ;;
esac
