#!/usr/bin/env bash
# rpcnetd as PID 1 of a container made of the real image: its children die, orphans end, docker stops and kills it. Prints "ok NAME" or "not ok NAME: why"
# lines.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

case ${1:-} in
-h | --help)
  cat <<'TEXT'
usage: tests/system/container.sh

Makes an image of the release build and runs nodes of it with docker. Skipped where there is no docker.

example: tests/system/container.sh
TEXT
  exit 0
  ;;
esac
# shellcheck source=tests/system/lib/checks.sh
source tests/system/lib/checks.sh
# shellcheck source=tools/lib/env.sh
source tools/lib/env.sh
if ! docker info >/dev/null 2>&1; then
  echo 'skip container: there is no docker here'
  rm -rf "$work"
  exit 0
fi

box=rpcnet-pid1-$$
cleanup() {
  docker rm -f "$box" "$box-client" >/dev/null 2>&1
  docker rmi "$box" >/dev/null 2>&1
  rm -rf "$work"
}
trap cleanup EXIT

RPCNET_BUILD=${RPCNET_BUILD:-build/release} tools/image "$box" >"$log" 2>&1
verdict 'the image is made' $? 'tools/image fails'
# The key is for root only, and root of the container is root here.
tools/in-env tools/certs build/container-tls >/dev/null 2>&1
cp -r build/container-tls "$work/tls" && rm -rf build/container-tls
cat >"$work/node.yaml" <<'TEXT'
node: { name: pid1 }
port: { interface: eth0 }
tls: { cert: /etc/rpcnet/tls/node.crt, key: /etc/rpcnet/tls/node.key }
TEXT
sed 's/eth0/eth7/' "$work/node.yaml" >"$work/bad.yaml"

# start [CONFIGURATION]
start() {
  docker rm -f "$box" >/dev/null 2>&1
  docker run -d --name "$box" --cap-add NET_ADMIN --cap-add NET_RAW --cap-add SYS_ADMIN -v "$work/tls:/etc/rpcnet/tls:ro" \
    -v "$work/${1:-node.yaml}:/etc/rpcnet/node.yaml:ro" "$box" >/dev/null
}
# inside COMMAND: a shell's, in the container.
inside() { docker exec "$box" sh -c "$1"; }
value() {
  docker exec "$box" rpcnetctl "$1" --json 2>/dev/null |
    python3 -c "import json, sys; r = json.load(sys.stdin); print($2)" 2>/dev/null
}
serving() { [ "$(value status 'r["dataplane"]["state"]')" = serving ]; }
pid_of() { value status "r['$1']['pid']"; }
# another PART PID: it serves, and that part is a process that it was not.
another() { serving && [ "$(pid_of "$1")" != "$2" ]; }
zombies() { inside 'grep -l "^State:.Z" /proc/[0-9]*/status 2>/dev/null | wc -l'; }
no_zombies() { [ "$(zombies)" = 0 ]; }
exit_status() { docker inspect -f '{{.State.ExitCode}}' "$box"; }
running() { [ "$(docker inspect -f '{{.State.Running}}' "$box")" = true ]; }
not_running() { ! running; }
now_ms() { date +%s%3N; }
keep_log() { docker logs "$box" >"$log" 2>&1; }
address() { docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$box"; }
# From another container, over the bridge.
handshakes() {
  docker run --rm --name "$box-client" --entrypoint rpcnet-bench "$box" handshake "$(address):8080" -d 0.5 --warmup 0 -q --json >"$work/handshakes"
  grep -q '"errors": 0,' "$work/handshakes"
}
# stop_within SECONDS: docker's SIGTERM ends it in that time.
stop_within() {
  local begin took
  begin=$(now_ms)
  docker stop -t 20 "$box" >/dev/null
  took=$(($(now_ms) - begin))
  keep_log
  echo "$took ms"
  [ "$took" -lt $(($1 * 1000)) ]
}

start
check 'a node in a container becomes ready' within 10 serving
same 'rpcnetd is its PID 1' "$(inside 'cat /proc/1/comm')" rpcnetd
check 'a client on the bridge is served' handshakes

control=$(pid_of control) dataplane=$(pid_of dataplane)
inside "kill -KILL $control"
check 'control killed inside comes back' within 5 another control "$control"
same 'to the same data plane' "$(pid_of dataplane)" "$dataplane"
inside "kill -KILL $dataplane"
check 'the data plane killed inside comes back' within 5 another dataplane "$dataplane"
control=$(pid_of control) dataplane=$(pid_of dataplane)
inside "kill -KILL $control $dataplane"
check 'both killed inside come back' within 5 another dataplane "$dataplane"
check 'and the client is served again' handshakes
# Twenty orphans: their parent ends before they do, and PID 1 inherits them.
inherited=$(inside 'for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do (sleep 1 &) ; done
  grep -l "^Name:.sleep" /proc/[0-9]*/status 2>/dev/null | xargs grep -l "^PPid:.1$" | wc -l')
between 'orphans are given to rpcnetd' "$inherited" 20 20
orphans_ended() { [ "$(inside 'grep -l "^Name:.sleep" /proc/[0-9]*/status 2>/dev/null | wc -l')" = 0 ]; }
check 'which reaps them' within 5 orphans_ended
check 'nobody is a zombie' within 2 no_zombies
inside 'kill -HUP 1; kill -USR1 1; kill -KILL 1'
check 'no signal from inside that it does not know ends it' serving

docker run -d --name "$box-client" --entrypoint rpcnet-bench "$box" throughput "$(address):8080" -c 4 -d 30 --warmup 0 -q >/dev/null
busy() { [ "$(value stats 'sum(l["metrics"]["quic"]["conns"] for l in r["lcores"])')" -ge 4 ]; }
check 'clients are connected' within 5 busy
check 'docker stop ends it within five seconds' stop_within 5
same 'with status' "$(exit_status)" 0
same 'and nothing had to be killed' "$(grep -c 'does not end: killing it' "$log")" 0
docker rm -f "$box-client" >/dev/null

docker start "$box" >/dev/null
check 'the stopped container starts again' within 10 serving
docker kill -s KILL "$box" >/dev/null
check 'rpcnetd killed takes the container with it' within 5 not_running
same 'with status' "$(exit_status)" 137
docker start "$box" >/dev/null
check 'what it left in its run_dir is no obstacle' within 10 serving

inside "kill -STOP $(pid_of control)"
check 'docker stop with control standing still ends it within docker'"'"'s ten seconds' stop_within 10
same 'with status' "$(exit_status)" 0
docker start "$box" >/dev/null
within 10 serving
inside "kill -STOP $(pid_of dataplane)"
check 'and with the data plane standing still' stop_within 10
same 'with status' "$(exit_status)" 0
same 'which had to be killed' "$(grep -c 'does not end: killing it' "$log")" 1

start bad.yaml
check 'an interface that is not there ends the container' within 10 not_running
keep_log
same 'with status' "$(exit_status)" 2

[ "$failures" = 0 ]
