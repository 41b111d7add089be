#!/usr/bin/env python3
"""A server of the unary method echo on aioquic, for our client: a third stack that follows a client to new ports."""

import argparse
import asyncio
import struct

from aioquic.asyncio import serve
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import StreamDataReceived


def echoed(request):
    """The response to a whole request (docs/protocol.md), None while bytes are missing."""
    if len(request) < 16:
        return None
    params = 16 + struct.unpack_from("<Q", request, 8)[0]
    if len(request) < params + 8:
        return None
    end = params + 8 + struct.unpack_from("<Q", request, params)[0]
    if len(request) < end:
        return None
    return bytes(request[:8]) + b"\1" + bytes(request[params:end]) + b"\0"


class Echo(QuicConnectionProtocol):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.requests = {}

    def quic_event_received(self, event):
        if not isinstance(event, StreamDataReceived) or self.requests.get(event.stream_id, b"") is None:
            return
        request = self.requests.setdefault(event.stream_id, bytearray())
        request += event.data
        response = echoed(request)
        if response is not None:
            self.requests[event.stream_id] = None  # answered; surplus is ignored
            self._quic.send_stream_data(event.stream_id, response, end_stream=True)


async def main():
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="example: aioquic_server.py --port 18081 --cert node.crt --key node.key"
    )
    parser.add_argument("--bind", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, default=18081, help="UDP port (18081)")
    parser.add_argument("--cert", required=True, help="certificate, PEM")
    parser.add_argument("--key", required=True, help="its key, PEM")
    args = parser.parse_args()
    configuration = QuicConfiguration(is_client=False, alpn_protocols=["h3"], max_data=16 << 20, max_stream_data=8 << 20)
    configuration.load_cert_chain(args.cert, args.key)
    await serve(args.bind, args.port, configuration=configuration, create_protocol=Echo)
    print(f"listening on {args.bind}:{args.port}", flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
