"""An HTTP server of bare sockets, and the answers it gives."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

CLIENT_ID = "test-client"


CLIENT_SECRET = "correct horse battery staple"


JOB = "a197aade-bba9-4c7a-92c7-46851b3dceaa"


@dataclass
class Received:
    """A request as it came in."""

    method: str
    target: str
    headers: dict[str, str]
    peer: socket.socket = field(repr=False)
    connection: int = 0
    early: bytes = b""
    _body: bytes | None = None

    def body(self) -> bytes:
        """The whole body, read now."""
        if self._body is None:
            self._body, left = self.early, int(self.headers.get("content-length", 0)) - len(self.early)
            parts = [self._body]
            while left > 0 and (more := self.peer.recv(min(left, 1 << 20))):
                parts.append(more)
                left -= len(more)
            self._body = b"".join(parts)
        return self._body

    def drip(self, reply: bytes, drops: int = 60) -> bytes:
        """Send an answer a drop at a time, and return its last byte; raises where the client does not wait for it."""
        self.body()
        size = -(-len(reply) // drops)
        for at in range(0, len(reply) - 1, size):
            self.peer.sendall(reply[at : min(at + size, len(reply) - 1)])
            time.sleep(0.05)
        return reply[-1:]

    def reset(self) -> None:
        """Break the connection the hard way."""
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


Script = Callable[[Received], bytes | None]


def answer(status: int, body: bytes | str | dict[str, Any] = b"", **headers: str) -> bytes:
    """The bytes of an HTTP answer; ``retry_after="1"`` becomes ``Retry-After: 1``."""
    if isinstance(body, dict):
        body = json.dumps(body)
    content = body.encode() if isinstance(body, str) else body
    head = [f"HTTP/1.1 {status} Because"]
    head += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if "content_length" not in headers:
        head.append(f"Content-Length: {len(content)}")
    return "\r\n".join([*head, "", ""]).encode() + content


def token_answer(token: str = "a-token", expires_in: float = 3600) -> bytes:
    """A good answer of the token endpoint."""
    return answer(200, {"access_token": token, "expires_in": expires_in, "token_type": "Bearer"})


def task_answer(status: str = "Completed", **more: Any) -> bytes:
    """A good answer to a GET."""
    return answer(200, {"id": JOB, "taskStatus": status, "responseStatusCode": "Ok", "error": None, **more})


class RawServer:
    """
    An HTTP server of bare sockets, for what no well-behaved server does.

    :param script: what to answer; ``None`` closes the connection. Tokens are answered without asking it.
    :param tls: to speak TLS.
    """

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None, tokens: bool = True) -> None:
        self._script = script
        self._tls = tls
        self._tokens = tokens
        self.requests: list[Received] = []
        self.token_calls = 0
        self.connections = 0
        self._lock = threading.Lock()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._peers: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        port = self._socket.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._peers.append(peer)
                thread = threading.Thread(target=self._serve, args=(peer, self.connections), daemon=True)
                self._threads.append(thread)
            thread.start()

    def _serve(self, peer: socket.socket, number: int) -> None:
        try:
            if self._tls:
                with self._lock:
                    self._peers.remove(peer)
                    peer = self._tls.wrap_socket(peer, server_side=True, do_handshake_on_connect=False)
                    self._peers.append(peer)
                peer.do_handshake()
            while (received := self._request(peer, number)) is not None:
                if self._tokens and received.target.endswith("/connect/token"):
                    received.body()
                    with self._lock:
                        self.token_calls += 1
                    reply: bytes | None = token_answer(f"token-{self.token_calls}")
                else:
                    with self._lock:
                        self.requests.append(received)
                    reply = self._script(received)
                    if reply is not None:
                        received.body()
                if reply is None:
                    return
                peer.sendall(reply)
                if b"connection: close" in reply.split(b"\r\n\r\n")[0].lower():
                    return
        except OSError:
            return
        finally:
            peer.close()

    def _request(self, peer: socket.socket, number: int) -> Received | None:
        head = b""
        while b"\r\n\r\n" not in head:
            more = peer.recv(65536)
            if not more:
                return None
            head += more
        head, _, early = head.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return Received(method, target, headers, peer, number, early)

    def all_closed(self, timeout: float = 5) -> bool:
        """Whether the clients have closed all connections; waits a moment for the news."""
        for thread in list(self._threads):
            thread.join(timeout)
        return not any(thread.is_alive() for thread in self._threads)

    def close(self) -> None:
        """End."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._accepting.join(5)
        for peer in self._peers:
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)


def nobody_listens() -> str:
    """The address of a port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"http://127.0.0.1:{taken.getsockname()[1]}"
