"""What the messages and connections of a simulated cluster (bench/cluster/run) cost a node: the counts of a record, priced. Each price stands here once, with where
it comes from; bench/cluster/real holds the sums against real processes. Bytes are those of IP packets, IPv4 without options; a link's own headers are not counted.

What goes over a connection was read from `rpcnetctl qlog next` of a node of a small cluster:

  asks    STREAM with the message and FIN ->                         answers
          <- STREAM with the answer and FIN
          <- ACK
          ACK ->
          <- MAX_STREAMS, as the stream is over; it goes by itself
          ACK ->
"""

IP_UDP = 28
HEADER = 1 + 17 + 2 + 16  # short header: connection ID of 17 octets, packet number of 2; the AEAD's tag
STREAM = IP_UDP + HEADER + 3  # beside the message: type, ID, FIN
ACK = IP_UDP + HEADER + 8
MAX_STREAMS = IP_UDP + HEADER + 3
PING = IP_UDP + HEADER + 2
CLOSE = IP_UDP + HEADER + 6

EXCHANGE, EXCHANGE_PACKETS = 2 * STREAM + 3 * ACK + MAX_STREAMS, 6
PINGED, PINGED_PACKETS = PING + ACK, 2
# Both ends: Initials padded to 1,200, a P-256 certificate, connection IDs, token and ticket; 5,700 of it are the two probes of each end for a larger MTU.
DIAL, DIAL_PACKETS = 11100, 12

# CPU, seconds. Control: a message in or out, without what cluster/ does with it, which the simulation measures.
CONTROL_MESSAGE_S = 12e-6
# The lcore: a packet in or out while it does nothing else, with cold caches and a system call of its driver for each.
PACKET_S = 25e-6
# Until it sleeps again, after an end's part of an exchange or a PING: it looks for more for 200 us after a packet (dataplane/lcore.c).
AWAKE_S = 200e-6
DIAL_S = 320e-6  # one end: 3.1 k handshakes a second and core (docs/claims.md)
CONN_BYTES = 47616  # an idle connection, one end: of 4,000 at a node (docs/claims.md)


def price(cost):
    """cost: that of a record. Of a node: what it sends in a second, % of a core, KiB of its connections, both ends of each counted."""
    exchanges, dials, pings = cost["requests_per_s"], cost["dials_per_s"], cost["pings_per_s"]
    packets = exchanges * EXCHANGE_PACKETS + pings * PINGED_PACKETS + dials * DIAL_PACKETS + cost["closes_per_s"]
    # What all send together is received by all: a node has as many parts in others' exchanges as in its own.
    control = cost["cpu_percent_cluster"] + cost["messages_per_s"] * 2 * CONTROL_MESSAGE_S * 100
    dataplane = (packets * 2 * PACKET_S + dials * 2 * DIAL_S + 2 * (exchanges + pings + dials) * AWAKE_S) * 100
    return {
        "packets_per_s": packets,
        "bytes_per_s": cost["message_bytes_per_s"] + exchanges * EXCHANGE + pings * PINGED + dials * DIAL + cost["closes_per_s"] * CLOSE,
        "cpu_control": control,
        "cpu_dataplane": dataplane,
        "cpu_percent": control + dataplane,
        "conn_kib": 2 * cost["conns_dialled"] * CONN_BYTES / 1024,
    }
