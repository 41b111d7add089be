#!/usr/bin/env bash
# A whole node on a veth, its peer (OpenSSL's QUIC client) in another network namespace: keys of every kind, a thousand handshakes and then a search for the
# key in memory, deaths of either process, the end. Prints "ok NAME" or "not ok NAME: why" lines.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
[ -n "${RPCNET_IN_ENV:-}" ] || exec tools/in-env tests/system/node.sh "$@"
# shellcheck source=tests/system/lib/checks.sh
source tests/system/lib/checks.sh

build=${RPCNET_BUILD:-build/release}
handshakes=${RN_HANDSHAKES:-1000}
sock=$work/run/control.sock
us=rnnode$$
peer=rnpeer$$
node=

cleanup() {
  [ -z "$node" ] || kill -KILL "$node" 2>/dev/null
  wait 2>/dev/null
  ip netns del "$us" 2>/dev/null
  ip netns del "$peer" 2>/dev/null
  rm -rf "$work"
}
trap cleanup EXIT

ip netns add "$us"
ip netns add "$peer"
ip link add rnnode0 netns "$us" type veth peer name rnpeer0 netns "$peer"
ip -n "$us" address add 198.51.100.1/24 dev rnnode0
ip -n "$us" address add 2001:db8:1::1/64 dev rnnode0 nodad
ip -n "$us" link set rnnode0 up
ip -n "$peer" address add 198.51.100.2/24 dev rnpeer0
ip -n "$peer" address add 2001:db8:1::2/64 dev rnpeer0 nodad
ip -n "$peer" link set rnpeer0 up

cat >"$work/node.yaml" <<TEXT
node:
  name: test
  run_dir: $work/run
port:
  interface: rnnode0
  listen_port: 4433
tls:
  cert: $work/node.crt
  key: $work/node.key
TEXT

# certificate OPENSSL-ARGUMENT...: of a new key of this kind.
certificate() {
  openssl req -x509 -nodes -keyout "$work/node.key" -out "$work/node.crt" -days 30 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost "$@" 2>/dev/null
}

# start [OPTION...]: a node with these further options of rpcnetd.
start() {
  : >"$log"
  ip netns exec "$us" "$build/control/rpcnetd" --config "$work/node.yaml" "$@" 2>"$log" &
  node=$!
}

# stop SIGNAL: ends the node; its status, 99 when it is still there after eight seconds.
stop() {
  kill "-$1" "$node"
  if ! within 8 gone "$node"; then
    kill -KILL "$node"
    wait "$node" 2>/dev/null
    return 99
  fi
  wait "$node"
  local status=$?
  node=
  return $status
}

value() {
  "$build/tools/rpcnetctl" --socket "$sock" "$1" --json 2>/dev/null |
    python3 -c "import json, sys; r = json.load(sys.stdin); print($2)" 2>/dev/null
}
is() { [ "$(value "$1" "$2")" = "$3" ]; }
serving() { is status 'r["dataplane"]["state"]' serving; }
dp_pid() { value status 'r["dataplane"]["pid"]'; }
control_pid() { value status 'r["control"]["pid"]'; }
gone() { ! kill -0 "$1" 2>/dev/null; }
equal() { [ "$1" = "$2" ]; }
proc_field() { awk -v f="$2:" '$1 == f { print $2 }' "/proc/$1/status"; }
now_ms() { date +%s%3N; }

# handshake ADDRESS: one, with the certificate verified.
handshake() {
  ip netns exec "$peer" timeout 8 openssl s_client -quic -alpn h3 -connect "$1:4433" -servername localhost \
    -CAfile "$work/node.crt" -verify_return_error </dev/null >/dev/null 2>&1
}
# N of them, forty at a time; prints how many succeeded.
handshakes() {
  export -f handshake
  export peer work
  seq "$1" | xargs -P 40 -I{} bash -c 'handshake 198.51.100.1 && echo success' | grep -c success
}

# ---- keys of every kind ----

try_kind() {
  local kind=$1 count=$2 secrets=$3 pids found control dataplane
  shift 3
  certificate "$@"
  start
  check "a node with a $kind key becomes ready" within 10 serving
  control=$(control_pid) dataplane=$(dp_pid)
  check "$count handshakes with it" equal "$(handshakes "$count")" "$count"
  check "each signed by control" test "$(value stats 'r["control"]["sign_done"]')" -ge "$count"
  check "none refused" is stats 'r["control"]["sign_refused"]' 0
  pids="$control $dataplane $node"
  # shellcheck disable=SC2086 # three numbers
  found=$(tests/system/lib/key_search "$work/node.key" $pids 2>&1)
  check "after $count handshakes $kind $secrets is in the memory of control" grep -Eq "^$control found .*$secrets" <<<"$found"
  check "and absent from the data plane" grep -qx "$dataplane absent" <<<"$found"
  check "and from rpcnetd" grep -qx "$node absent" <<<"$found"
  check "the node ends" stop TERM
}

try_kind Ed25519 5 'd ' -newkey ed25519
try_kind P-384 5 'd ' -newkey ec -pkeyopt ec_paramgen_curve:P-384
try_kind RSA "$handshakes" 'd .*p .*q ' -newkey rsa:2048
try_kind P-256 "$handshakes" 'd ' -newkey ec -pkeyopt ec_paramgen_curve:P-256

# ---- the data plane's privileges ----

start
check 'the node becomes ready' within 10 serving
control=$(control_pid) dataplane=$(dp_pid)
check 'the data plane is another user' equal "$(proc_field "$dataplane" Uid)" 59802
check 'it has no capability' equal "$(proc_field "$dataplane" CapPrm)$(proc_field "$dataplane" CapEff)$(proc_field "$dataplane" CapAmb)" \
  000000000000000000000000000000000000000000000000
check 'it cannot gain one' equal "$(proc_field "$dataplane" NoNewPrivs)" 1
check 'it runs under seccomp' equal "$(proc_field "$dataplane" Seccomp)" 2
check 'so do all its threads' equal "$(awk '$1 == "Seccomp:" { print $2 }' /proc/"$dataplane"/task/*/status | sort -u)" 2
check 'none of its threads has a capability' equal "$(awk '$1 == "CapPrm:" { print $2 }' /proc/"$dataplane"/task/*/status | sort -u)" \
  0000000000000000
check 'it is not dumpable' equal "$(stat -c %U "/proc/$dataplane/environ")" root
check 'a handshake over IPv6' handshake '[2001:db8:1::1]'

# What a control that was taken over could bring about: description and configuration say different things. Here it is rpcnetd's word that was changed on its way.
check 'the node ends' stop TERM
different() {
  printf '#!/bin/bash\nexec "%s/dataplane/rpcnet-dataplane" "$1" "${2/%s/%s}"\n' "$PWD/$build" "$2" "$3" >"$work/different"
  chmod +x "$work/different"
  start --dataplane "$work/different"
  within 10 gone "$node" || kill -KILL "$node"
  wait "$node"
  check "a data plane whose $1 is not the configuration's does not run" equal $? 2
  check 'and says so' grep -q "region: $4" "$log"
  node=
}
different user 59802: 59803: 'uid is 59802, but the configuration says 59803'
different filter :1: :0: 'sandbox is 1, but the configuration says 0'
different interface :rnnode0 :lo 'port 0 is rnnode0, but the configuration says lo'

# ---- deaths ----

start
check 'the node becomes ready again' within 10 serving
control=$(control_pid) dataplane=$(dp_pid)
begin=$(now_ms)
kill -KILL "$dataplane"
another_dataplane() { is status "r['dataplane']['state'] == 'serving' and r['dataplane']['pid'] not in (0, $dataplane)" True; }
check 'a killed data plane serves again' within 5 another_dataplane
check 'within a second' test $(($(now_ms) - begin)) -lt 1000
check 'and completes handshakes' handshake 198.51.100.1
dataplane=$(dp_pid)
kill -KILL "$control"
another_control() { [ -n "$(control_pid)" ] && [ "$(control_pid)" != "$control" ] && serving; }
check 'a killed control comes back' within 5 another_control
check 'to the same data plane' equal "$(dp_pid)" "$dataplane"
check 'which completes handshakes' handshake 198.51.100.1

# ---- the end ----

ip netns exec "$peer" tests/system/lib/closed_by 198.51.100.1 4433 >"$work/closed" 2>&1 &
client=$!
check 'a connection is there' within 3 grep -qx ready "$work/closed"
begin=$(now_ms)
check 'SIGTERM ends the node with status 0' stop TERM
check 'within two seconds' test $(($(now_ms) - begin)) -lt 2000
wait "$client"
check 'and closes the connection as an application that has no error' equal "$(tail -n 1 "$work/closed")" 'application 0'

start
check 'the node becomes ready once more' within 10 serving
control=$(control_pid) dataplane=$(dp_pid)
kill -KILL "$node"
wait "$node" 2>/dev/null
node=
check 'without rpcnetd the data plane ends, other user or not' within 3 gone "$dataplane"
check 'and control' within 3 gone "$control"

# ---- the first process of a container ----

: >"$log"
ip netns exec "$us" unshare --pid --fork --mount-proc "$build/control/rpcnetd" --config "$work/node.yaml" 2>"$log" &
outer=$!
check 'a node whose parent is process 1 becomes ready' within 10 serving
check 'it is' is status 'r["rpcnetd"]["pid"]' 1
inner=$(pgrep -P "$outer")
no_zombies() { ! awk '$1 == "State:" { print $2 }' "/proc/$inner/root/proc"/[0-9]*/status 2>/dev/null | grep -q Z; }
# A process whose parent ends at once becomes the child of process 1.
nsenter -t "$inner" -p -m bash -c 'bash -c "sleep 0.2" & disown' 2>/dev/null
sleep 0.4
check 'and reaps orphans' within 2 no_zombies
kill -TERM "$inner"
check 'and ends by SIGTERM' within 8 gone "$outer"
wait "$outer"
check 'with status 0' equal $? 0

[ "$failures" = 0 ]
