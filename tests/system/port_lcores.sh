#!/usr/bin/env bash
# A node with two lcores, then with more lcores than cores, on a veth: clients behind a NAT that changes their port arrive at the other lcore; what idling costs; no thread keeps a
# capability when the node stays root. Prints "ok NAME" or "not ok NAME: why" lines.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

case ${1:-} in -h | --help)
  echo "usage: tests/system/port_lcores.sh    example: RPCNET_BUILD=build/debug tests/system/port_lcores.sh"
  exit 0
  ;;
esac
[ -n "${RPCNET_IN_ENV:-}" ] || exec tools/in-env tests/system/port_lcores.sh "$@"
# shellcheck source=tests/system/lib/checks.sh
source tests/system/lib/checks.sh

build=${RPCNET_BUILD:-build/release}
sock=$work/run/control.sock
node=
nat=

# Two namespaces, held by sleepers: "us" has rn0, "peer" has rn1.
unshare -n sleep 300 & us=$!
unshare -n sleep 300 & peer=$!
cleanup() {
  kill "$us" "$peer" ${nat:+"$nat"} ${node:+"$node"} 2>/dev/null
  wait 2>/dev/null
  rm -rf "$work"
}
trap cleanup EXIT

in_us() { nsenter -n -t "$us" "$@"; }
in_peer() { nsenter -n -t "$peer" "$@"; }

# counter NAME: the sum over lcores.
counter() { "$build/tools/rpcnetctl" --socket "$sock" stats | awk -v n="$1" '$1 == n { v = $2 } END { print v + 0 }'; }

# CPU time of the data plane in ticks, usually of 10 ms.
ticks() { awk '{ print $14 + $15 }' "/proc/$dataplane/stat"; }

within 2 in_us true && within 2 in_peer true
tools/certs "$work/tls" >/dev/null
in_us ip link add rn0 type veth peer name rn1 netns "/proc/$peer/ns/net"
in_us ip link set rn0 up
in_us ip addr add 10.77.0.2/24 dev rn0
in_peer ip link set lo up
in_peer ip link set rn1 up
in_peer ip addr add 10.77.0.1/24 dev rn1

# start_node LCORES: sets node and dataplane.
start_node() {
  cat >"$work/node.yaml" <<TEXT
node:
  run_dir: $work/run
  dataplane_uid: keep
  dataplane_gid: keep
port:
  interface: rn0
  listen_port: 8080
lcores:
  count: $1
limits:
  signing_queue: 40
tls:
  cert: $work/tls/node.crt
  key: $work/tls/node.key
TEXT
  nsenter -n -t "$us" "$build/control/rpcnetd" --config "$work/node.yaml" >"$log" 2>&1 &
  node=$!
  within 10 grep -q 'is ready' "$log"
  dataplane=$(grep -o 'rpcnet-dataplane started, pid [0-9]*' "$log" | grep -o '[0-9]*$')
}

stop_node() {
  kill -TERM "$node"
  wait "$node"
  between "$1" $? 0 0
  node=
}

start_node 2

between "threads of the data plane" "$(find "/proc/$dataplane/task" -maxdepth 1 -mindepth 1 | wc -l)" 3 9
between "none of them has a capability" "$(cat "/proc/$dataplane"/task/*/status | grep -E '^Cap(Prm|Eff|Inh|Amb)' | grep -vc ':.0*$')" 0 0
between "each has a seccomp filter" "$(cat "/proc/$dataplane"/task/*/status | grep -E '^Seccomp:' | grep -vc '2$')" 0 0

between "each lcore's thread has its own room for paused handshakes" "$(counter tls_jobs_max)" 80 80

sleep 1
before=$(ticks)
sleep 3
between "two idle lcores take less than 3 % of a core each (ticks in 3 s)" $(($(ticks) - before)) 0 17

nsenter -n -t "$peer" tests/system/port_peer rebind 10.77.0.2 8080 9999 &
nat=$!
sleep 0.3
in_peer timeout 60 "$build/tools/bench/rpcnet-bench" throughput 127.0.0.1:9999 -o 4 -d 7 -q --json >"$work/bench.json"
between "no call fails" "$(grep -o '"errors": *[0-9]*' "$work/bench.json" | grep -o '[0-9]*$')" 0 0
between "the client's port changed" "$(counter path_migrations)" 5 30
between "datagrams went to the lcore they name" "$(counter handoff_tx)" 1 100000000
between "and arrived there" "$(($(counter handoff_tx) - $(counter handoff_rx)))" 0 0
between "none was lost on the way" "$(counter handoff_full)" 0 0

kill "$nat"
wait "$nat" 2>/dev/null
nat=
stop_node "ends with status"

# Twice as many lcores as cores: they yield and sleep, so each gets its time.
lcores=$((2 * $(nproc)))
start_node "$lcores"
clients=() # a port each, by which the kernel chooses the lcore
for ((i = 0; i < 32; i++)); do
  in_peer timeout 60 "$build/tools/bench/rpcnet-bench" load 10.77.0.2:8080 -r 100 -d 3 --spin 0 -q --json >"$work/bench.$i" 2>>"$log" &
  clients+=($!)
done
wait "${clients[@]}"
calls() { cat "$work"/bench.? "$work"/bench.?? | grep -o "\"$1\": *[0-9]*" | awk '{ n += $2 } END { print n + 0 }'; }
between "$lcores lcores on $(nproc) cores: no call fails" "$(calls errors)" 0 0
between "and all are answered" "$(calls calls)" 9000 10000
between "each of them has connections" "$("$build/tools/rpcnetctl" --socket "$sock" stats --json |
  python3 -c 'import json, sys; print(min(l["metrics"]["quic"]["conns_ready"] for l in json.load(sys.stdin)["lcores"]))')" 1 64
stop_node "ends with status, with $lcores lcores"
[ "$failures" = 0 ]
