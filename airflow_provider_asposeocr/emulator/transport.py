"""
What HTTP cannot express and real networks do: connections that are reset, answers that end in the middle.

ASGI hides the connection from the application. :class:`TransparentProtocol` is uvicorn's own HTTP protocol, which in
addition hands the application its transport, in the ``state`` of each request's scope.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Iterable

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

_TRANSPORT = "emulator_transport"


class TransparentProtocol(H11Protocol):
    """uvicorn's HTTP protocol, with its transport in the scope of each request."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """
        Begin a connection.

        :param transport: of it.
        """
        # Head and body of an answer are written apart: without this each would wait 40 ms for an acknowledgement.
        connection: socket.socket | None = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.app_state = {**self.app_state, _TRANSPORT: transport}
        super().connection_made(transport)


async def reset_connection(scope: Scope, receive: Receive) -> None:
    """
    Reset the connection of a request (TCP RST), without any answer.

    :param scope: of the request, whose body has been read.
    :param receive: of the request.
    """
    transport = _transport(scope)
    connection: socket.socket | None = transport.get_extra_info("socket")
    if connection is not None:
        # Closed with a linger time of zero a connection is not shut down but reset.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await _until_disconnected(receive)


async def answer_in_clear(scope: Scope, receive: Receive) -> None:
    """
    Answer a request with bytes that are no HTTP, past the TLS where there is some, and end the connection.

    :param scope: of the request, whose body has been read.
    :param receive: of the request.
    """
    transport = _transport(scope)
    connection: socket.socket | None = transport.get_extra_info("socket")
    if connection is not None:
        os.write(connection.fileno(), b"The gateway is not available.\r\n")
    transport.abort()
    await _until_disconnected(receive)


async def send_half(
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    status: int,
    headers: Iterable[tuple[bytes, bytes]],
    body: bytes,
) -> None:
    """
    Send an answer whose second half never comes.

    :param scope: of the request.
    :param receive: of the request.
    :param send: of the request.
    :param status: of the answer.
    :param headers: of the answer, with the length of the whole body.
    :param body: the whole body.
    """
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    _transport(scope).close()
    await _until_disconnected(receive)


def _transport(scope: Scope) -> asyncio.Transport:
    transport = scope.get("state", {}).get(_TRANSPORT)
    if not isinstance(transport, asyncio.Transport):
        raise RuntimeError("Connection faults need the emulator's own server: EmulatorServer, or the command.")
    return transport


async def _until_disconnected(receive: Receive) -> None:
    # uvicorn would report a request that ends without an answer as an error of ours while it is still connected.
    while (await receive())["type"] != "http.disconnect":
        pass
