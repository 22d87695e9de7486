#!/bin/bash
# kpexec as users of other systems run it: its tests as Windows programs, under Wine; the program
# itself, under Wine, on a real cluster; and whether it compiles for macOS. As root.
set -euo pipefail

cache=${KPEXEC_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kpexec}
wine=/usr/lib/wine/wine64
windows=x86_64-pc-windows-gnu
mac=aarch64-apple-darwin

cd "$(dirname "$0")/.."
tests/setup.sh --clients
target=${CARGO_TARGET_DIR:-$PWD/target}
say() { printf 'clients: %s\n' "$*" >&2; }

export WINEPREFIX=$cache/wine WINEDEBUG=-all
export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER=$wine

# Wine gets the one library that Debian's lacks and Rust's programs need.
library=$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll
if [ ! -e "$library" ]; then
  say "preparing Wine"
  $wine wineboot --init >/dev/null 2>&1
  x86_64-w64-mingw32-gcc -shared -O1 -Wall -Werror -o "$library" \
    tests/programs/bcryptprimitives.c -ladvapi32
fi

say "Windows: clippy and unit tests"
cargo clippy --quiet --target $windows -p kpexec --all-targets -- -D warnings
cargo test --quiet --target $windows -p kpexec -p cnsenter-protocol

say "Windows: kpexec.exe on a cluster"
cargo build --quiet --target $windows -p kpexec
# The tests start what KPEXEC names, with an environment of their own.
export KPEXEC=$WINEPREFIX/kpexec
cat >"$KPEXEC" <<EOF
#!/bin/sh
export WINEPREFIX=$WINEPREFIX WINEDEBUG=-all
exec $wine $target/$windows/debug/kpexec.exe "\$@"
EOF
chmod 755 "$KPEXEC"
# Those that need no terminal: Wine has none here.
cargo test --quiet -p kpexec-tests --test kpexec -- \
  a_locked_down every_byte nothing_outlives objects_lead output_and_exit

say "macOS: does it compile"
PATH="$cache/zig/bin:$PATH" cargo-zigbuild check --quiet --target $mac -p kpexec --all-targets
