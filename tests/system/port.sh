#!/usr/bin/env bash
# The af_packet port on a veth between two network namespaces, by tests/system/port_echo.c: who answers what in either mode, what the XDP program and the
# UDP guard are for. Prints "ok NAME" or "not ok NAME: why" lines.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

case ${1:-} in -h | --help)
  echo "usage: tests/system/port.sh    example: RPCNET_BUILD=build/debug tests/system/port.sh"
  exit 0
  ;;
esac
[ -n "${RPCNET_IN_ENV:-}" ] || exec tools/in-env tests/system/port.sh "$@"
# shellcheck source=tests/system/lib/checks.sh
source tests/system/lib/checks.sh

build=${RPCNET_BUILD:-build/release}
echo_pid=

# Two namespaces, held by sleepers: "us" has rn0, "peer" has rn1.
unshare -n sleep 300 & us=$!
unshare -n sleep 300 & peer=$!
cleanup() {
  kill "$us" "$peer" ${echo_pid:+"$echo_pid"} 2>/dev/null
  wait 2>/dev/null
  rm -rf "$work"
}
trap cleanup EXIT

in_us() { nsenter -n -t "$us" "$@"; }
in_peer() { nsenter -n -t "$peer" "$@"; }

# CPU time of port-echo in ticks, usually of 10 ms.
ticks() { awk '{ print $14 + $15 }' "/proc/$echo_pid/stat"; }

# at_least NAME FOUND MIN
at_least() {
  [ "$2" -ge "$3" ]
  verdict "$1" $? "found $2, wanted $3 or more"
}

make_link() {
  within 2 in_us true && within 2 in_peer true
  in_us ip link add rn0 mtu "${1:-1500}" type veth peer name rn1 mtu "${1:-1500}" netns "/proc/$peer/ns/net"
  in_us ip link set lo up
  in_us ip link set rn0 up
  in_peer ip link set lo up
  in_peer ip link set rn1 up
  in_peer ip addr add 10.77.0.1/24 dev rn1
  in_peer ip -6 addr add fd77::1/64 dev rn1 nodad
}

drop_link() { in_us ip link del rn0; }

start() {
  : >"$log"
  nsenter -n -t "$us" "$build/tests/system/port-echo" --interface rn0 --port 8080 "$@" >"$log" 2>&1 &
  echo_pid=$!
  within 5 grep -q '^ready' "$log" || verdict "port-echo starts ($*)" 1 "not ready in 5 s"
}

stop() {
  kill -TERM "$echo_pid"
  wait "$echo_pid"
  verdict "port-echo ends by SIGTERM" $? "exit status $?"
  echo_pid=
}

# counter GROUP NAME: as printed at the end.
counter() { awk -v g="$1" -v n="$2" '$1 == g && $2 == n { v = $3 } END { print v + 0 }' "$log"; }

# Errors "destination unreachable" that our side sent, IPv4 and IPv6.
unreachables() {
  in_us cat /proc/net/snmp | awk '/^Icmp:/ { if (n++) print $c; else for (i = 1; i <= NF; i++) if ($i == "OutDestUnreachs") c = i }'
}

peer_udp() { in_peer tests/system/port_peer "$@"; }

echo "# owned mode: the addresses are ours alone"
make_link 1400
start --owned 10.77.0.2/24 --owned fd77::2/64 --gateway 10.77.0.1
check "owned: ping" in_peer ping -q -c 3 -i 0.2 -W 1 10.77.0.2
check "owned: ping of the longest packet" in_peer ping -q -c 1 -W 1 -M 'do' -s 1372 10.77.0.2
check "owned: ping, IPv6" in_peer ping -q -c 3 -i 0.2 -W 1 fd77::2
check "owned: UDP, up to the MTU" peer_udp echo 10.77.0.2 8080 1 2 3 500 1371 1372
check "owned: UDP, IPv6, up to the MTU" peer_udp echo fd77::2 8080 1 2 3 500 1351 1352
check "owned: peer's neighbour entry is ours" in_peer ip neigh show 10.77.0.2 dev rn1
in_peer ip addr add 10.88.0.1/32 dev lo
check "owned: ping from off the link" in_peer ping -q -c 1 -W 1 -I 10.88.0.1 10.77.0.2
in_peer ip link set rn1 address 02:00:00:00:77:01
in_peer ip neigh flush dev rn1
sleep 1.1
check "owned: peer with another MAC address" peer_udp echo 10.77.0.2 8080 100
same "owned: another port is silent" "$(peer_udp gso 10.77.0.2 9999 1)" 0
stop
same "owned: nothing was cut" "$(counter net drop_cut)" 0
at_least "owned: ARP was answered" "$(counter net arp_replies)" 1
same "owned: promiscuous mode ended with its process" "$(in_us ip -d link show rn0 | grep -o 'promiscuity [0-9]*' | cut -d' ' -f2)" 0
at_least "owned: neighbour solicitations were answered" "$(counter net ndp_adverts)" 2
same "owned: another port was counted" "$(counter net drop_udp_port)" 1

echo "# owned mode: a neighbour that nobody has heard of"
for target in 10.77.0.1 fd77::1; do
  peer_udp wait "$target" 9000 >"$work/heard" &
  waiter=$!
  sleep 0.5
  case $target in *:*) to="[$target]:9000" ;; *) to=$target:9000 ;; esac
  start --owned 10.77.0.2/24 --owned fd77::2/64 --send "$to"
  wait "$waiter"
  same "owned: asks for $target and sends what waited" "$(cat "$work/heard")" hello
  stop
done
drop_link

echo "# shared mode: the kernel has the addresses"
make_link
in_us ip addr add 10.77.0.2/24 dev rn0
in_us ip -6 addr add fd77::2/64 dev rn0 nodad
start
peer_udp echo 10.77.0.2 8080 1 >"$work/heard" 2>&1
at_least "shared: without the guard the kernel says port unreachable" "$(unreachables)" 1
stop
before=$(unreachables)
start --guard
check "shared: UDP with the guard" peer_udp echo 10.77.0.2 8080 1 2 3 500 1472
check "shared: UDP with the guard, IPv6" peer_udp echo fd77::2 8080 1 2 3 500 1452
same "shared: with the guard no port unreachable" "$(unreachables)" "$before"
check "shared: the kernel answers ping" in_peer ping -q -c 2 -i 0.2 -W 1 10.77.0.2
check "shared: the kernel answers ping, IPv6" in_peer ping -q -c 2 -i 0.2 -W 1 fd77::2
in_us ip addr add 10.77.0.3/24 dev rn0
sleep 0.4
check "shared: an address that is added is served" peer_udp echo 10.77.0.3 8080 100
in_us ip addr del 10.77.0.3/24 dev rn0
in_us ping -q -c 1 -W 1 10.77.0.1 >/dev/null
in_us ip link set rn0 down
before_ticks=$(ticks)
sleep 1
between "shared: an interface that is down costs no time" $(($(ticks) - before_ticks)) 0 10
in_us ip link set rn0 up
sleep 0.5
check "shared: and up again it serves" peer_udp echo 10.77.0.2 8080 100
stop
same "shared: ARP was left to the kernel" "$(counter net arp_replies)" 0
same "shared: echo was left to the kernel" "$(counter net echo_replies)" 0

echo "# segmentation offload"
start --guard
same "without the XDP program 12,000 bytes in one send are lost" "$(peer_udp gso 10.77.0.2 8080 10)" 0
stop
same "and counted as cut" "$(counter net drop_cut)" 1
start --guard --bpf
same "with the XDP program ten datagrams arrive" "$(peer_udp gso 10.77.0.2 8080 10)" 10
check "the program sits on the interface" sh -c "nsenter -n -t $us ip link show rn0 | grep -q xdp"
stop
check "and left with its process" sh -c "! nsenter -n -t $us ip link show rn0 | grep -q xdp"
drop_link

[ "$failures" = 0 ]
