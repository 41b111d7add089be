#!/usr/bin/env bash
# Either process of a node killed at random under load, both at once, control stopped for seconds: who is there goes on, who comes back is served,
# and nothing is left behind. Prints "ok NAME" or "not ok NAME: why" lines.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

control_kills=15 dataplane_kills=12 both_kills=5
case ${1:-} in
-h | --help)
  cat <<'TEXT'
usage: tests/system/kills.sh [CONTROL DATAPLANE BOTH]

Kills control, the data plane and both that many times (default 15 12 5; tools/test long: 200 200 50). RN_SEED repeats a run's pauses.

example: RN_SEED=7 tests/system/kills.sh 0 20 0
TEXT
  exit 0
  ;;
esac
[ $# != 3 ] || control_kills=$1 dataplane_kills=$2 both_kills=$3
[ -n "${RPCNET_IN_ENV:-}" ] || exec tools/in-env tests/system/kills.sh "$control_kills" "$dataplane_kills" "$both_kills"
# shellcheck source=tests/system/lib/checks.sh
source tests/system/lib/checks.sh
# shellcheck source=tests/system/lib/pair.sh
source tests/system/lib/pair.sh
build=${RPCNET_BUILD:-build/release}
sock=$work/run/control.sock
RANDOM=${RN_SEED:=$RANDOM}
echo "seed $RN_SEED"

node=
client=
cat >"$work/node.yaml" <<TEXT
node: { run_dir: $work/run }
port: { interface: rn0 }
tls: { cert: $work/tls/node.crt, key: $work/tls/node.key }
quic: { signature_timeout: 3s }
limits: { signing_queue: 128 }
TEXT
start_node() {
  nsenter -n -t "$us" "$build/control/rpcnetd" --config "$work/node.yaml" >"$log" 2>&1 &
  node=$!
  within 10 grep -q 'is ready' "$log"
}
start_node

# child NAME: the pid of that process of the node, nothing while there is none.
child() { pgrep -P "$node" -x "$1" | head -n 1; }
control() { child rpcnet-control; }
dataplane() { child rpcnet-dataplan; } # names of processes end after 15 characters

value() { "$build/tools/rpcnetctl" --socket "$sock" "$1" --json 2>/dev/null | python3 -c "import json, sys; r = json.load(sys.stdin); print($2)" 2>/dev/null; }
serving() { [ "$(value status 'r["dataplane"]["state"]')" = serving ]; }
# total GROUP NAME: a counter, over all lcores.
total() { value stats "sum(l['metrics']['$1']['$2'] for l in r['lcores'])"; }
pause() { sleep "$(awk -v r="$RANDOM" -v a="$1" -v b="$2" 'BEGIN { printf "%.3f", a + (b - a) * r / 32768 }')"; }

# What the node's processes hold, and the machine for them.
held() {
  local p
  for p in "$node" "$(control)" "$(dataplane)"; do
    printf '%s descriptors %s, threads %s; ' "$(cat "/proc/$p/comm")" "$(find "/proc/$p/fd" -mindepth 1 | wc -l)" "$(find "/proc/$p/task" -mindepth 1 -maxdepth 1 | wc -l)"
  done
  printf 'children %s, zombies %s, files %s, XDP programs %s' "$(pgrep -c -P "$node")" "$(pgrep -c -r Z -P "$node")" \
    "$(find "$work/run" | wc -l)" "$(in_us ip link show dev rn0 | grep -c 'prog/xdp')"
}
# rss PID: KiB.
rss() { awk '/^VmRSS/ { print $2 }' "/proc/$1/status"; }

start_client() {
  in_peer "$build/tests/system/steady" 10.77.0.2:8080 >"$work/steady" &
  client=$!
  sleep 0.5
}
# stop_client: its figures are in $work/figures.
stop_client() {
  kill -TERM "$(pgrep -x steady)"
  wait "$client"
  client=
  tail -n 1 "$work/steady" >"$work/figures"
}
figure() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$work/figures" "$1"; }
at_most() { # NAME FOUND MAX
  python3 -c 'import sys; sys.exit(float(sys.argv[1]) > float(sys.argv[2]))' "$2" "$3"
  verdict "$1" $? "found $2, wanted at most $3"
}

# killed_and_back PID-OF: kills it, waits until another one is there.
killed_and_back() {
  local old
  old=$("$1")
  kill -KILL "$old"
  within 10 another "$1" "$old"
}
another() {
  local pid
  pid=$("$1")
  [ -n "$pid" ] && [ "$pid" != "$2" ]
}

between "handshakes before anything happens" "$(in_peer "$build/tools/bench/rpcnet-bench" handshake 10.77.0.2:8080 -c 4 -d 1 --warmup 0 -q --json | grep -o '"errors": [0-9]*' | grep -o '[0-9]*$')" 0 0
before=$(held)
node_rss=$(rss "$node")

if [ "$control_kills" -gt 0 ]; then
  start_client
  for ((i = 0; i < control_kills; i++)); do
    pause 0.02 0.6
    killed_and_back control
  done
  within 5 serving
  stop_client
  echo "# $control_kills kills of control: $(cat "$work/figures")"
  same "control killed $control_kills times: no call fails" "$(figure failed)" 0
  same "and no established connection is lost" "$(($(figure resets) + $(figure closed_otherwise)))" 0
  check "and the node serves new ones" in_peer "$build/tools/bench/rpcnet-bench" handshake 10.77.0.2:8080 -d 0.5 --warmup 0 -q --json
  same "nothing is left behind" "$(held)" "$before"
fi

if [ "$dataplane_kills" -gt 0 ]; then
  start_client
  control_rss=$(rss "$(control)")
  for ((i = 0; i < dataplane_kills; i++)); do
    pause 1.2 2
    killed_and_back dataplane
    within 5 serving
  done
  sleep 2
  stop_client
  echo "# $dataplane_kills kills of the data plane: $(cat "$work/figures")"
  # More than that where the machine is too busy to answer within 20 ms: the client then changes to another connection, too.
  between "data plane killed $dataplane_kills times: the client sees as many outages" "$(figure outages)" "$dataplane_kills" $((dataplane_kills * 3))
  at_most "and none is longer than a second" "$(figure max_ms)" 1000
  between "each old connection is told by a stateless reset" "$(figure resets)" "$dataplane_kills" $((dataplane_kills * 3))
  same "and none ends otherwise" "$(figure closed_otherwise)" 0
  same "and loses one call in flight" "$(figure failed)" "$dataplane_kills"
  same "nothing is left behind" "$(held)" "$before"
  at_most "and control, which made as many regions, has not grown (KiB)" "$(rss "$(control)")" $((control_rss + 1024))
fi

if [ "$both_kills" -gt 0 ]; then
  start_client
  for ((i = 0; i < both_kills; i++)); do
    pause 1.2 2
    c=$(control) d=$(dataplane)
    kill -KILL "$c" "$d"
    within 10 another control "$c"
    within 10 another dataplane "$d"
    within 5 serving
  done
  sleep 2
  stop_client
  echo "# $both_kills kills of both: $(cat "$work/figures")"
  between "both killed $both_kills times: as many outages" "$(figure outages)" "$both_kills" $((both_kills * 3))
  at_most "and none is longer than a second" "$(figure max_ms)" 1000
  same "nothing is left behind" "$(held)" "$before"
fi

# At any instruction of a start.
for ((i = 0; i < 8; i++)); do
  kill -KILL "$(dataplane)" 2>/dev/null
  pause 0 0.4
  kill -KILL "$(control)" 2>/dev/null
  pause 0 0.2
done
check "killed while they start, both come back" within 15 serving
check "and serve" in_peer "$build/tools/bench/rpcnet-bench" handshake 10.77.0.2:8080 -d 0.5 --warmup 0 -q --json
same "nothing is left behind" "$(held)" "$before"

# Control dies with questions that it has not answered: its successor is asked again.
kill -STOP "$(control)"
in_peer timeout 20 "$build/tools/bench/rpcnet-bench" handshake 10.77.0.2:8080 -c 16 -d 2 --warmup 0 -q --json >"$work/asked" 2>&1 &
asked=$!
sleep 1 # of the two: the counter below says whether that was enough
killed_and_back control
wait "$asked"
same "handshakes that wait while control is killed are signed by the next one: errors" "$(grep -o '"errors": [0-9]*' "$work/asked" | grep -o '[0-9]*$')" 0
between "each was asked for again" "$(total quic sign_repeats)" 16 100000

# Control stands still: calls go on, handshakes wait for as long as one may take, and are then closed with a word.
start_client
kill -STOP "$(control)"
in_peer timeout 20 "$build/tools/bench/rpcnet-bench" handshake 10.77.0.2:8080 -c 16 -d 4 --warmup 0 -q >"$work/standing" 2>&1
# More of them than may wait, and longer than the ring to control has room: 256 questions, 128 every three seconds.
in_peer timeout 20 "$build/tools/bench/rpcnet-bench" handshake 10.77.0.2:8080 -c 160 -d 6 --warmup 0 -q >"$work/crowd" 2>&1
kill -CONT "$(control)"
check "control stopped for ten seconds goes on" within 5 serving
check "and signs again" in_peer "$build/tools/bench/rpcnet-bench" handshake 10.77.0.2:8080 -d 0.5 --warmup 0 -q --json
stop_client
echo "# control stopped for 10 s: $(cat "$work/figures")"
same "each of 16 handshakes meanwhile is closed with CONNECTION_REFUSED when its time is over" \
  "$(sed -n 's/^errors *\([0-9]*\) .*/\1/p; s/^first error *//p' "$work/standing" | tr '\n' ' ')" '16 handshake ended with transport code 0x2 '
between "which is counted" "$(total quic sign_timeouts)" 16 2000
between "more handshakes than limits.signing_queue are refused and counted" "$(total quic sign_limit)" 1 1000000
between "so are those for which the ring to control has no room" "$(total lcore ring_full)" 1 1000000
same "no call failed meanwhile" "$(figure failed)" 0
same "no connection was lost" "$(($(figure resets) + $(figure closed_otherwise)))" 0
within 15 test "$(value stats 'sum(l["metrics"]["quic"]["half_open"] for l in r["lcores"])')" = 0
same "no handshake is left half open" "$(value stats 'sum(l["metrics"]["quic"]["half_open"] + l["metrics"]["quic"]["sign_jobs"] for l in r["lcores"])')" 0
at_most "rpcnetd has not grown (KiB)" "$(rss "$node")" $((node_rss + 512))

c=$(control) d=$(dataplane)
kill -TERM "$node"
wait "$node"
same "SIGTERM ends the node with status" $? 0
node=
# gone PID...: none of them is there.
gone() {
  local p
  for p; do
    if kill -0 "$p" 2>/dev/null; then return 1; fi
  done
}
check "and its processes with it" gone "$c" "$d"
# At any instruction of the end.
for victims in control dataplane 'control dataplane'; do
  start_node
  pids=()
  for v in $victims; do pids+=("$("$v")"); done
  all=("$(control)" "$(dataplane)")
  kill -TERM "$node"
  pause 0 0.02
  kill -KILL "${pids[@]}" 2>/dev/null
  check "$victims killed while the node ends: it ends" within 7 gone "$node"
  wait "$node"
  same "with status" $? 0
  node=
  check "and nobody stays" gone "${all[@]}"
done

same "no XDP program stays" "$(in_us ip link show dev rn0 | grep -c 'prog/xdp')" 0
[ "$failures" = 0 ]
