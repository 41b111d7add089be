"""Attacks on a connection by its own client: frames that no honest one sends, handshakes that lead nowhere."""

import asyncio
import struct

from quic_peer import Failed, Stream

from .table import case


def varint(n):
    return struct.pack(">Q", n | 3 << 62)


async def again_and_again(a, once, at_a_time=4):
    """once(a) as often as the time allows, so many beside each other. What the node does to it is the node's business."""

    async def loop():
        while a.on():
            try:
                await once(a)
                a.sent += 1
            except (Failed, ConnectionError, OSError):
                await asyncio.sleep(0.01)

    await asyncio.gather(*(loop() for _ in range(at_a_time)))


# ---- handshakes ----


def refused_case(name, shows, counter, **how):
    @case(shows, name, **{counter: 5})
    async def attack(a):
        async def once(a):
            try:
                await a.connect(wait_s=1.5, **how)
            finally:
                a.forget()

        await again_and_again(a, once)


refused_case("wrong_alpn", "another protocol", "quic_closed_handshake", alpn_protocols=["hq-interop"])
refused_case("no_alpn", "no protocol at all", "quic_closed_handshake", alpn_protocols=None)


@case("first flights and then silence, more than may be half open", quic_retry_starts=1, quic_conns_accepted=10)
async def never_finish(a):
    while a.on():
        for _ in range(10):
            await a.first_flight()
            a.sent += 1
        await asyncio.sleep(0.05)


@case("more connections than there is room for", quic_drop_conn_limit=5)
async def connection_limit(a):
    async def once(a):
        await a.connect(wait_s=1)

    await again_and_again(a, once, at_a_time=8)


# ---- frames ----


def violation_case(name, shows, *made):
    """Frames of (type, body) after which the node has to end the connection."""

    @case(shows, name, quic_protocol_errors=3)
    async def attack(a):
        async def once(a):
            peer = await a.connect()
            peer.send_raw_frames(*made)
            await asyncio.wait_for(peer.wait_closed(), 2)

        await again_and_again(a, once)


violation_case("unknown_frame", "a frame of unknown type", (0x21, b"\0"))
violation_case("stream_limit", "a stream beyond the limit", (0x0A, b"\xbf\xff\xff\0\0"))
violation_case("stream_state", "data on a stream of the node's", (0x0A, b"\x01\x01A"))
violation_case("stream_window", "data far past the window", (0x0E, b"\x40\xc8" + varint(1 << 32) + b"\x01A"))
violation_case("final_size", "data behind FIN", (0x0B, b"\x40\xc8\x02AB"), (0x0E, b"\x40\xc8\x09\x01C"))
violation_case("ack_of_nothing", "an ACK of packets never sent", (0x02, varint(1 << 30) + b"\0\0\0"))
violation_case("ack_upside_down", "an ACK whose ranges end below zero", (0x02, b"\x05\0\x01\x01\x3f\x3f"))
violation_case("token_to_server", "NEW_TOKEN from a client", (0x07, b"\x04abcd"))
violation_case("done_to_server", "HANDSHAKE_DONE from a client", (0x1E, b""))
violation_case("retire_unknown", "RETIRE_CONNECTION_ID of one never issued", (0x19, varint(1 << 20)))
violation_case("max_streams", "MAX_STREAMS above 2^60", (0x12, varint((1 << 60) + 1)))
violation_case("crypto_gap", "CRYPTO data far ahead", (0x06, varint(1 << 40) + b"\x01A"))
violation_case("stop_of_nothing", "STOP_SENDING for a stream that is not open", (0x05, b"\x01\0"))
violation_case("cid_backwards", "NEW_CONNECTION_ID that retires more than it numbers", (0x18, b"\x05\x09\x08" + b"c" * 8 + b"t" * 16))
violation_case("cid_limit", "more connection IDs than allowed",
               *((0x18, bytes([8 + i, 0, 8]) + bytes([i]) * 8 + bytes([i]) * 16) for i in range(16)))  # fmt: skip


async def storm(a, make):
    """Frames without end on one connection; a new one when it is ended."""
    while a.on():
        try:
            peer = await a.connect()
            n = 0
            while a.on() and peer.closed is None:
                peer.send_raw_frames(*(make(n + i) for i in range(30)))
                n, a.sent = n + 30, a.sent + 30
                await asyncio.sleep(0)
        except (Failed, ConnectionError):
            await asyncio.sleep(0.01)


@case("a connection ID with each packet, retiring all before", quic_protocol_errors=1)
async def cid_storm(a):
    await storm(a, lambda n: (0x18, varint(20 + n) + varint(20 + n) + b"\x08" + struct.pack(">Q", n) + struct.pack(">QQ", n, 7)))


@case("PATH_CHALLENGE without end", quic_rx_datagrams=100)
async def path_challenges(a):
    await storm(a, lambda n: (0x1A, struct.pack(">Q", n)))


@case("PING without end", quic_rx_datagrams=100)
async def ping_storm(a):
    await storm(a, lambda n: (0x01, b""))


@case("MAX_DATA and MAX_STREAMS without end", quic_rx_datagrams=100)
async def credit_storm(a):
    await storm(a, lambda n: (0x10, varint((1 << 30) + n)))


@case("a key update with each packet", quic_rx_datagrams=20)
async def key_updates(a):
    async def once(a):
        peer = await a.connect()
        while a.on():
            peer.request_key_update()
            await peer.echo(10, wait_s=1)

    await again_and_again(a, once, at_a_time=2)


@case("a new source port with each call", quic_rx_datagrams=20)
async def port_hopping(a):
    async def once(a):
        peer = await a.connect()
        for _ in range(20):
            await peer.new_port()
            await peer.echo(10, wait_s=1)

    await again_and_again(a, once, at_a_time=2)


@case("a migration to a new connection ID and port with each call", quic_rx_datagrams=20)
async def migrations(a):
    async def once(a):
        peer = await a.connect()
        for _ in range(20):
            await peer.new_port()
            peer.change_connection_id()
            await peer.echo(10, wait_s=1)

    await again_and_again(a, once, at_a_time=2)


@case("connections that are opened and closed", quic_closed_peer=5)
async def open_and_close(a):
    async def once(a):
        peer = await a.connect()
        Stream(peer).send(b"x")
        a.forget(peer)

    await again_and_again(a, once)
