#!/bin/bash
# Fuzzes every target for a while: run.sh SECONDS [TARGET...]
#
# libFuzzer on the pinned toolchain: the compiler's own coverage pass is all that it needs, and
# safe Rust needs no address sanitizer, so there is neither a nightly compiler nor cargo-fuzz.
# What is found on the way is kept in the cache; a seed of each kind is in seeds/.
set -euo pipefail

seconds=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
cache=${KPEXEC_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kpexec}/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')

coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
coverage+=" -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
coverage+=" -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"

cd "$here"
# The versions that the product is built with; libfuzzer-sys is added.
cp ../../Cargo.lock .
# --target keeps the flags away from build scripts and macros.
RUSTFLAGS="$coverage --cfg fuzzing" CARGO_TARGET_DIR=$cache/build \
  cargo build --quiet --release --target "$host"

[ $# -gt 0 ] || set -- $(sed -n 's/^name = "\(.*\)"/\1/p' Cargo.toml | tail -n +2)
failed=()
for target; do
  mkdir -p "$cache/corpus/$target"
  printf '%s: ' "$target"
  if "$cache/build/$host/release/$target" "$cache/corpus/$target" "seeds/$target" \
    -max_total_time="$seconds" -max_len=16384 -timeout=5 -rss_limit_mb=1024 \
    -artifact_prefix="$cache/$target-" -print_final_stats=1 >"$cache/$target.log" 2>&1; then
    sed -n 's/^stat::number_of_executed_units: */ok, inputs tried: /p' "$cache/$target.log"
  else
    failed+=("$target")
    printf 'FAILED\n'
    tail -n 30 "$cache/$target.log"
  fi
done
[ ${#failed[@]} = 0 ] || { echo "inputs that fail: $cache/TARGET-*: ${failed[*]}" >&2; exit 1; }
