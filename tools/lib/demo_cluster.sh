# tools/demo and tools/demo --chaos: a director and three workers; sourced by tools/demo, which has the variables and the functions used here.
# shellcheck shell=bash disable=SC2154

director=172.28.82.10:8080
worker=172.28.82.11:8080
nodes=(director worker-1 worker-2 worker-3)

# knows_workers N: the director knows N workers for the method echo.
knows_workers() { [ "$(ctl director route echo --json | grep -c '"addr"')" = "$1" ]; }

cluster_ready() {
  local node
  for node in "${nodes[@]}"; do
    until_true 50 serving "$node" || { docker logs "rpcnet-$node" >&2; rn_die "$node does not serve"; }
  done
  until_true 75 knows_workers 3 || { ctl director members >&2; rn_die 'the director does not know its workers'; }
}

# snapshot NAME: what every node counts and uses now.
snapshot() {
  local node
  for node in "${nodes[@]}"; do
    ctl "$node" status --json >"$work/$1.$node.status.json"
    ctl "$node" stats --all --json >"$work/$1.$node.stats.json"
  done
}

# views: what the director says of the others.
views() {
  printf '\nrpcnetctl members\n\n'
  ctl director members
  printf '\nrpcnetctl workers\n\n'
  ctl director workers
}

# run NAME ARG...: rpcnet-bench, its result in NAME.json. Calls that failed are in there and end nothing.
run() {
  bench "${@:2}" >"$work/$1.json" || rn_say 'calls failed'
  [ -s "$work/$1.json" ] || rn_die 'rpcnet-bench says nothing'
}

demo_cluster() {
  cluster_ready
  rn_say 'through the director: one call at a time, 2 s'
  run forwarded-latency latency "$director" --duration 2 --quiet
  rn_say "through the director: 64 calls outstanding on one connection, $seconds s"
  snapshot before
  run forwarded-throughput throughput "$director" --duration "$seconds" --warmup 1
  snapshot after
  rn_say 'through the director: one stream, 256 items ahead, 2 s'
  run forwarded-stream throughput "$director" --stream --outstanding 256 --duration 2 --quiet
  rn_say 'straight to a worker: the same three'
  run straight-latency latency "$worker" --duration 2 --quiet
  run straight-throughput throughput "$worker" --duration "$seconds" --warmup 1 --quiet
  run straight-stream throughput "$worker" --stream --outstanding 256 --duration 2 --quiet
  table demo_cluster_table.py
  views
  cat <<'NEXT'

What to try next
  docker-compose -f docker/cluster.yml up -d           keep the cluster running, the director at 172.28.82.10:8080
  docker exec rpcnet-director rpcnetctl events         who came and went
  docker exec rpcnet-worker-1 rpcnetctl drain          take a worker away without losing a call
  tools/demo --chaos                                   a worker is killed under load
NEXT
}

# ---- chaos ----

# watch_director SECONDS: each second a line of time, counters and workers.
watch_director() {
  docker exec rpcnet-director sh -c 'i=0
    while [ $i -lt '"$1"' ]; do
      printf "{\"t\": %s, \"stats\": %s, \"workers\": %s}\n" "$(date +%s.%N)" "$(rpcnetctl stats --all --json | tr -d "\n")" \
        "$(rpcnetctl route echo --json | tr -d "\n")"
      i=$((i + 1))
      sleep 1
    done'
}

# note TEXT: when something was done.
note() {
  printf '%s %s\n' "$(date +%s.%N)" "$*" >>"$work/events"
  rn_say "$*"
}

demo_chaos() {
  local victim=worker-2 watcher load
  cluster_ready
  rn_say "through the director: $rate calls a second on 4 connections, $seconds s"
  : >"$work/events"
  watch_director $((seconds + 3)) >"$work/seconds.jsonl" &
  watcher=$!
  run load load "$director" --rate "$rate" --connections 4 --duration "$seconds" --warmup 1 --quiet &
  load=$!
  sleep $((1 + seconds / 3))
  docker kill "rpcnet-$victim" >/dev/null
  note "$victim is killed"
  sleep $((seconds / 3))
  docker start "rpcnet-$victim" >/dev/null
  note "$victim is started"
  wait "$load"
  wait "$watcher" || true
  table demo_chaos_table.py
  views
}
