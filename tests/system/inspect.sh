#!/usr/bin/env bash
# A running node looked into: who is connected, sampled calls with their stages, the log of a connection that is there and of one from its first packet on.
# Prints "ok NAME" or "not ok NAME: why" lines.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
[ -n "${RPCNET_IN_ENV:-}" ] || exec tools/in-env tests/system/inspect.sh "$@"
# shellcheck source=tests/system/lib/checks.sh
source tests/system/lib/checks.sh
# shellcheck source=tests/system/lib/pair.sh
source tests/system/lib/pair.sh
build=${RPCNET_BUILD:-build/release}
sock=$work/run/control.sock

node=
cat >"$work/node.yaml" <<TEXT
node: { run_dir: $work/run }
port: { interface: rn0 }
lcores: { count: 2, trace_interval: 1ms }
tls: { cert: $work/tls/node.crt, key: $work/tls/node.key }
TEXT
nsenter -n -t "$us" "$build/control/rpcnetd" --config "$work/node.yaml" >"$log" 2>&1 &
node=$!
within 10 grep -q 'is ready' "$log"

ctl() { "$build/tools/rpcnetctl" --socket "$sock" "$@"; }
# json 'EXPRESSION of r' COMMAND...
json() {
  local expression=$1
  shift
  ctl "$@" --json | python3 -c "import json, sys; r = json.load(sys.stdin); print($expression)"
}
child() { pgrep -P "$node" -x "$1" | head -n 1; }
load() { # CONNECTIONS SECONDS
  in_peer "$build/tools/bench/rpcnet-bench" load 10.77.0.2:8080 --connections "$1" --rate 2000 --warmup 0 --duration "$2" \
    --payload 100 --quiet >"$work/bench" 2>&1
}

# ---- connections ----

same 'nobody is connected' "$(json 'r["connections"]' connections)" '[]'
load 6 12 &
loader=$!
ready() { [ "$(json 'len([c for c in r["connections"] if c["phase"] == "ready"])' connections)" = "$1" ]; }
check 'each connection is listed' within 5 ready 6
same 'by its peer' "$(json 'sorted({c["peer"].split(":")[0] for c in r["connections"]})' connections)" "['10.77.0.1']"
same 'once' "$(json 'len({c["connection"] for c in r["connections"]})' connections)" 6
same 'of one lcore only' "$(json '{c["lcore"] for c in r["connections"]} <= {1}' connections --lcore 1)" True
same 'no more than asked for' "$(json '(len(r["connections"]), r["more"])' connections --count 2)" '(2, True)'
check 'as a table' grep -Eq '^[01]\.[0-9]+\.[0-9]+ +10\.77\.0\.1:[0-9]+ +ready' <(ctl connections)
same 'lcore 7, which is not there' "$(ctl connections --lcore 7 2>&1)" "rpcnetctl: $sock: there is no such lcore"

# ---- traces ----

followed() { [ "$(json 'len(r["calls"])' trace --count 100)" -ge "$1" ]; }
check 'calls were followed' within 5 followed 20
# shellcheck disable=SC2016
same 'with all that is asked' "$(json 'all(c["method"] == "echo" and c["outcome"] == "result" and c["request_bytes"] == c["answer_bytes"] and
  c["total_ns"] == sum(c["stage_ns"].values()) and list(c["stage_ns"]) == ["rx", "quic", "classify", "handler", "tx"] and c["peer"].startswith("10.77.0.1:")
  and c["stage_ns"]["quic"] > 0 for c in r["calls"])' trace)" True
check 'as a table' grep -Eq '^[01]\.[0-9]+\.[0-9]+ +10\.77\.0\.1:[0-9]+ +echo +result' <(ctl trace)
timeout 2 "$build/tools/rpcnetctl" --socket "$sock" trace --follow --json >"$work/follow"
same 'followed on, each comes once and in order' "$(python3 - "$work/follow" <<'TEXT'
import json, sys
calls = [json.loads(line) for line in open(sys.argv[1])]
ok = len(calls) > 45 # 40 at once, new ones after
for lcore in (0, 1):
    numbers = [c["number"] for c in calls if c["lcore"] == lcore]
    ok = ok and numbers == sorted(set(numbers))
print(ok)
TEXT
)" True

# ---- qlog ----

# records FILE EXPRESSION: over r, its records; fails when one is no JSON text sequence's.
records() {
  python3 - "$1" "$2" <<'TEXT'
import json, sys
text = open(sys.argv[1], "rb").read()
assert text[:1] == b"\x1e", text[:80]
r = [json.loads(t) for t in text.split(b"\x1e")[1:]]
names = [e.get("name", "") for e in r[1:]]
print(eval(sys.argv[2]))
TEXT
}
conn=$(json 'r["connections"][0]["connection"]' connections)
ctl qlog "$conn" --seconds 1 >"$work/live"
same 'a connection that is there is logged' $? 0
same 'as qlog' "$(records "$work/live" 'r[0]["qlog_version"], r[0]["trace"]["vantage_point"]["type"]')" "('0.3', 'server')"
same 'with what happens on it' "$(records "$work/live" '{"transport:datagrams_received", "transport:datagrams_sent", "transport:data_moved", "recovery:metrics_updated"} <= set(names)')" True
same 'a name of none' "$(ctl qlog 0.60000.1 2>&1)" "rpcnetctl: $sock: there is no such connection (any more)"
same 'no name' "$(ctl qlog abc 2>&1)" "rpcnetctl: $sock: a connection is named as rpcnetctl connections does, like 0.12.3"
same 'nobody dials' "$(ctl qlog next --seconds 1 --client 192.0.2.9 2>&1)" "rpcnetctl: $sock: nothing came in time"
same 'no address' "$(ctl qlog next --client nobody 2>&1)" "rpcnetctl: $sock: client is an IP address, like 192.0.2.1"
wait "$loader"
ctl qlog next --seconds 3 --client 10.77.0.1 >"$work/next" &
logger=$!
sleep 0.3
load 1 1
wait "$logger"
same 'the next one is logged from its first packet on' "$(records "$work/next" 'names[:1] == ["transport:packet_received"] or "transport:packet_received" in names[:5]')" True
same 'with its frames' "$(records "$work/next" 'any(f.get("frame_type") == "stream" for e in r[1:] for f in e.get("data", {}).get("frames", []))')" True
same 'nothing was lost' "$(json 'sum(l["metrics"]["lcore"]["qlog_lost"] for l in r["lcores"])' stats)" 0

for _ in $(seq 20); do timeout 0.1 "$build/tools/rpcnetctl" --socket "$sock" qlog next --client 192.0.2.9 --seconds 600; done >"$work/gone" 2>&1
same 'who goes before anybody dialled leaves nothing behind' "$(cat "$work/gone")" ''

# ---- deaths on the way ----

load 2 12 &
loader=$!
within 5 ready 2
conn=$(json 'r["connections"][0]["connection"]' connections)
"$build/tools/rpcnetctl" --socket "$sock" qlog "$conn" --seconds 20 >"$work/cut1" 2>/dev/null &
logger=$!
within 3 test -s "$work/cut1"
same 'a second log of that lcore is refused' "$(ctl qlog "$conn" 2>&1)" "rpcnetctl: $sock: a connection of that lcore is being logged already"
kill "$logger"
wait "$logger" 2>/dev/null
again() { timeout 2 "$build/tools/rpcnetctl" --socket "$sock" qlog "$conn" --seconds 1 >"$work/again" 2>"$work/again.err"; }
check 'when the reader goes the connection is free to be logged' within 3 again
"$build/tools/rpcnetctl" --socket "$sock" qlog "$conn" --seconds 20 >"$work/cut2" 2>/dev/null &
within 3 test -s "$work/cut2"
kill -KILL "$(child rpcnet-control)"
wait $! 2>/dev/null
check 'and when control dies' within 5 again
"$build/tools/rpcnetctl" --socket "$sock" qlog "$conn" --seconds 20 >"$work/cut3" 2>"$work/why" &
logger=$!
within 3 test -s "$work/cut3"
kill -KILL "$(child rpcnet-dataplan)"
wait "$logger"
same 'a log ends with the data plane' $? 0
serving() { [ "$(json 'r["dataplane"]["state"]' status 2>/dev/null)" = serving ]; }
check 'the node goes on' within 5 serving
kill "$loader" 2>/dev/null
kill "$node"
wait "$node"
same 'the node ends' $? 0
[ "$failures" = 0 ]
