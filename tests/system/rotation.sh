#!/usr/bin/env bash
# The secret's file is made, refused when it is not as it should be, and rotated under load: no call fails, no connection ends, every lcore follows, also a
# data plane and a control that are started again. Prints "ok NAME" or "not ok NAME: why" lines.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
[ -n "${RPCNET_IN_ENV:-}" ] || exec tools/in-env tests/system/rotation.sh "$@"
# shellcheck source=tests/system/lib/checks.sh
source tests/system/lib/checks.sh
# shellcheck source=tests/system/lib/pair.sh
source tests/system/lib/pair.sh
build=${RPCNET_BUILD:-build/release}
sock=$work/run/control.sock
secret=$work/node.secret
node=
cat >"$work/node.yaml" <<TEXT
node: { run_dir: $work/run, secret_file: $secret }
port: { interface: rn0 }
lcores: { count: 2 }
tls: { cert: $work/tls/node.crt, key: $work/tls/node.key }
TEXT
start_node() {
  nsenter -n -t "$us" "$build/control/rpcnetd" --config "$work/node.yaml" >"$log" 2>&1 &
  node=$!
  within 10 grep -q 'is ready' "$log"
}
stop_node() {
  kill "$node"
  wait "$node"
}
ctl() { "$build/tools/rpcnetctl" --socket "$sock" "$@"; }
# json 'EXPRESSION of r' COMMAND...
json() {
  local expression=$1
  shift
  ctl "$@" --json 2>/dev/null | python3 -c "import json, sys; r = json.load(sys.stdin); print($expression)" 2>/dev/null
}
child() { pgrep -P "$node" -x "$1" | head -n 1; }
epochs() { json '(r["epochs"], r["lcores"])' secrets; }
become() { [ "$(epochs)" = "$1" ]; }
total() { json "sum(l['metrics']['$1']['$2'] for l in r['lcores'])" stats; }

# refused NAME WHY: rpcnetd does not start with the file as it is.
refused() {
  local status
  timeout 10 nsenter -n -t "$us" "$build/control/rpcnetd" --config "$work/node.yaml" >"$log" 2>&1
  status=$?
  check "$1 is refused" grep -q "node.secret_file $secret: .*$2" "$log"
  same "$1: exit status" "$status" 2
}

# ---- the file ----

start_node
same 'an absent file is made, for its owner alone' "$(stat -c %a "$secret")" 600
same 'with one epoch' "$(epochs)" '([1], [1, 1])'
check 'of 32 bytes' grep -Eqx '1 [0-9a-f]{64}' "$secret"
cp -p "$secret" "$work/first"
stop_node
start_node
same 'the next start takes it as it is' "$(cmp "$secret" "$work/first")" ''
stop_node
chmod 644 "$secret"
refused 'a file that others may read' 'mode 0644'
chmod 600 "$secret"
echo '1 zz' >"$secret"
refused 'a damaged file' 'line 1 does not end with 64'
: >"$secret"
refused 'an empty file' 'no epoch'
rm "$secret"
mkdir "$secret"
refused 'a directory' 'no regular file\|Is a directory'
rmdir "$secret"
cp -p "$work/first" "$secret"

# ---- rotation under load ----

start_node
in_peer "$build/tools/bench/rpcnet-bench" load 10.77.0.2:8080 --connections 20 --rate 4000 --warmup 0 --duration 8 --quiet --json >"$work/bench.json" 2>"$work/bench.err" &
loader=$!
sleep 0.7
before=$(total quic conns_accepted)
for epoch in 2 3 4 5; do
  same "rotated to epoch $epoch" "$(ctl secrets rotate | awk '/^lcores use/ { print $3, $4 }')" "$epoch $epoch"
  sleep 0.3
done
pids=()
for _ in $(seq 12); do
  ctl secrets rotate >/dev/null 2>&1 &
  pids+=("$!")
done
wait "${pids[@]}"
same 'twelve at once: those that come too early are told, no epoch is lost' \
  "$(json 'r["epochs"] == list(range(1, r["newest"] + 1)) and r["newest"] > 5 and set(r["lcores"]) == {r["newest"]}' secrets)" True
wait "$loader"
same 'no call failed' "$(python3 -c 'import json, sys; r = json.load(open(sys.argv[1])); print(r["errors"] if "errors" in r else r)' "$work/bench.json")" 0
same 'no connection was made anew' "$(total quic conns_accepted)" "$before"
same 'none was ended by an epoch' "$(total quic closed_epoch)" 0

# ---- a file that an operator brings ----

newest=$(json 'r["newest"]' secrets)
hex=$(openssl rand -hex 32)
echo "$((newest + 3)) $hex" >>"$secret"
kill -HUP "$node"
uses() { [ "$(json 'set(r["lcores"])' secrets)" = "{$1}" ]; }
check 'SIGHUP: it is read again' within 5 uses $((newest + 3))
cp -p "$secret" "$work/good"
sed -i '$ d' "$secret"
same 'one with an older newest epoch is refused' "$(ctl secrets reload 2>&1)" "rpcnetctl: $sock: its newest epoch is $newest, but $((newest + 3)) is in use"
echo "$((newest + 3)) $(openssl rand -hex 32)" >>"$secret"
same 'other bytes of the same epoch are refused' "$(ctl secrets reload 2>&1)" "rpcnetctl: $sock: epoch $((newest + 3)) has other bytes than before: new bytes need a new number"
chmod 640 "$secret"
same 'one that others may read is refused' "$(ctl secrets reload 2>&1)" "rpcnetctl: $sock: has mode 0640: others than its owner may use it; 0600 is right"
same 'nor is it rotated' "$(ctl secrets rotate 2>&1)" "rpcnetctl: $sock: has mode 0640: others than its owner may use it; 0600 is right"
check 'and the lcores go on with what they have' uses $((newest + 3))
cp -p "$work/good" "$secret"
same 'another word' "$(ctl secrets turn 2>&1)" "rpcnetctl: $sock: an action of secrets is rotate or reload"

# ---- deaths ----

in_peer "$build/tests/system/steady" 10.77.0.2:8080 >"$work/steady" &
sleep 0.5
dataplane=$(child rpcnet-dataplan)
kill -KILL "$(child rpcnet-control)"
another() { [ -n "$(child rpcnet-control)" ] && uses "$1"; }
check 'a control that is started again knows the epochs' within 5 another $((newest + 3))
same 'and keeps the data plane' "$(child rpcnet-dataplan)" "$dataplane"
check 'and can rotate' within 5 ctl secrets rotate
check 'every lcore follows' within 5 uses $((newest + 4))
kill -KILL "$(child rpcnet-control)"
check 'also one whose data plane began with an older epoch' within 5 another $((newest + 4))
same 'keeps it' "$(child rpcnet-dataplan)" "$dataplane"
pkill -TERM -x steady
within 3 grep -q '^{' "$work/steady"
same 'no call failed, no connection was lost' "$(tail -n 1 "$work/steady" | python3 -c 'import json, sys; r = json.load(sys.stdin); print(r["failed"], r["resets"], r["closed_otherwise"])')" '0 0 0'
kill -KILL "$dataplane"
serves() { [ "$(json '(r["dataplane"]["state"], r["dataplane"]["starts"])' status)" = "('serving', 2)" ] && uses "$1"; }
check 'a data plane that is started again uses the newest' within 5 serves $((newest + 4))

# ---- in memory ----

# The bytes of every epoch are in control's memory and in no other process of the node.
found=$(python3 - "$secret" "$(child rpcnet-control)" "$(child rpcnet-dataplan)" "$node" <<'TEXT'
import re, sys
epochs = [bytes.fromhex(line.split()[1]) for line in open(sys.argv[1]) if not line.startswith("#") and line.strip()]
needles = [e for e in epochs] + [e.hex().encode() for e in epochs]
def search(pid):
    mem = open(f"/proc/{pid}/mem", "rb", 0)
    for line in open(f"/proc/{pid}/maps"):
        low, high, mode = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line).groups()
        if mode[0] != "r" or line.rstrip().endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
            continue
        at, end = int(low, 16), int(high, 16)
        while at < end:
            n = min(end - at, 1 << 24)
            try:
                mem.seek(at)
                piece = mem.read(n)
            except OSError:
                break
            if any(x in piece for x in needles):
                return True
            at += n - 64 if n == 1 << 24 else n
    return False
print(*(search(pid) for pid in sys.argv[2:]))
TEXT
)
same 'the secret is in the memory of control, not in that of data plane and rpcnetd' "$found" 'True False False'
stop_node
same 'the node ends' $? 0

# ---- without a file ----

sed -i 's/, secret_file: [^ ]*//' "$work/node.yaml"
start_node
same 'a node without a file says so' "$(ctl secrets rotate 2>&1)" "rpcnetctl: $sock: node.secret_file is not configured: keys are random ones of this start"
stop_node
[ "$failures" = 0 ]
