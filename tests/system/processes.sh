#!/usr/bin/env bash
# rpcnetd, rpcnet-control and rpcnetctl as processes, with tests/system/fake_dataplane.c in the place of the data plane: start, privileges,
# restarts of either, hostile neighbours, the end. Prints "ok NAME" or "not ok NAME: why" lines.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
[ -n "${RPCNET_IN_ENV:-}" ] || exec tools/in-env tests/system/processes.sh "$@"
# shellcheck source=tests/system/lib/checks.sh
source tests/system/lib/checks.sh

build=${RPCNET_BUILD:-build/release}
sock=$work/run/control.sock
node=

cleanup() {
  [ -z "$node" ] || kill -KILL "$node" 2>/dev/null
  wait 2>/dev/null
  rm -rf "$work"
}
trap cleanup EXIT

config() {
  cat >"$work/node.yaml" <<TEXT
node:
  name: test
  run_dir: $work/run
port:
  driver: "null"
  mode: owned
  addresses: [192.0.2.1/24]
lcores:
  count: 2
tls:
  cert: $work/node.crt
  key: $work/node.key
TEXT
}

# start MODES [OPTION...]: a node with a data plane that behaves so.
start() {
  local modes=$1
  shift
  : >"$log"
  RN_FAKE=$modes "$build/control/rpcnetd" --config "$work/node.yaml" --dataplane "$build/tests/system/fake-dataplane" "$@" \
    2>"$log" &
  node=$!
}

# stop SIGNAL SECONDS: ends the node; its status, 99 when it is still there after that time.
stop() {
  kill "-$1" "$node" 2>/dev/null
  local tries=$(($2 * 50))
  while kill -0 "$node" 2>/dev/null && [ "$tries" -gt 0 ]; do
    tries=$((tries - 1))
    sleep 0.02
  done
  if kill -0 "$node" 2>/dev/null; then
    kill -KILL "$node"
    wait "$node" 2>/dev/null
    return 99
  fi
  wait "$node"
  local status=$?
  node=
  return $status
}

ctl() { "$build/tools/rpcnetctl" --socket "$sock" "$@"; }
# value COMMAND EXPRESSION: from the answer r.
value() { ctl "$1" --json 2>/dev/null | python3 -c "import json, sys; r = json.load(sys.stdin); print($2)" 2>/dev/null; }
is() { [ "$(value "$1" "$2")" = "$3" ]; }
serving() { is status 'r["dataplane"]["state"]' serving; }
dp_pid() { value status 'r["dataplane"]["pid"]'; }
control_pid() { value status 'r["control"]["pid"]'; }
logged() { grep -q -- "$1" "$log"; }
gone() { ! kill -0 "$1" 2>/dev/null; }
proc_field() { awk -v f="$2:" '$1 == f { print $2 }' "/proc/$1/status"; }
equal() { [ "$1" = "$2" ]; }
ended_with() { local want=$1; shift; "$@"; [ $? = "$want" ]; }
now_ms() { date +%s%3N; }

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/node.key" -out "$work/node.crt" \
  -days 30 -subj /CN=localhost 2>/dev/null
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/other.key" 2>/dev/null
chmod 600 "$work"/*.key
config

# ---- command line and configuration ----

check 'help names the configuration' grep -q -- '--config=FILE' <("$build/control/rpcnetd" --help)
check 'version' grep -q '^rpcnetd 0' <("$build/control/rpcnetd" --version)
check 'no arguments is a usage error' ended_with 2 "$build/control/rpcnetd" 2>/dev/null
check 'check accepts a good configuration' grep -q ': fine$' <("$build/control/rpcnetd" --check --config "$work/node.yaml")
{ cat "$work/node.yaml" && echo 'cluster: {enabled: true, state_file: members}'; } >"$work/cluster.yaml"
check 'check accepts a cluster' grep -q ': fine$' <("$build/control/rpcnetd" --check --config "$work/cluster.yaml")
sed -i 's/state_file: members/ca: none.crt/' "$work/cluster.yaml"
check 'check names anchors for peers that are not there' grep -q 'cluster.ca none.crt: No such file' <("$build/control/rpcnetd" --check --config "$work/cluster.yaml" 2>&1)
sed "s/node.key/other.key/" "$work/node.yaml" >"$work/bad.yaml"
check 'check refuses a key that is not the certificate'"'"'s' ended_with 2 "$build/control/rpcnetd" --check --config "$work/bad.yaml" 2>"$log"
check 'and says so' logged 'other.key: is not the key of the first certificate in'
start '' --config "$work/bad.yaml"
wait "$node"
check 'nor does the node start with it' equal $? 2
check 'and it names both files' logged 'other.key: is not the key of the first certificate in'
check 'rpcnetctl without a node fails' ended_with 1 ctl status 2>"$log"
check 'and says how to start one' logged 'no node is running here'
check 'rpcnetctl knows its commands' ended_with 2 ctl frobnicate 2>/dev/null

# ---- a node ----

start sign
check 'node becomes ready' within 5 serving
control=$(control_pid) dataplane=$(dp_pid)
check 'control is another user' equal "$(proc_field "$control" Uid)" 59801
check 'control has no capability' equal "$(proc_field "$control" CapPrm)$(proc_field "$control" CapAmb)" 00000000000000000000000000000000
check 'control cannot gain one' equal "$(proc_field "$control" NoNewPrivs)" 1
check 'control runs under seccomp' equal "$(proc_field "$control" Seccomp)" 2
check 'control is not dumpable' equal "$(stat -c %U "/proc/$control/environ")" root
check 'control has no descriptor of the key' equal "$(find "/proc/$control/fd" -lname '*node.key' | wc -l)" 0
check 'the data plane has its five descriptors and no more' equal \
  "$(find "/proc/$dataplane/fd" -mindepth 1 | sed 's/.*\///' | sort -n | tr '\n' ' ')" '0 1 2 3 4 5 6 '
check 'one signature of the four schemes was made' within 2 is stats 'r["control"]["sign_done"]' 1
check 'and seven refused: not a CertificateVerify, or no scheme of the key' is stats 'r["control"]["sign_refused"]' 7
check 'the data plane got the signature' logged 'job 2027: signed, 7[0-2] bytes'
check 'and the refusals' logged 'job 1002027: refused, 0 bytes'
check 'every lcore publishes' within 2 is stats '[l["metrics"]["quic"]["conns"] for l in r["lcores"]]' '[7, 8]'
check 'busy share is measured' within 4 is status 'round(r["dataplane"]["lcores"][1]["busy_share"], 2)' 0.25
check 'table of status' grep -q 'data plane   serving' <(ctl status)
check 'table of stats' grep -Eq '^  conns +15 +7 +8 ' <(ctl stats)
"$build/control/rpcnetd" --config "$work/node.yaml" --dataplane "$build/tests/system/fake-dataplane" 2>"$work/second"
check 'a second node at the same socket is refused' grep -q 'another node answers here' "$work/second"

found=$(tests/system/lib/key_search "$work/node.key" "$control" "$dataplane" "$node" 2>&1)
check 'the key is in the memory of control' grep -q "^$control found .*d " <<<"$found"
check 'and absent from the data plane' grep -qx "$dataplane absent" <<<"$found"
check 'and from rpcnetd' grep -qx "$node absent" <<<"$found"

# ---- a client of the admin socket that behaves badly ----

python3 - "$sock" >"$work/admin" <<'TEXT'
import socket, sys, time
def dial():
    s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.settimeout(8); return s
def rest(s):
    got = b""
    try:
        while chunk := s.recv(65536):
            got += chunk
    except ConnectionResetError:
        pass
    return got
def talk(data):
    s = dial()
    try:
        s.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        pass
    return rest(s)
for line in b"{\n", b'{"request": "quit"}\n', b'{"request": ["status"]}\n', b"x" * 5000:
    print(talk(line))
silent = [dial() for _ in range(40)]
print("full:", rest(silent[-1]))
begin = time.monotonic()
print("silent:", rest(silent[0]), 4 < time.monotonic() - begin < 7)
time.sleep(1)
print("after:", talk(b'{"request": "status"}\n')[:12])
TEXT
check 'malformed requests get an error' equal "$(grep -c '"ok":false' "$work/admin")" 3
check 'a line without end gets none' grep -qx "b''" "$work/admin"
check 'more clients than allowed are turned away' grep -qx "full: b''" "$work/admin"
check 'a silent client is thrown out after five seconds' grep -qx "silent: b'' True" "$work/admin"
check 'and then others are served' grep -q 'after: .*"ok":true' "$work/admin"

# ---- deaths ----

epoch=$(value status 'r["dataplane"]["epoch"]')
begin=$(now_ms)
kill -KILL "$dataplane"
another_dataplane() { is status "r['dataplane']['state'] == 'serving' and r['dataplane']['pid'] not in (0, $dataplane)" True; }
check 'a killed data plane is started again' within 5 another_dataplane
took=$(($(now_ms) - begin))
check 'within a second' test "$took" -lt 1000
check 'with the next epoch' is status 'r["dataplane"]["epoch"]' $(((epoch + 1) % 256))
check 'by the same control' equal "$(control_pid)" "$control"

dataplane=$(dp_pid)
kill -KILL "$control"
another_control() { local pid; pid=$(control_pid) && [ -n "$pid" ] && [ "$pid" != "$control" ]; }
check 'a killed control is started again' within 5 another_control
check 'it attaches to the running data plane' within 2 serving
check 'which is the same' equal "$(dp_pid)" "$dataplane"
check 'and was told' logged 'says hello'
check 'and its epoch did not change' is status 'r["dataplane"]["epoch"]' $(((epoch + 1) % 256))
check 'and was started twice in all' is status 'r["dataplane"]["starts"]' 2

control=$(control_pid)
kill -KILL "$control" "$dataplane"
check 'both killed at once come back' within 5 another_dataplane
check 'and serve' within 2 serving

kill -STOP "$(dp_pid)"
check 'control answers while the data plane stands still' is status 'r["dataplane"]["state"]' serving
kill -CONT "$(dp_pid)"

control=$(control_pid) dataplane=$(dp_pid)
for _ in 1 2 3 4 5 6 7 8; do
  kill -KILL "$(control_pid)" "$(dp_pid)" 2>/dev/null
  sleep 0.1
done
check 'a series of deaths ends well' within 6 serving

dataplane=$(dp_pid) control=$(control_pid)
begin=$(now_ms)
stop TERM 8
check 'SIGTERM ends the node with status 0' equal $? 0
check 'at once' test $(($(now_ms) - begin)) -lt 1500
check 'lcores were told to close' logged 'lcore [01]: shutdown with code 0'
check 'the data plane is gone' gone "$dataplane"
check 'control is gone' gone "$control"
check 'the socket is gone' test ! -e "$sock"

# ---- a key whose signatures are made on threads ----

mv "$work/node.key" "$work/p256.key"
mv "$work/node.crt" "$work/p256.crt"
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/node.key" -out "$work/node.crt" -days 30 -subj /CN=localhost 2>/dev/null
start sign
check 'a node with an RSA key becomes ready' within 5 serving
check 'its signature is made' within 2 logged 'job 3052: signed, 256 bytes'
check 'and the others are refused' within 2 is stats 'r["control"]["sign_refused"]' 7
dataplane=$(dp_pid)
found=$(tests/system/lib/key_search "$work/node.key" "$(control_pid)" "$dataplane" 2>&1)
check 'd, p and q are in the memory of control' grep -q 'd .*-endian.*p .*-endian.*q .*-endian' <<<"$found"
check 'and absent from the data plane' grep -qx "$dataplane absent" <<<"$found"
stop TERM 8
check 'the node ends' equal $? 0
mv "$work/p256.key" "$work/node.key"
mv "$work/p256.crt" "$work/node.crt"

# ---- a data plane that was taken over ----

start scribble
within 5 serving
control=$(control_pid)
sleep 1.5
check 'control survives nonsense in its rings' equal "$(control_pid)" "$control"
check 'and counts it' within 5 is stats 'r["control"]["ring_corrupt"] > 100' True
stop TERM 8
check 'and ends the node as always' equal $? 0

# ---- ends that do not go as planned ----

start deaf
within 5 serving
stop TERM 8
check 'a data plane that ignores control is asked by signal' equal $? 0
check 'and ends by itself' logged 'rpcnet-dataplane (pid [0-9]*) exited with status 0'
start deaf,stubborn
within 5 serving
stop TERM 8
check 'one that ignores that too is killed' equal $? 0
check 'which is logged' logged 'does not end: killing it'

start ''
within 5 serving
dataplane=$(dp_pid) control=$(control_pid)
kill -KILL "$node"
wait "$node" 2>/dev/null
node=
check 'without rpcnetd the data plane ends' within 2 gone "$dataplane"
check 'without rpcnetd control ends' within 2 gone "$control"

# ---- a data plane that crashes whenever it is started ----

export RN_FAKE_CALM=$work/calm
start crash
starts() { grep -c 'rpcnet-dataplane started' "$log"; }
sleep 6
# After 0, 50, 100, 200, 400, 800, 800 ... ms of pause and 150 ms of life each: nine in six seconds.
between 'a crash loop is slowed down, and goes on' "$(starts)" 6 11
check 'rpcnetd and control stay' test -n "$(control_pid)"
touch "$RN_FAKE_CALM"
check 'when what makes it crash is gone, it serves' within 2 serving
sleep 1
crashes=$(starts) dataplane=$(dp_pid) begin=$(now_ms)
kill -KILL "$dataplane"
check 'and after a second of life it is started without a pause again' within 2 another_dataplane
check 'in less time than the pause was' test $(($(now_ms) - begin)) -lt 700
same 'once' "$(starts)" $((crashes + 1))
stop TERM 8
check 'the node ends as always' equal $? 0

start exit=2
wait "$node"
check 'a data plane that finds the configuration wrong ends the node with 2' equal $? 2
start exit=1
wait "$node"
check 'one that fails at start ends the node with 1' equal $? 1
check 'and the log says who' logged 'rpcnet-dataplane exited with status 1 before the node was ready'
start '' --dataplane /nonexistent
wait "$node"
check 'a data plane that is not there ends the node with 1' equal $? 1

# ---- an interface ----

# A veth pair; its other end stands for a peer.
ip link add rntest0 type veth peer name rntest1
ip address add 192.0.2.1/24 dev rntest0
ip link set rntest0 up
ip link set rntest1 up
has_program() { ip link show rntest0 | grep -q 'xdp'; }
has_no_program() { ! has_program; }
guarded() { ss -Hlun "sport = :8080" | grep -q 'rntest0:8080'; }
not_guarded() { ! guarded; }
sed -i -e 's/"null"/af_packet/' -e 's/mode: owned/mode: shared\n  interface: rntest0/' -e '/addresses:/d' "$work/node.yaml"
start ''
check 'a node on an interface becomes ready' within 5 serving
check 'its program is attached' has_program
check 'and status says so' is status 'r["port"]["bpf"]' True
check 'its UDP port is guarded' guarded
kill -KILL "$(control_pid)" "$(dp_pid)"
check 'the program stays while the others die' has_program
check 'and so does the guard' guarded
check 'the node comes back' within 5 serving
second=$work/second.yaml
sed "s/run_dir: .*/run_dir: ${work//\//\\/}\/run2/" "$work/node.yaml" >"$second"
ended_with 2 "$build/control/rpcnetd" --config "$second" --dataplane "$build/tests/system/fake-dataplane" 2>"$work/log2"
check 'a second node on the port is refused' equal $? 0
kill -KILL "$node"
wait "$node" 2>/dev/null
node=
check 'without rpcnetd the program is gone' within 2 has_no_program
check 'and the guard' within 2 not_guarded
sed -i 's/interface: rntest0/interface: rntest9/' "$work/node.yaml"
start ''
wait "$node"
check 'an interface that does not exist ends the node with 2' equal $? 2
check 'and is named' logged 'rntest9'
ip link del rntest0
config

# ---- systemd ----

python3 - "$work/notify" >"$work/notified" <<'TEXT' &
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1]); s.settimeout(8)
for _ in range(2):
    print(s.recv(4096).decode(), flush=True)
TEXT
within 5 test -S "$work/notify"
NOTIFY_SOCKET=$work/notify start ''
check 'systemd hears that the node is ready' within 5 grep -q READY=1 "$work/notified"
stop TERM 8
check 'and that it ends' within 2 grep -q STOPPING=1 "$work/notified"

# ---- a control that was taken over ----

export RN_FAKE_OUT=$work/out/answers
mkdir -m 777 "$work/out"
start '' --control "$PWD/tests/system/lib/fake_control"
within 10 grep -qs '^end' "$RN_FAKE_OUT"
answered() { grep -q "^$1 status $2 descriptors $3" "$RN_FAKE_OUT"; }
check 'control gets the configuration' answered open-config 0 1
check 'and the key' answered open-key 0 1
check 'but no file that the configuration does not name' answered open-unnamed -14 0
for request in open-99 attach-1 start-without-descriptors start-with-null start-unsealed start-0 start-4000000000 \
  open-with-descriptor unknown-77 hello-from-below; do
  check "refuses $request" answered "$request" '-[0-9]*' 0
done
check 'and does not answer what is no request' equal "$(grep -c 'no answer' "$RN_FAKE_OUT")" 2
check 'refusals are logged' test "$(grep -c refused "$log")" -ge 10
check 'no data plane was started' equal "$(grep -c 'rpcnet-dataplane started' "$log")" 0
stop TERM 8
check 'and rpcnetd ends as always' equal $? 0

[ "$failures" = 0 ]
