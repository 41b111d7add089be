"""Attacks by what is said on streams."""

import asyncio
import struct

from quic_peer import Failed, Stream, blob, frame, request

from .quic import again_and_again
from .table import case

FOREVER = struct.pack("<Q", 1 << 40)  # milliseconds of sleep


def said_case(name, shows, data, fin=False, **counters):
    """The same bytes on one stream after the other."""

    @case(shows, name, **counters)
    async def attack(a):
        async def once(a):
            peer = await a.connect()
            while a.on():
                for _ in range(20):
                    Stream(peer).send(data, fin)
                    a.sent += 1
                await peer.ping()
                peer.streams.clear()

        await again_and_again(a, once, at_a_time=2)


said_case("huge_method", "a method name of 2^64 - 1 bytes", struct.pack("<QQ", 1, (1 << 64) - 1) + b"x" * 20, rpc_errors_unknown=20)
said_case("huge_params", "parameters of 2^40 bytes", struct.pack("<Q", 1) + blob(b"echo") + struct.pack("<Q", 1 << 40), rpc_too_large=20)
said_case("no_name", "a method without a name", request(1, ""), True, rpc_errors=20)
said_case("not_utf8", "a method name that is no text", struct.pack("<Q", 1) + blob(b"\xff\xfe\xfd\xfc") + blob(b""), True, rpc_errors_unknown=20)
said_case("no_such_method", "a method that nobody has", request(1, "no.such.method"), True, rpc_errors_unknown=20)
said_case("fin_too_early", "a request that ends in the middle", request(1, "echo", b"x" * 100)[:50], True, rpc_bad_requests=20)
said_case("gossip", "gossip that is none", struct.pack("<I", 0) + b"\xff" * 60, True, quic_streams_opened=20)


@case("streams that are opened and never written", quic_streams_opened=200)
async def silent_streams(a):
    async def once(a):
        peer = await a.connect()
        for _ in range(200):
            Stream(peer)
        await peer.ping()
        await asyncio.sleep(0.5)

    await again_and_again(a, once, at_a_time=2)


@case("requests of which a byte comes now and then", rpc_read_timeouts=5)
async def slow_senders(a):
    async def once(a):
        peer = await a.connect()
        streams = [Stream(peer) for _ in range(30)]
        for byte in request(1, "echo", b"x" * 1000):
            for s in streams:
                if s.reset is None and not s.stopped:
                    s.send(bytes([byte]))
            await asyncio.sleep(0.1)
            if not a.on():
                return

    await again_and_again(a, once, at_a_time=2)


@case("requests in pieces of one byte", rpc_requests=1)
async def one_byte_pieces(a):
    async def once(a):
        peer = await a.connect()
        while a.on():
            s = Stream(peer)
            for byte in request(1, "echo", b"x" * 30):
                s.send(bytes([byte]))
            await s._until(lambda: s.fin, 2)
            a.sent += 1

    await again_and_again(a, once, at_a_time=2)


def reset_case(name, shows, data, wait_s, **counters):
    @case(shows, name, **counters)
    async def attack(a):
        async def once(a):
            peer = await a.connect()
            while a.on():
                streams = [Stream(peer) for _ in range(20)]
                for s in streams:
                    s.send(data)
                if wait_s:
                    await asyncio.sleep(wait_s)
                for s in streams:
                    s.abort()
                a.sent += 20
                peer.streams.clear()
                await peer.ping()

        await again_and_again(a, once, at_a_time=2)


reset_case("reset_before_data", "streams reset before their first byte", b"", 0, quic_streams_opened=20)
reset_case("reset_in_request", "requests reset in the middle", request(1, "echo", b"x" * 500)[:300], 0.01, rpc_cancelled=10)
reset_case("reset_in_handler", "calls reset while they are handled", request(1, "sleep", FOREVER), 0.01, rpc_cancelled=10)
reset_case("reset_in_answer", "calls reset while they are answered", request(1, "echo", b"x" * 300_000), 0.005, rpc_cancelled=1)
reset_case("reset_after_answer", "calls reset after they were answered", request(1, "echo", b"x"), 0.02, rpc_requests=10)


@case("streams opened and reset as fast as they go", quic_streams_opened=200)
async def rapid_reset(a):
    async def once(a):
        peer = await a.connect()
        while a.on():
            for _ in range(50):
                s = Stream(peer)
                peer._quic.send_stream_data(s.id, request(1, "sleep", FOREVER))
                peer._quic.reset_stream(s.id, 0)
                peer._quic.stop_stream(s.id, 0)
            peer.transmit()
            a.sent += 50
            peer.streams.clear()
            await peer.ping()

    await again_and_again(a, once, at_a_time=2)


@case("more calls than there is room for", rpc_call_limit=5)
async def call_limit(a):
    async def once(a):
        peer = await a.connect()
        for _ in range(900):
            Stream(peer).send(request(1, "sleep", FOREVER))
        await peer.ping()
        await asyncio.sleep(0.3)

    await again_and_again(a, once, at_a_time=3)


@case("half requests for more memory than there is", rpc_body_limit=1)
async def request_memory(a):
    whole = request(1, "echo", bytes(1_000_000))

    async def once(a):
        peer = await a.connect()
        for _ in range(12):
            Stream(peer).send(whole[:900_000])
        await peer.ping()
        await asyncio.sleep(0.5)

    await again_and_again(a, once, at_a_time=2)


@case("answers that nobody reads", quic_streams_opened=20)
async def slow_readers(a):
    async def once(a):
        peer = await a.connect(max_data=2000, max_stream_data=1000)
        peer._quic._write_connection_limits = lambda builder, space: None
        peer._quic._write_stream_limits = lambda builder, space, stream: None
        for _ in range(10):
            Stream(peer).send(request(1, "echo", b"x" * 100_000))
        await asyncio.sleep(1)

    await again_and_again(a, once, at_a_time=2)


@case("streaming calls whose items never come", rpc_streams=5)
async def silent_streaming(a):
    async def once(a):
        peer = await a.connect()
        for _ in range(50):
            Stream(peer).send(frame(b"echo_stream") + frame(b"one"))
        await peer.ping()
        await asyncio.sleep(0.5)

    await again_and_again(a, once, at_a_time=2)


@case("streaming items of 2^32 - 1 bytes", rpc_too_large=5)
async def huge_items(a):
    async def once(a):
        peer = await a.connect()
        for _ in range(20):
            Stream(peer).send(frame(b"echo_stream") + b"\xff\xff\xff\xff" + b"x" * 100)
        await peer.ping()
        if not peer.streams:
            raise Failed("no stream")

    await again_and_again(a, once, at_a_time=2)
