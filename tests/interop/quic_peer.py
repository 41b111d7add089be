"""A client of our protocol over aioquic: streams, calls, frames of one's own making, bad networks."""

import asyncio
import random
import socket
import ssl
import struct
from types import SimpleNamespace

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.packet import QuicFrameType
from aioquic.tls import Epoch

WAIT_S = 10


class Failed(Exception):
    """A case did not see what it has to see."""


def check(condition, why):
    if not condition:
        raise Failed(why)


# The messages (docs/protocol.md): integers little endian, strings and byte strings after a u64 length.


def blob(data):
    return struct.pack("<Q", len(data)) + data


def request(call_id, method, params=b""):
    return struct.pack("<Q", call_id) + blob(method.encode()) + blob(params)


def response(data):
    """(id, result or None, error or None) of a whole response."""
    call_id, pos, parts = struct.unpack_from("<Q", data)[0], 8, []
    for _ in range(2):
        present, pos = data[pos], pos + 1
        part = None
        if present:
            size = struct.unpack_from("<Q", data, pos)[0]
            part, pos = data[pos + 8 : pos + 8 + size], pos + 8 + size
            check(len(part) == size, f"response cut at {len(data)} bytes")
        parts.append(part)
    check(pos == len(data), f"{len(data) - pos} bytes behind the response")
    return call_id, parts[0], parts[1]


def frame(data):
    return struct.pack("<I", len(data)) + data


END = frame(b"")


class Stream:
    """One bidirectional stream; `data` is what has come and was not yet taken."""

    def __init__(self, peer):
        self.peer, self.data, self.fin, self.reset, self.stopped = peer, bytearray(), False, None, False
        self.id = peer._quic.get_next_available_stream_id()
        self.changed = asyncio.Event()
        peer.streams[self.id] = self
        peer._quic.send_stream_data(self.id, b"")

    def send(self, data, fin=False):
        try:
            self.peer._quic.send_stream_data(self.id, data, fin)
        except AssertionError:  # the peer has stopped this direction
            check(self.stopped, "the stream takes no more data")
        self.peer.transmit()

    def abort(self):
        """RESET_STREAM and STOP_SENDING."""
        self.peer._quic.reset_stream(self.id, 0)
        self.peer._quic.stop_stream(self.id, 0)
        self.peer.transmit()

    async def _until(self, ready, wait_s):
        try:
            async with asyncio.timeout(wait_s):
                while not ready():
                    check(self.reset is None, f"reset with {self.reset}")
                    check(self.peer.closed is None, f"connection closed: {self.peer.closed}")
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            raise Failed(f"nothing for {wait_s} s after {len(self.data)} bytes") from None

    async def item(self, wait_s=WAIT_S):
        """The next frame of a response stream, b'' for the end marker."""
        await self._until(lambda: len(self.data) >= 4, wait_s)
        size = struct.unpack_from("<I", self.data)[0]
        await self._until(lambda: len(self.data) >= 4 + size, wait_s)
        item = bytes(self.data[4 : 4 + size])
        del self.data[: 4 + size]
        return item

    async def rest(self, wait_s=WAIT_S):
        """Everything up to FIN; then closes this direction too."""
        await self._until(lambda: self.fin, wait_s)
        data = bytes(self.data)
        self.send(b"", fin=True)
        self.peer.streams.pop(self.id, None)
        return data


class Peer(QuicConnectionProtocol):
    """A connection. `drop`: share of datagrams lost each way; `twice`: share that goes out twice."""

    def __init__(self, quic):
        super().__init__(quic)
        self.streams, self.closed, self.next_id = {}, None, 1
        self.drop, self.twice, self.rng = 0.0, 0.0, random.Random(7)
        self.raw_frames = []
        quic._write_ping_frame = self._write_raw_or_ping
        self._write_ping = QuicConnection._write_ping_frame.__get__(quic)
        quic._write_ack_frame = self._write_ack_unless_raw
        self._write_ack = QuicConnection._write_ack_frame.__get__(quic)
        self._get_stream = quic._get_or_create_stream
        quic._get_or_create_stream = self._stream_that_may_be_reset_again

    # Frames that aioquic has no call for go where it would write a PING.
    def _write_raw_or_ping(self, builder, uids=(), comment=""):
        self._write_ping(builder, uids, comment)
        while self.raw_frames:
            kind, body = self.raw_frames.pop(0)
            builder.start_frame(kind, capacity=8 + len(body)).push_bytes(body)

    # ngtcp2 reads one ACK of a packet and skips the others: ours would stand before one that was made. It goes with the packet after.
    def _write_ack_unless_raw(self, builder, space, now):
        if not self.raw_frames or space is not self._quic._spaces[Epoch.ONE_RTT]:
            self._write_ack(builder, space, now)

    # STOP_SENDING comes again when the peer takes the packet it was in for lost. aioquic 1.2 asserts that a stream is reset once, and the packet of the
    # second one is never acknowledged, so that the peer sends it again and again.
    def _stream_that_may_be_reset_again(self, frame_type, stream_id):
        stream = self._get_stream(frame_type, stream_id)
        if frame_type == QuicFrameType.STOP_SENDING and stream.sender._reset_error_code is not None:
            return SimpleNamespace(sender=SimpleNamespace(reset=lambda error_code: None))
        return stream

    def send_raw_frames(self, *frames):
        """Frames of (type, body), in one packet."""
        self.raw_frames += frames
        self._quic.send_ping(0)
        self.transmit()

    def quic_event_received(self, event):
        if isinstance(event, events.ConnectionTerminated):
            self.closed = event
            for stream in self.streams.values():
                stream.changed.set()
        stream = self.streams.get(getattr(event, "stream_id", None))
        if stream is None:
            return
        if isinstance(event, events.StreamDataReceived):
            stream.data += event.data
            stream.fin |= event.end_stream
        elif isinstance(event, events.StreamReset):
            stream.reset = event.error_code
        elif isinstance(event, events.StopSendingReceived):
            stream.stopped = True
        stream.changed.set()

    def connection_made(self, transport):
        super().connection_made(BadNetwork(self, transport))

    def datagram_received(self, data, addr):
        if self.rng.random() >= self.drop:
            super().datagram_received(data, addr)

    async def new_port(self):
        """Goes on from another UDP port, as behind a NAT; the old one is closed."""
        old, addr = self._transport, self._quic._network_paths[0].addr
        await self._loop.create_datagram_endpoint(lambda: Forward(self), local_addr=any_address(addr))
        old.close()

    async def call(self, method, params=b"", wait_s=WAIT_S):
        """(result, error) of a unary call."""
        call_id, self.next_id = self.next_id, self.next_id + 1
        stream = Stream(self)
        stream.send(request(call_id, method, params))
        got_id, result, error = response(await stream.rest(wait_s))
        check(got_id == call_id, f"answer for {got_id}, not {call_id}")
        return result, error

    async def echo(self, size, wait_s=WAIT_S):
        data = self.rng.randbytes(size)
        result, error = await self.call("echo", data, wait_s)
        check(error is None and result == data, f"echo of {size} bytes: {error or 'other bytes'}")

    def stream(self, name, items=(), end=True):
        stream = Stream(self)
        stream.send(frame(name.encode()) + b"".join(map(frame, items)) + (END if end else b""))
        return stream


class BadNetwork:
    """A transport that loses and repeats datagrams as its peer says."""

    def __init__(self, peer, transport):
        self.peer, self.transport = peer, transport

    def sendto(self, data, addr):
        if self.peer.rng.random() < self.peer.drop:
            return
        self.transport.sendto(data, addr)
        if self.peer.rng.random() < self.peer.twice:
            self.transport.sendto(data, addr)

    def close(self):
        self.transport.close()


class Forward(asyncio.DatagramProtocol):
    """A further socket of a peer."""

    def __init__(self, peer):
        self.peer = peer

    def connection_made(self, transport):
        self.peer._transport = BadNetwork(self.peer, transport)

    def datagram_received(self, data, addr):
        self.peer.datagram_received(data, addr)


def any_address(addr):
    return ("::", 0) if ":" in addr[0] else ("0.0.0.0", 0)


class Target:
    """The node under test. connection: the class of connections to it."""

    connection = QuicConnection

    def __init__(self, addr, cert, server_name):
        self.addr, self.cert, self.server_name = addr, cert, server_name
        self.peers = []

    async def connect(self, before=None, wait_s=WAIT_S, **changes):
        """A connection whose handshake is complete. before(peer) runs ahead of the first datagram."""
        options = dict(
            alpn_protocols=["h3"], server_name=self.server_name, verify_mode=ssl.CERT_REQUIRED, idle_timeout=30.0,
            max_data=16 << 20, max_stream_data=8 << 20, initial_rtt=0.05,
        )  # fmt: skip
        configuration = QuicConfiguration(is_client=True, **{**options, **changes})
        configuration.load_verify_locations(cafile=self.cert)
        loop = asyncio.get_running_loop()
        quic = self.connection(configuration=configuration)
        _, peer = await loop.create_datagram_endpoint(lambda: Peer(quic), local_addr=any_address(self.addr))
        if before:
            before(peer)
        self.peers.append(peer)
        peer.connect(self.addr)
        try:
            async with asyncio.timeout(wait_s):
                await peer.wait_connected()
        except TimeoutError:
            peer._connected_waiter = None
            raise Failed(f"no handshake within {wait_s} s") from None
        except ConnectionError:
            raise Failed(f"handshake: {peer.closed}") from None
        return peer

    def close(self):
        """Closes all connections."""
        for peer in self.peers:
            peer.drop = 0.0
            peer.close()
            peer._transport.close()

    def datagram(self, data, wait_s=1.0):
        """Sends one datagram from a socket of its own and returns the answer, None if there is none."""
        with socket.socket(socket.AF_INET6 if ":" in self.addr[0] else socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(wait_s)
            s.connect(self.addr[:2])
            s.send(data)
            try:
                return s.recv(65536)
            except (TimeoutError, ConnectionError):
                return None
