# tools/demo --single: one node; sourced by tools/demo, which has the variables and the functions used here.
# shellcheck shell=bash disable=SC2154

demo_single() {
  local target=172.28.80.10:8080
  until_true 50 serving node || { docker logs rpcnet-node >&2; rn_die 'the node does not serve'; }
  rn_say 'one call at a time, 2 s'
  bench latency "$target" --duration 2 --quiet >"$work/latency.json"
  rn_say "64 calls outstanding on one connection, $seconds s"
  ctl node status --json >"$work/before.json"
  bench throughput "$target" --duration "$seconds" --warmup 1 >"$work/throughput.json"
  ctl node status --json >"$work/after.json"
  rn_say 'one stream, 256 items ahead, 2 s'
  bench throughput "$target" --stream --outstanding 256 --duration 2 --quiet >"$work/stream.json"
  table demo_table.py "$seconds"
}
