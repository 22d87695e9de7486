#!/bin/bash
# Puts everything that the tests need on this machine: Debian packages through apt, and the
# newer runtimes and Kubernetes from their Go modules into the cache. A second run only looks, and
# is quick.
#
#   tests/setup.sh            install what is missing
#   tests/setup.sh --check    install nothing; say what is missing and fail
#   tests/setup.sh --clients  install what tests/clients.sh needs besides
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache=${KPEXEC_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kpexec}
go_needed=1.26

packages=(
  # to build
  gcc g++ libc6-dev make musl-tools pkg-config protobuf-compiler libseccomp-dev
  # runtimes, as Debian ships them
  containerd runc crun docker.io podman conmon containernetworking-plugins
  # what pushes images
  skopeo
  # where Kubernetes keeps its objects
  etcd-server
  # what containers and nodes are made of
  busybox-static iproute2 util-linux uidmap slirp4netns fuse-overlayfs
  # what tests and benchmarks look with
  tmux hyperfine strace
  # a proxy before the API server
  nginx openssl
  # shells that complete, and that people log in to
  zsh fish dash
  # nodes that are reached by SSH, and what makes root there
  openssh-server openssh-client sudo opendoas
  # the virtual machine: another kernel, cgroup v2, AppArmor
  qemu-system-x86 apparmor cpio xz-utils binutils
)

# what Windows programs are made with, and run by; what brings zig
client_packages=(gcc-mingw-w64-x86-64 wine64 python3-venv)
zig_packages=(ziglang==0.17.1 cargo-zigbuild==0.24.0)

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

missing_packages() {
  local installed
  # dpkg-query fails if it knows one of them not at all.
  installed=" $({ dpkg-query -W -f='${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null || true; } |
    sed -n 's/^installed //p' | tr '\n' ' ')"
  for package in "${packages[@]}"; do
    [[ $installed == *" $package "* ]] || echo "$package"
  done
}

# Maintainer scripts must not start daemons: the tests start their own, in their own nodes.
install_packages() {
  local policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
    trap "rm -f $policy" EXIT
  fi
  say "installing: $*"
  apt-get update -q >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" >&2
}

# True if version $1 is at least $2.
at_least() { printf '%s\n%s\n' "$2" "$1" | sort -C -V; }

require_toolchains() {
  command -v cargo >/dev/null ||
    die "cargo is missing; install rustup (apt-get install rustup, or https://rustup.rs) and open a new shell"
  local found
  found=$(go env GOVERSION 2>/dev/null | sed 's/^go//') || true
  at_least "${found:-0}" $go_needed ||
    die "Go $go_needed or newer is needed, found ${found:-none}; unpack https://go.dev/dl to /usr/local/go and put /usr/local/go/bin on PATH"
}

# rustup brings what rust-toolchain.toml names with a new toolchain, but not to one that is there.
add_rust_targets() {
  local target targets=()
  for target in $(sed -n 's/^targets = \[\(.*\)\]/\1/p' "$here/../rust-toolchain.toml" | tr -d '",'); do
    [ -d "$(rustc --print target-libdir --target "$target")" ] || targets+=("$target")
  done
  [ ${#targets[@]} -gt 0 ] || return 0
  [ -z "$check" ] || { absent+=("${targets[@]}"); return; }
  command -v rustup >/dev/null || die "this Rust has no ${targets[*]}; install rustup (https://rustup.rs)"
  say "adding to Rust: ${targets[*]}"
  rustup target add "${targets[@]}"
}

# version MODULE PART: the version that PART's go.mod pins; there, and nowhere else.
version() { sed -n "s|^\(require\)\?[[:space:]]*$1 v\([^ ]*\).*|\2|p" "$here/parts/$2/go.mod"; }

# build PART VERSION TAGS CGO: all the commands that PART's go.mod names, into the cache.
build() {
  local part=$1 version=$2 tags=$3 cgo=$4
  local bin=$cache/bin/$part-$version
  [ -e "$bin/.complete" ] && return
  [ -z "$check" ] || { absent+=("$part $version"); return; }
  say "building $part $version (some minutes, once)"
  rm -rf "$bin"
  mkdir -p "$bin"
  (cd "$here/parts/$part" &&
    GOBIN=$bin CGO_ENABLED=$cgo GOFLAGS=-buildvcs=false \
      nice go install -trimpath -tags "$tags" -ldflags "-s -w ${5:-}" tool)
  touch "$bin/.complete"
}

# Kubernetes' parts refuse each other, and clients warn, if they do not know their own version.
kubernetes_flags() {
  local minor=${1#*.}
  local component
  for component in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    printf -- '-X %s.gitVersion=v%s ' $component "$1"
    printf -- '-X %s.gitMajor=%s -X %s.gitMinor=%s ' $component "${1%%.*}" $component "${minor%%.*}"
  done
}

# kernel SERIES PACKAGE: the newest kernel that PACKAGE depends on, unpacked (not installed) into the
# cache: its image, and the one module that containers need.
kernel() {
  local series=$1 meta=$2
  local folder=$cache/kernels/$series
  [ -e "$folder/.complete" ] && return
  [ -z "$check" ] || { absent+=("kernel $series"); return; }
  local image
  image=$(kernel_package "$meta")
  [ -n "$image" ] || { apt-get update -q >&2; image=$(kernel_package "$meta"); }
  [ -n "$image" ] || die "apt has no $meta; add the security archive of Debian 12 (bookworm-security)"
  say "unpacking $image"
  rm -rf "$folder"
  mkdir -p "$folder/deb"
  (cd "$folder/deb" && apt-get download -q -o APT::Sandbox::User=root "$image" >&2 &&
    dpkg-deb --fsys-tarfile ./*.deb |
      tar -x --wildcards './boot/vmlinuz-*' '*/overlayfs/overlay.ko*')
  find "$folder/deb" -name '*.xz' -exec xz -d {} +
  find "$folder/deb" -name 'vmlinuz-*' -exec mv {} "$folder/vmlinuz" \;
  find "$folder/deb" -name overlay.ko -exec mv {} "$folder/" \;
  rm -rf "$folder/deb"
  [ -e "$folder/vmlinuz" ] && [ -e "$folder/overlay.ko" ] || die "$image is not as expected"
  touch "$folder/.complete"
}

kernel_package() { apt-cache depends "$1" 2>/dev/null | sed -n 's/.*Depends: \(linux-image-[^ ]*\).*/\1/p' | head -1; }

# A compiler for macOS that brings its headers, in a folder of its own.
install_zig() {
  local folder=$cache/zig
  [ -e "$folder/.complete" ] && return
  say "installing ${zig_packages[*]}"
  rm -rf "$folder"
  python3 -m venv "$folder"
  "$folder/bin/pip" install --quiet "${zig_packages[@]}"
  touch "$folder/.complete"
}

[ "$(id -u)" = 0 ] || die "run this as root: the tests make namespaces, cgroups and mounts"
command -v apt-get >/dev/null || die "this needs Debian 12 or Ubuntu (apt-get is missing)"

check=
absent=()
[ "${1:-}" != --check ] || check=yes
[ "${1:-}" != --clients ] || packages+=("${client_packages[@]}")

mapfile -t missing < <(missing_packages)
if [ ${#missing[@]} -gt 0 ]; then
  if [ -n "$check" ]; then absent+=("${missing[@]}"); else install_packages "${missing[@]}"; fi
fi
require_toolchains
add_rust_targets

containerd=github.com/containerd/containerd/v2
containerd_version=$(version $containerd containerd)
build containerd "$containerd_version" "no_btrfs no_devmapper no_zfs" 0 \
  "-X $containerd/version.Version=v$containerd_version"
runc_version=$(version github.com/opencontainers/runc runc)
build runc "$runc_version" seccomp 1 "-X main.version=$runc_version"
kubernetes_version=$(version k8s.io/kubernetes kubernetes)
build kubernetes "$kubernetes_version" "" 0 "$(kubernetes_flags "$kubernetes_version")"
if [ "${1:-}" = --clients ]; then
  install_zig
  rustup target add x86_64-pc-windows-gnu aarch64-apple-darwin
fi
kernel 6.1 linux-image-cloud-amd64
kernel 6.12 linux-image-6.12-cloud-amd64

[ ${#absent[@]} = 0 ] || die "missing: ${absent[*]}; run \"make setup\""
