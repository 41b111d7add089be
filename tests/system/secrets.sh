#!/usr/bin/env bash
# After a thousand handshakes and calls the node's private key is in the memory of control and not in that of the data plane; once with
# P-256, once with RSA-2048. The search is shown to work on a process that holds the key in every form. Prints "ok NAME" or
# "not ok NAME: why" lines.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

case ${1:-} in -h | --help)
  echo "usage: tests/system/secrets.sh    example: RN_HANDSHAKES=100 RPCNET_BUILD=build/debug tests/system/secrets.sh"
  exit 0
  ;;
esac
[ -n "${RPCNET_IN_ENV:-}" ] || exec tools/in-env tests/system/secrets.sh "$@"
# shellcheck source=tests/system/lib/checks.sh
source tests/system/lib/checks.sh

build=${RPCNET_BUILD:-build/release}
handshakes=${RN_HANDSHAKES:-1000}
at_once=50
us=rnsecret$$
peer=rncaller$$
node='' holder=''

cleanup() {
  kill -KILL ${node:+"$node"} ${holder:+"$holder"} 2>/dev/null
  wait 2>/dev/null
  ip netns del "$us" 2>/dev/null
  ip netns del "$peer" 2>/dev/null
  rm -rf "$work"
}
trap cleanup EXIT

make_link() {
  ip netns add "$us"
  ip netns add "$peer"
  ip link add rnsec0 netns "$us" type veth peer name rnsec1 netns "$peer"
  ip -n "$us" address add 198.51.100.1/24 dev rnsec0
  ip -n "$us" link set rnsec0 up
  ip -n "$peer" address add 198.51.100.2/24 dev rnsec1
  ip -n "$peer" link set rnsec1 up
  cat >"$work/node.yaml" <<TEXT
node:
  name: secrets
  run_dir: $work/run
port:
  interface: rnsec0
  listen_port: 4433
tls:
  cert: $work/node.crt
  key: $work/node.key
TEXT
}

value() {
  "$build/tools/rpcnetctl" --socket "$work/run/control.sock" "$1" --json 2>/dev/null |
    python3 -c "import json, sys; r = json.load(sys.stdin); print($2)" 2>/dev/null
}
serving() { [ "$(value status 'r["dataplane"]["state"]')" = serving ]; }

# connect_all: that many handshakes, some at once, each with calls after it; the certificate is verified.
connect_all() {
  local i
  for ((i = 0; i < handshakes; i += at_once)); do
    ip netns exec "$peer" "$build/tools/bench/rpcnet-bench" latency 198.51.100.1:4433 --ca "$work/node.crt" \
      --connections $at_once --duration 0.2 --warmup 0 --quiet --json >"$work/bench.json" 2>>"$work/log" || return 1
  done
}

# search PID: what of the key is in its memory.
search() { tests/system/lib/key_search "$work/node.key" "$1" 2>&1 | sed "s/^$1 //"; }

# hold: a process with the key in every form a library might leave it in.
hold() {
  python3 - "$work/node.key" <<'PYTHON' &
import importlib.machinery, importlib.util, sys, time
loader = importlib.machinery.SourceFileLoader("key_search", "tests/system/lib/key_search")
module = importlib.util.module_from_spec(importlib.util.spec_from_loader("key_search", loader))
loader.exec_module(module)
held = module.needles(sys.argv[1])
time.sleep(60)
PYTHON
  holder=$!
}
all_forms() { [ "$(search "$holder")" = "found $1" ]; }

# try_key KIND FORMS IN-CONTROL OPENSSL-ARGUMENT...
try_key() {
  local kind=$1 forms=$2 in_control=$3 control dataplane
  shift 3
  openssl req -x509 -nodes -keyout "$work/node.key" -out "$work/node.crt" -days 30 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost "$@" 2>/dev/null
  hold
  check "$kind: the search finds every form in a process that holds them" within 5 all_forms "$forms"
  kill "$holder"
  ip netns exec "$us" "$build/control/rpcnetd" --config "$work/node.yaml" 2>"$work/log" &
  node=$!
  check "$kind: the node serves" within 10 serving
  control=$(value status 'r["control"]["pid"]') dataplane=$(value status 'r["dataplane"]["pid"]')
  check "$kind: $handshakes handshakes with calls" connect_all
  check "$kind: control signed each" test "$(value stats 'r["control"]["sign_done"]')" -ge "$handshakes"
  check "$kind: the same data plane lived through them" test "$(value status 'r["dataplane"]["pid"]')" = "$dataplane"
  check "$kind: the key is in the memory of control" grep -Eqx "found .*$in_control" <<<"$(search "$control")"
  check "$kind: and not in that of the data plane" test "$(search "$dataplane")" = absent
  kill -TERM "$node"
  wait "$node" 2>/dev/null
  node=
}

: >"$work/log"
make_link
try_key P-256 'DER, PEM, d big-endian, d little-endian' 'd (big|little)-endian.*' -newkey ec -pkeyopt ec_paramgen_curve:P-256
try_key RSA-2048 'DER, PEM, d big-endian, d little-endian, p big-endian, p little-endian, q big-endian, q little-endian' \
  'd .*p .*q .*' -newkey rsa:2048

[ "$failures" = 0 ]
