"""Attacks by single datagrams and frames: nobody answers for them."""

import asyncio
import os
import random
import socket
import struct

from .table import case

RNG = random.Random(5)
BATCH = 32
RETRY_TOKEN = 0x52  # the first byte of a Retry token, lib/quic/token.h


def long_header(version=1, size=1200, dcid=None, token=b"", first=0xC3):
    head = bytes([first]) + struct.pack(">I", version) + b"\x08" + (dcid or RNG.randbytes(8)) + b"\x08abcdefgh"
    head += bytes([len(token)]) + token + struct.pack(">H", 0x4000 | (size - len(head) - 3 - len(token)))
    return head + RNG.randbytes(max(0, size - len(head)))


async def spray(a, make):
    """Sends what make() gives, in batches, from ever new ports."""
    while a.on():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.setblocking(False)
            s.connect(a.addr)
            for _ in range(BATCH):
                try:
                    s.send(make())
                    a.sent += 1
                except OSError:
                    break
        await asyncio.sleep(0)


def spray_case(name, shows, make, **counters):
    @case(shows, name, **counters)
    async def attack(a):
        await spray(a, make)


spray_case("junk", "random bytes of all sizes", lambda: RNG.randbytes(RNG.randrange(1, 1472)), quic_drop_malformed=0.01)
spray_case("empty", "datagrams without a byte", lambda: b"", quic_drop_malformed=0.1)
spray_case("short_initial", "Initials in datagrams below 1,200 bytes", lambda: long_header(size=RNG.randrange(40, 1199)), quic_drop_short_initial=0.1)
spray_case("cut_header", "long headers that end in the middle", lambda: long_header()[: RNG.randrange(1, 23)], quic_drop_malformed=0.1)
spray_case("wrong_version", "a version that nobody speaks", lambda: long_header(version=0xBABABABA), quic_vn_sent=0.1)
spray_case("small_wrong_version", "the same, too small for an answer", lambda: long_header(version=0xBABABABA, size=300), quic_drop_malformed=0.1)
spray_case("undecryptable", "Initials of random bytes", long_header, quic_retry_sent=0.01, quic_closed_handshake=50)
spray_case("forged_token", "Initials with a forged Retry token", lambda: long_header(token=bytes([RETRY_TOKEN]) + RNG.randbytes(60)), quic_drop_bad_token=0.01)
spray_case("unknown_cid", "short headers for no connection", lambda: b"\x41" + RNG.randbytes(70), quic_reset_sent=0.1)
spray_case("tiny_short_header", "the same, too small for a reset", lambda: b"\x41" + RNG.randbytes(20), quic_drop_unknown_cid=0.05)
spray_case("handshake_first", "Handshake packets for no connection", lambda: long_header(first=0xE3), quic_drop_unknown_cid=0.1)


# ---- frames: what never becomes a datagram ----


def ip_packet(a, payload=b"x" * 100, *, source="10.77.0.9", flags=0x4000, options=b"", bad_sum=False, udp_len=None, longer=0):
    udp = struct.pack(">HHHH", 4000, a.addr[1], udp_len or 8 + len(payload), 0) + payload
    words = 5 + len(options) // 4
    head = struct.pack(">BBHHHBBH4s4s", 0x40 | words, 0, words * 4 + len(udp) + longer, 7, flags, 64, 17, 0,
                       socket.inet_aton(source), socket.inet_aton(a.addr[0])) + options
    total = sum(struct.unpack(f">{len(head) // 2}H", head))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    check = (~total & 0xFFFF) ^ (0x1234 if bad_sum else 0)
    return head[:10] + struct.pack(">H", check) + head[12:] + udp


async def frames(a, make):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
        s.bind((a.interface, 0))
        head = a.mac + s.getsockname()[4] + b"\x08\x00"
        while a.on():
            for _ in range(BATCH):
                s.send(head + make())
                a.sent += 1
            await asyncio.sleep(0.001)


def frame_case(name, shows, counter, **how):
    @case(shows, name, **{f"net_{counter}": 0.2})
    async def attack(a):
        await frames(a, lambda: ip_packet(a, **how))


frame_case("ip_checksum", "IP headers with a wrong checksum", "drop_ip_checksum", bad_sum=True)
frame_case("ip_options", "IP options", "drop_ip_options", options=b"\x01" * 8)
frame_case("udp_length", "UDP lengths that are not true", "drop_udp_length", udp_len=9000)
frame_case("ip_cut", "IP packets longer than their frame", "drop_cut", longer=400)
frame_case("loopback_source", "packets from 127.0.0.1", "drop_source", source="127.0.0.1")


# ---- floods from forged sources ----


def flood_case(kind, shows, **counters):
    @case(shows, "flood_" + kind, **counters)
    async def attack(a):
        flood = await asyncio.create_subprocess_exec(
            "nice", "-n", "10", a.build + "/tests/system/flood", "-i", a.interface, "-m", a.mac.hex(":"), "-k", kind, "-d", str(a.seconds),
            f"{a.addr[0]}:{a.addr[1]}", stdout=asyncio.subprocess.DEVNULL)  # fmt: skip
        await flood.wait()


flood_case("initial", "real first flights from forged sources, as many as go", quic_retry_sent=1000, quic_retry_starts=1)
flood_case("reset", "short headers from forged sources, as many as go", quic_reset_sent=1000, quic_drop_answer_rate=1)
flood_case("junk", "junk from forged sources, as many as go", quic_vn_sent=1, quic_drop_answer_rate=1)


@case("a client's datagrams, each sent eight times more", quic_rx_datagrams=100)
async def replayed(a):
    class Again:
        def __init__(self, transport):
            self.transport = transport

        def sendto(self, data, addr):
            for _ in range(9):
                self.transport.sendto(data, addr)

        def close(self):
            self.transport.close()

    def again(peer):
        peer._transport = Again(peer._transport)

    peer = await a.connect(before=again)
    while a.on():
        await peer.echo(3000)
        a.sent += 1


@case("first fragments of IP packets, which the kernel keeps to put them together", net_rx_udp=0)
async def ip_fragments(a):
    await frames(a, lambda: ip_packet(a, flags=0x2000))


@case("a flood of ICMP echo requests", net_rx_udp=0)
async def pings(a):
    def make():
        body = struct.pack(">BBHHH", 8, 0, 0, 1, 1) + os.urandom(56)
        return ip_packet(a, body)[:9] + b"\x01" + ip_packet(a, body)[10:20] + body

    await frames(a, make)
