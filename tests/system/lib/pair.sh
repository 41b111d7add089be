# shellcheck shell=bash
# Two network namespaces joined by a veth pair, 10.77.0.2 (rn0) for a node and 10.77.0.1 (rn1) for its clients, and a certificate in $work/tls. Sourced after
# checks.sh; everything started in the background ends with the program.

: "${work:?}"
unshare -n sleep 3600 & us=$!
unshare -n sleep 3600 & peer=$!
# shellcheck disable=SC2317 # the trap calls it
cleanup() {
  local pids
  mapfile -t pids < <(jobs -p)
  kill "${pids[@]}" 2>/dev/null
  wait 2>/dev/null
  rm -rf "$work"
}
trap cleanup EXIT
in_us() { nsenter -n -t "$us" "$@"; }
in_peer() { nsenter -n -t "$peer" "$@"; }
within 2 in_us true && within 2 in_peer true
tools/certs "$work/tls" >/dev/null 2>&1
in_us ip link add rn0 type veth peer name rn1 netns "/proc/$peer/ns/net"
in_us ip link set rn0 up
in_us ip addr add 10.77.0.2/24 dev rn0
in_peer ip link set lo up
in_peer ip link set rn1 up
in_peer ip addr add 10.77.0.1/24 dev rn1
