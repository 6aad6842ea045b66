#!/bin/sh
# Fuzzes every decoder of the addon under ASan and UBSan: native/fuzz/run.sh [SECONDS]
# With clang it is libFuzzer; without, a plain generator of random inputs (native/fuzz/random.cc) drives the same target.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
common="-std=c++20 -g -O1 -D_GNU_SOURCE -fsanitize=address,undefined -fno-sanitize-recover=all -I. fuzz/decode.cc nl/*.cc ops/*.cc"
clang=$(command -v clang++ || command -v clang++-16 || command -v clang++-14 || true)
if [ -n "$clang" ]; then
  # shellcheck disable=SC2086
  "$clang" $common -fsanitize=fuzzer -o "$out/fuzz" -ldl -lpthread
  mkdir "$out/corpus"
  "$out/fuzz" -max_total_time="$seconds" -max_len=4096 -artifact_prefix="${TMPDIR:-/tmp}/" "$out/corpus"
else
  # shellcheck disable=SC2086
  g++ $common fuzz/random.cc -o "$out/fuzz" -ldl -lpthread
  "$out/fuzz" "$seconds"
fi
