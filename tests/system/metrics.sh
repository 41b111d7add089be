#!/usr/bin/env bash
# A running node's metrics and health as its operators see them: over HTTP, read by promtool, held against the calls that were made and against docs/metrics.md.
# Prints "ok NAME" or "not ok NAME: why" lines.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

case ${1:-} in -h | --help)
  echo "usage: tests/system/metrics.sh    example: RPCNET_BUILD=build/debug tests/system/metrics.sh"
  exit 0
  ;;
esac
[ -n "${RPCNET_IN_ENV:-}" ] || exec tools/in-env tests/system/metrics.sh "$@"
# shellcheck source=tests/system/lib/checks.sh
source tests/system/lib/checks.sh
# shellcheck source=tests/system/lib/pair.sh
source tests/system/lib/pair.sh
build=${RPCNET_BUILD:-build/release}
sock=$work/run/control.sock

cat >"$work/node.yaml" <<TEXT
node: { name: metered, run_dir: $work/run }
port: { interface: rn0 }
lcores: { count: 2, trace_interval: 1ms }
http: { enabled: true, listen: "127.0.0.1:9464" }
tls: { cert: $work/tls/node.crt, key: $work/tls/node.key }
TEXT
in_us ip link set lo up
nsenter -n -t "$us" "$build/control/rpcnetd" --config "$work/node.yaml" >"$log" 2>&1 &
node=$!
within 10 grep -q 'is ready' "$log"

get() { in_us curl -s --max-time 5 "http://127.0.0.1:9464$1"; }
code() { in_us curl -s --max-time 5 -o /dev/null -w '%{http_code}' "http://127.0.0.1:9464$1"; }
answers() { [ "$(code "$1")" = "$2" ]; }
child() { pgrep -P "$node" -x "$1" | head -n 1; }
# metric NAME[{LABELS}]: its value as a whole number, empty when it is not there.
metric() { get /metrics | awk -v n="$1" '$1 == n { printf "%.0f", $2 }'; }
is_type() { grep -qx "# TYPE $1 $2" "$work/metrics"; }
# load METHOD RATE SECONDS: into $work/bench.
load() {
  in_peer timeout 60 "$build/tools/bench/rpcnet-bench" load 10.77.0.2:8080 --rate "$2" --warmup 0 --duration "$3" --method "$1" --quiet --json \
    >"$work/bench" 2>"$work/bench.err"
}
bench() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$work/bench" "$1"; }

# ---- health, before any call ----

check 'ready once it serves' within 5 answers /health/ready 200
same 'live' "$(code /health/live)" 200
same 'another path is not there' "$(code /elsewhere)" 404
same 'no call was counted' "$(metric rpc_requests_total)" 0

# ---- values ----

load echo 1000 2 &
loader=$!
sleep 1.8
between 'calls per second while they come' "$(metric rpc_throughput_rps)" 500 1500
wait "$loader"
sleep 0.3 # an answer is at most 100 ms old
calls=$(bench calls)
between 'calls were made' "$calls" 1500 2100
# The client stops the clock with a call or so on its way.
total=$(metric rpc_requests_total)
between 'each is counted' "$total" "$calls" $((calls + 8))
calls=$total
same 'each has its latency' "$(metric rpc_latency_seconds_count)" "$calls"
same 'in the last bucket as well' "$(metric 'rpc_latency_seconds_bucket{le="+Inf"}')" "$calls"
for stage in rx quic classify handler tx; do
  between "followed through $stage" "$(metric "rpcnet_stage_seconds_count{stage=\"$stage\"}")" 20 "$calls"
done
same 'rpcnetctl has the same gauges' "$("$build/tools/rpcnetctl" --socket "$sock" stats --json | python3 -c 'import json, sys; print(*(g + "." + n for g, v in json.load(sys.stdin).items() if g in ("rpc", "pool", "cluster") for n in v))')" \
  "$(awk '/^RN_EXPOSED[(]/ { gsub(/RN_EXPOSED\(/, ""); split($0, f, ", *"); printf "%s%s.%s", sep, f[1], f[2]; sep = " " }' lib/schema/metrics/exposed.def)"
same 'none failed' "$(get /metrics | awk '/^rpc_errors_total/ { n += $2 } END { print n + 0 }')" 0
between 'memory in MB' "$(metric rpc_memory_mb)" 5 4000
between 'CPU in per cent' "$(metric rpc_cpu_usage_pct)" 0 400

load no_such_method 100 1
unknown=$(metric 'rpc_errors_total{type="unknown"}')
between 'calls of a method that is not there' "$unknown" 1 110
same 'are no other error' "$(get /metrics | awk '/^rpc_errors_total/ { n += $2 } END { print n + 0 }')" "$unknown"
same 'and are calls' "$(metric rpc_requests_total)" $((calls + unknown))

# ---- rpcnetctl stats --watch ----

ctl() { "$build/tools/rpcnetctl" --socket "$sock" "$@"; }
load echo 500 4 &
loader=$!
sleep 0.5
timeout --preserve-status -s INT 2.7 "$build/tools/rpcnetctl" --socket "$sock" stats --watch --json >"$work/watched"
same 'an interrupted watch ends well' $? 0
same 'with an object per interval, its rates by lcore' "$(python3 - "$work/watched" <<'TEXT'
import json, sys
r = [json.loads(line) for line in open(sys.argv[1])]
print(len(r) == 2 and all(300 < o["calls_per_s"] < 700 and len(o["lcores"]) == 2 and o["errors_per_s"] == 0 and 0.9 < o["seconds"] < 1.5
      and abs(sum(l["calls_per_s"] for l in o["lcores"]) - o["calls_per_s"]) < 1 for o in r), r)
TEXT
)" "True $(python3 -c 'import json, sys; print([json.loads(line) for line in open(sys.argv[1])])' "$work/watched")"
timeout 5 "$build/tools/rpcnetctl" --socket "$sock" stats --watch=1 | head -n 1 >"$work/head"
same 'who stops reading ends it' "${PIPESTATUS[0]}" 0
check 'as lines where there is no terminal' grep -q '^lcore  *calls/s' "$work/head"
timeout -s INT 1.5 script -qec "$build/tools/rpcnetctl --socket $sock stats --watch" /dev/null >"$work/screen" 2>&1
check 'in place on a terminal' grep -q $'\033\\[H' "$work/screen"
same 'no interval of zero' "$(ctl stats --watch=0 >/dev/null 2>&1; echo $?)" 2
wait "$loader"

# ---- names ----

get /metrics >"$work/metrics"
# The names of these three are what users were promised, so promtool may dislike them, and nothing else.
same 'promtool dislikes only three promised names' "$(promtool check metrics <"$work/metrics" 2>&1)" \
  "$(printf '%s metric names should not contain abbreviated units\n' rpc_latency_p50_us rpc_latency_p99_us rpc_memory_mb)"
for name in rpc_requests_total rpc_errors_total; do
  check "$name is a counter" is_type "$name" counter
done
for name in rpc_throughput_rps rpc_latency_p50_us rpc_latency_p99_us rpc_cpu_usage_pct rpc_memory_mb; do
  check "$name is a gauge" is_type "$name" gauge
done
check 'rpc_latency_seconds is a histogram' is_type rpc_latency_seconds histogram
grep -o '^# TYPE [a-z0-9_]*' "$work/metrics" | cut -d ' ' -f 3 | sort >"$work/exposed"
# shellcheck disable=SC2016 # backquotes of Markdown
grep '^|' docs/metrics.md | grep -Eo '`(rpc[a-z0-9]*|pool|cluster)_[a-z0-9_]*[`{]' | tr -d '`{' | sort -u >"$work/documented"
same 'no name comes twice' "$(uniq -d "$work/exposed")" ''
check 'docs/metrics.md has these and no others' diff "$work/documented" "$work/exposed"

# ---- health, while parts of the node are dead ----

dataplane=$(child rpcnet-dataplan)
kill -STOP "$dataplane"
check 'not ready while the data plane stands still' within 5 answers /health/ready 503
same 'but live' "$(code /health/live)" 200
same 'and scraped' "$(metric rpcnet_ready)" 0
kill -CONT "$dataplane"
check 'ready when it goes on' within 5 answers /health/ready 200
starts=$(metric rpcnet_control_dataplane_starts)
kill -KILL "$dataplane"
started_again() { [ "$(child rpcnet-dataplan)" != "$dataplane" ] && answers /health/ready 200; }
check 'ready when another data plane serves' within 5 started_again
same 'whose counters start from zero' "$(metric rpc_requests_total)" 0
same 'it is counted' "$(metric rpcnet_control_dataplane_starts)" $((starts + 1))
kill -KILL "$(child rpcnet-control)"
check 'ready when control died' within 5 answers /health/ready 200

kill "$node"
wait "$node"
same 'the node ends' $? 0
[ "$failures" = 0 ]
