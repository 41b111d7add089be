#!/usr/bin/env python3
"""A third QUIC stack against a node: aioquic, with frames, datagrams and networks that the others do not produce."""

import argparse
import asyncio
import fnmatch
import os
import socket
import ssl
import struct
import sys
import time

from aioquic.quic.packet import QuicProtocolVersion
from aioquic.tls import CipherSuite

from quic_peer import END, Failed, Stream, Target, check, frame, request, response

CASES = []
UNKNOWN_VERSION = 0x1A2A3A4A  # of the form that is reserved for exercising negotiation (RFC 9000, 15)


def case(shows, name=None, limit_s=30, waits=False, special=False):
    """Registers an async function of (target) as a case. One that mostly waits runs beside the others; a special one,
    which needs a node that is set up for it, runs only when it is named."""

    def register(run):
        CASES.append((name or run.__name__, shows, limit_s, waits, special, run))
        return run

    return register


def echo_case(name, size):
    @case(f"echo of {size:,} bytes", name, limit_s=60)
    async def run(target):
        peer = await target.connect()
        for _ in range(2):
            await peer.echo(size, wait_s=50)


for short, size in [("0", 0), ("1", 1), ("15", 15), ("100", 100), ("1k", 1000), ("10k", 10_000), ("100k", 100_000),
                    ("1m", 1 << 20), ("12m", 12_000_000)]:  # fmt: skip
    echo_case(f"echo_{short}", size)


@case("1,000 calls outstanding at once on one connection")
async def concurrent_1000(target):
    peer = await target.connect()
    await asyncio.gather(*(peer.echo(i % 300) for i in range(1000)))


@case("30 connections at once, 10 calls each")
async def connections_30(target):
    async def one():
        peer = await target.connect()
        for size in range(10):
            await peer.echo(size)

    await asyncio.gather(*(one() for _ in range(30)))


@case("exact texts of errors")
async def errors(target):
    peer = await target.connect()
    for method, params, text in [
        ("nobody.home", b"x", "Unknown method: nobody.home"),
        ("fail", b"no luck", "Stream error: no luck"),
        ("add", b"123", "Serialization error: io error: unexpected end of file"),
    ]:
        result, error = await peer.call(method, params)
        check(result is None and error == text.encode(), f"{method}: {result!r}, {error!r}")


@case("500 messages through echo_stream, in order")
async def echo_stream_500(target):
    peer = await target.connect()
    items = [b"message-%d" % i for i in range(500)]
    stream = peer.stream("echo_stream", items)
    got = await stream.rest()
    check(got == b"".join(map(frame, items)) + END, f"{len(got)} bytes differ")


@case("1,000 tokens from count_stream")
async def count_stream_1000(target):
    peer = await target.connect()
    got = await peer.stream("count_stream", [struct.pack("<I", 1000)]).rest()
    check(got == b"".join(frame(b"token-%d" % i) for i in range(1000)) + END, f"{len(got)} bytes differ")


@case("1,000 numbers into sum_stream")
async def sum_stream_1000(target):
    peer = await target.connect()
    got = await peer.stream("sum_stream", [struct.pack("<q", i - 100) for i in range(1000)]).rest()
    check(got == frame(struct.pack("<q", 999 * 500 - 100_000)) + END, f"{got!r}")


async def twenty_ticks(stream):
    start, times = time.monotonic(), []
    for i in range(20):
        item = await stream.item(3)
        check(item == b"tick-%d" % i, f"{item!r} for tick {i}")
        times.append(time.monotonic() - start)
    check(times[0] < 0.5 and 0.15 < times[-1] < 1.5, f"first tick after {times[0]:.2f} s, last after {times[-1]:.2f} s")
    check(await stream.item(3) == b"", "no end after 20 ticks")


@case("20 ticks arrive while the client sends a frame every 5 ms")
async def tick_duplex(target):
    peer = await target.connect()
    stream = peer.stream("tick_stream", end=False)

    async def send():
        while True:
            await asyncio.sleep(0.005)
            stream.send(frame(b"x" * 500))

    sender = asyncio.create_task(send())
    try:
        await twenty_ticks(stream)
        check(not sender.done(), "the client could not send")
    finally:
        sender.cancel()
    stream.send(END)
    await stream.rest()


@case("20 ticks arrive while the client sends nothing but the method's name")
async def tick_idle(target):
    peer = await target.connect()
    stream = peer.stream("tick_stream", end=False)
    await twenty_ticks(stream)
    stream.send(END)
    await stream.rest()


@case("an error item becomes an error frame and the stream goes on")
async def err_stream(target):
    peer = await target.connect()
    got = await peer.stream("err_stream", [b"a", b"ERR", b"b"]).rest()
    check(got == frame(b"a") + frame(b"Error processing request") + frame(b"b") + END, f"{got!r}")


@case("two frames of 5,000,000 bytes", limit_s=60)
async def frames_5mb(target):
    peer = await target.connect()
    item = peer.rng.randbytes(5_000_000)
    got = await peer.stream("echo_stream", [item, item]).rest(50)
    check(got == (frame(item) + frame(item) + END), f"{len(got)} bytes differ")


@case("a stream that is reset early leaves the connection usable")
async def early_drop(target):
    peer = await target.connect()
    for _ in range(20):
        stream = peer.stream("count_stream", [struct.pack("<I", 1_000_000)])
        await stream.item()
        stream.abort()
    await peer.echo(100_000)


@case("a unary request split at every byte")
async def split(target):
    peer = await target.connect()
    whole = request(1, "echo", b"\xde\xad\xbe\xef")
    for at in range(1, len(whole)):
        stream = Stream(peer)
        stream.send(whole[:at])
        await peer.ping()
        stream.send(whole[at:])
        check(response(await stream.rest())[1] == b"\xde\xad\xbe\xef", f"split at {at}")


@case("STREAM frames of length 0: first, in the middle, last with FIN")
async def empty_frames(target):
    peer = await target.connect()

    def empty(stream_id, offset, fin=False):
        kind = 0x0E | fin  # offset and length present
        peer.send_raw_frames((kind, struct.pack(">HHB", 0x4000 | stream_id, 0x4000 | offset, 0)))

    for _ in range(3):
        empty(peer._quic._local_next_stream_id_bidi, 0)
        await peer.ping()
        stream = Stream(peer)
        whole = request(3, "echo", b"abc")
        stream.send(whole[:20])
        await peer.ping()
        empty(stream.id, 20)
        empty(stream.id, 0)
        stream.send(whole[20:])
        await stream._until(lambda: stream.fin, 5)
        empty(stream.id, len(whole), fin=True)
        check(response(stream.data)[1] == b"abc", "other bytes")
        await peer.echo(10)


@case("a client whose windows are 10,000 and 20,000 bytes gets its megabyte")
async def small_windows(target):
    peer = await target.connect(max_data=20_000, max_stream_data=10_000)
    await peer.echo(1 << 20, wait_s=25)


@case("5 % of datagrams lost each way", limit_s=90)
async def loss_5pct(target):
    peer = await target.connect()
    peer.drop = 0.05
    for size in [100, 100_000, 1_000_000]:
        await peer.echo(size, wait_s=60)


@case("the handshake with 20 % of datagrams lost each way", limit_s=60)
async def loss_handshake(target):
    def lossy(peer):
        peer.drop = 0.2

    for _ in range(3):
        await (await target.connect(before=lossy)).echo(100, wait_s=20)


@case("every datagram sent twice")
async def duplicates(target):
    def twice(peer):
        peer.twice = 1.0

    peer = await target.connect(before=twice)
    for size in [1, 10_000, 300_000]:
        await peer.echo(size)


def cipher_case(suite, name):
    @case(f"a client that offers {suite.name} alone", name)
    async def run(target):
        peer = await target.connect(cipher_suites=[suite])
        await peer.echo(10_000)


cipher_case(CipherSuite.AES_128_GCM_SHA256, "cipher_aes128")
cipher_case(CipherSuite.AES_256_GCM_SHA384, "cipher_aes256")
cipher_case(CipherSuite.CHACHA20_POLY1305_SHA256, "cipher_chacha20")


@case("a client that names no server")
async def no_sni(target):
    peer = await target.connect(server_name=None, verify_mode=ssl.CERT_NONE)
    await peer.echo(100)


@case("five key updates by the client, calls after each")
async def key_update(target):
    peer = await target.connect()
    for _ in range(5):
        await peer.echo(5000)
        peer.request_key_update()
        await peer.echo(5000)


async def migrate(target, new_cid):
    peer = await target.connect()
    await peer.echo(1000)
    for i in range(5):
        await peer.new_port()
        if new_cid:
            peer.change_connection_id()
        try:
            for size in [100, 50_000]:
                await peer.echo(size, wait_s=6)
        except Failed as e:
            raise Failed(f"after change {i + 1}: {e}") from None
        if new_cid:
            # Until the path is validated ngtcp2 counts the connection IDs of the old one too, and a client that
            # replaces them meanwhile is over the limit.
            await asyncio.sleep(0.3)


@case("five new source ports with the old connection ID, as behind a NAT", limit_s=60)
async def port_change_5(target):
    await migrate(target, new_cid=False)


@case("five migrations: new source port and new connection ID", limit_s=60)
async def migrate_5(target):
    await migrate(target, new_cid=True)


@case("a new source port in the middle of an echo of 1 MiB", limit_s=60)
async def port_change_busy(target):
    peer = await target.connect()

    async def change():
        await asyncio.sleep(0.02)
        await peer.new_port()

    await asyncio.gather(peer.echo(1 << 20, wait_s=40), change())


def long_header(version, size, dcid=b"12345678", scid=b"abcdefgh"):
    head = b"\xc3" + struct.pack(">I", version) + bytes([len(dcid)]) + dcid + bytes([len(scid)]) + scid
    return head + bytes(size - len(head))


@case("an unknown version is answered with Version Negotiation, in 1,200 bytes only, and never Version Negotiation itself")
async def version_negotiation(target):
    for dcid, scid in [(b"12345678", b"abcdefgh"), (b"D" * 20, b"S"), (b"", b"")]:
        answer = target.datagram(long_header(UNKNOWN_VERSION, 1200, dcid, scid))
        check(answer, f"no answer to connection IDs of {len(dcid)} and {len(scid)} bytes")
        head = b"\0\0\0\0" + bytes([len(scid)]) + scid + bytes([len(dcid)]) + dcid
        check(answer[0] & 0x80 and answer[1 : 1 + len(head)] == head, f"{answer[:60].hex()}")
        versions = [v for (v,) in struct.iter_unpack(">I", answer[1 + len(head) :])]
        check(QuicProtocolVersion.VERSION_1 in versions and UNKNOWN_VERSION not in versions, f"offers {versions}")
    check(not target.datagram(long_header(UNKNOWN_VERSION, 600)), "answered a datagram of 600 bytes")
    check(not target.datagram(long_header(0, 1200)), "answered Version Negotiation")


@case("a client that starts with an unknown version falls back to version 1")
async def version_fallback(target):
    peer = await target.connect(
        original_version=UNKNOWN_VERSION, supported_versions=[UNKNOWN_VERSION, QuicProtocolVersion.VERSION_1]
    )
    await peer.echo(1000)


@case("Retry is accepted and the call behind it works; the node has to send Retry to all", special=True)
async def retry(target):
    peer = await target.connect()
    await peer.echo(1000)
    check(peer._quic._retry_count == 1, "the node sent no Retry")


@case("another protocol (ALPN) is refused by a TLS alert")
async def alpn_mismatch(target):
    try:
        await target.connect(alpn_protocols=["hq-interop"])
    except Failed as e:
        check("error_code=376" in str(e), str(e))  # 0x100 + no_application_protocol (RFC 9001, 8.1)
    else:
        raise Failed("accepted")


def violation(name, shows, code, *frames):
    @case(shows, name)
    async def run(target):
        other = await target.connect()
        peer = await target.connect()
        await peer.echo(10)
        peer.send_raw_frames(*((kind, bytes.fromhex(body)) for kind, body in frames))
        try:
            async with asyncio.timeout(3):
                await peer.wait_closed()
        except TimeoutError:
            raise Failed("the connection stays open") from None
        check(peer.closed.error_code == code, f"{peer.closed}")
        await other.echo(100)


# Error codes: RFC 9000, 20.1. Bodies in hex: stream id, offset where the type says so, length, data.
violation("frame_unknown", "a frame of unknown type closes the connection, FRAME_ENCODING_ERROR", 7, (0x21, "00"))
violation("stream_limit", "a stream beyond the limit closes it, STREAM_LIMIT_ERROR", 4, (0x0A, "bfffff00 00"))
violation("stream_state", "data on a stream of the node's closes it, STREAM_STATE_ERROR", 5, (0x0A, "01 01 41"))
violation("data_limit", "data far past the window closes it, FLOW_CONTROL_ERROR", 3, (0x0E, "40c8 c000010000000000 01 41"))
violation("final_size", "data behind FIN closes it, FINAL_SIZE_ERROR", 6, (0x0B, "40c8 02 4142"), (0x0E, "40c8 09 01 43"))


@case("a packet for a connection that is gone gets its stateless reset, shorter than itself")
async def stateless_reset(target):
    peer = await target.connect()
    await peer.echo(10)
    known = [c for c in peer._quic._peer_cid_available if c.stateless_reset_token]
    check(known, "the node issued no connection ID")
    peer.close()
    loop, packet = asyncio.get_running_loop(), b"\x5a" + known[0].cid + os.urandom(80)
    for _ in range(8):
        await asyncio.sleep(1)
        answer = await loop.run_in_executor(None, target.datagram, packet)
        if answer:
            break
    check(answer, "no answer within 8 s")
    check(answer[-16:] == known[0].stateless_reset_token, "not the token that came with the connection ID")
    check(21 <= len(answer) < len(packet) and answer[0] & 0xC0 == 0x40, f"{len(answer)} bytes, {answer[:1].hex()}")


@case("datagrams of junk are dropped, or answered with less")
async def junk(target):
    peer = await target.connect()
    with socket.socket(socket.AF_INET6 if ":" in target.addr[0] else socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setblocking(False)
        s.connect(target.addr[:2])
        for i in range(2000):
            first = bytes([peer.rng.randrange(256)])
            s.send(first + peer.rng.randbytes(peer.rng.choice([0, 3, 20, 60, 1199, 1471])))
            if i % 100 == 0:
                await peer.echo(100)
    for size in [21, 22, 40, 100, 1200]:
        answer = target.datagram(b"\x41" + peer.rng.randbytes(size - 1), 0.2)
        check(not answer or len(answer) < size, f"{len(answer or b'')} bytes for {size}")
    await peer.echo(1000)


@case("40 s without a call, a PING every 10 s", limit_s=60, waits=True)
async def idle_40s(target):
    peer = await target.connect()
    for _ in range(4):
        await asyncio.sleep(10)
        await peer.ping()
    await peer.echo(1000)


async def run(name, limit_s, body, args):
    """Runs one case and prints its line. True if it passed."""
    target = Target(args.sockaddr, args.cert, args.server_name)
    try:
        async with asyncio.timeout(limit_s):
            await body(target)
        print(f"ok {name}", flush=True)
    except TimeoutError:
        print(f"not ok {name}: not done after {limit_s} s", flush=True)
        return False
    except Exception as why:  # a case that breaks is a case that fails
        print(f"not ok {name}: {why or type(why).__name__}", flush=True)
        return False
    finally:
        target.close()
    return True


async def run_all(cases, args):
    beside = [asyncio.create_task(run(n, limit, body, args)) for n, _, limit, waits, _, body in cases if waits]
    results = [await run(n, limit, body, args) for n, _, limit, waits, _, body in cases if not waits]
    return all(results + await asyncio.gather(*beside))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="example: aioquic_client.py --addr 172.28.80.10:8080 --cert docker/tls/node.crt 'echo_*'"
    )
    parser.add_argument("--addr", metavar="HOST:PORT", help="the node")
    parser.add_argument("--cert", metavar="FILE", help="its certificate in PEM, which is also the trust anchor")
    parser.add_argument("--server-name", default="localhost", help="name that the certificate has to hold (localhost)")
    parser.add_argument("--list", action="store_true", help="print the names and what each shows, and exit")
    parser.add_argument("cases", nargs="*", metavar="CASE", help="cases to run, * and ? match (all that need no special node)")
    args = parser.parse_args()
    chosen = [c for c in CASES if any(fnmatch.fnmatch(c[0], wanted) for wanted in args.cases)]
    cases = chosen if args.cases else [c for c in CASES if args.list or not c[4]]
    if args.list:
        for name, shows, *_ in cases:
            print(f"{name:<24} {shows}")
        return 0
    if not args.addr or not args.cert or not cases:
        parser.error("--addr and --cert are needed" if cases else f"no case {args.cases}; --list has them all")
    host, port = args.addr.rsplit(":", 1)
    args.sockaddr = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)[0][4]
    return 0 if asyncio.run(run_all(cases, args)) else 1


if __name__ == "__main__":
    sys.exit(main())
