"""Runs the emulator: in the main thread for the command, in a background thread for tests."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, ClassVar

import uvicorn

from airflow_provider_asposeocr.api.values import Value
from airflow_provider_asposeocr.emulator.application import MAX_BODY, Service, create_application
from airflow_provider_asposeocr.emulator.calls import CallBook, CallReport
from airflow_provider_asposeocr.emulator.engine import CachingReader, RapidOcrReader, TextReader
from airflow_provider_asposeocr.emulator.faults import FaultPlan, FaultRule, parse_rules
from airflow_provider_asposeocr.emulator.jobs import Clock, JobQueue, JobSummary
from airflow_provider_asposeocr.emulator.reading import PageReader
from airflow_provider_asposeocr.emulator.tokens import TokenDesk
from airflow_provider_asposeocr.emulator.transport import TransparentProtocol
from airflow_provider_asposeocr.emulator.work import EmulatedEndpoint

DAY = 24 * 60 * 60.0
_START_TIMEOUT = 30.0
# Real load balancers keep a connection for about as long; uvicorn's 5 s would end it between two polls.
_KEEP_ALIVE = 75


class RemoteHostError(ValueError):
    """The emulator would be reachable from other machines, and nobody said that this is wanted."""


class CertificateError(ValueError):
    """There is no certificate with its private key in the files that were named."""


class EmulatorOptions(Value, frozen=True):
    """
    How the emulator behaves.

    :param latency: seconds a job takes at least; the first third of them it is ``Pending``.
    :param retention: seconds after which a job is ``NotExist``.
    :param token_lifetime: seconds a token is good for.
    :param client_id: the only client id that gets a token; any, if ``None``.
    :param client_secret: the only secret that gets a token; any, if ``None``.
    :param workers: how many images are read at the same time; by default one per processor, at most four.
    :param certificate: path of the certificate chain (PEM) to serve https with; ``None`` for plain http.
    :param key: path of its private key (PEM, without a password); by default it stands in the same file.
    :param max_body: bytes of a request's body at most.
    """

    UNSAID: ClassVar[tuple[str, ...]] = ("client_secret",)

    latency: float = 0.0
    retention: float = DAY
    token_lifetime: float = 3600.0
    client_id: str | None = None
    client_secret: str | None = None
    workers: int | None = None
    certificate: str | None = None
    key: str | None = None
    max_body: int = MAX_BODY


class NotifyingServer(uvicorn.Server):
    """
    A uvicorn server that says when it serves.

    :param config: of uvicorn.
    :param on_ready: called once, when the first request may come.
    """

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """
        Begin to serve.

        :param sockets: to listen on.
        """
        await super().startup(sockets)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """
        End.

        :param sockets: it listens on.
        """
        await super().shutdown(sockets)
        # Over TLS a connection that is closed waits for a farewell, which a client that keeps it for later never sends.
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)


class Emulator:
    """
    An emulator that is ready to be served: its parts, and the socket it listens on.

    :param options: how it behaves.
    :param host: address to listen on.
    :param port: 0 for one that is free.
    :param allow_remote: whether the address may be one that other machines can reach.
    :param reader: reads the images; by default RapidOCR, with a memory.
    :param clock: seconds from any start.
    :param endpoints: to be served besides those of the service.
    :raises RemoteHostError: if the address can be reached from other machines, without leave.
    :raises CertificateError: if the certificate or its key cannot be used.
    """

    def __init__(
        self,
        options: EmulatorOptions,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        allow_remote: bool = False,
        reader: TextReader | None = None,
        clock: Clock = time.monotonic,
        endpoints: Sequence[EmulatedEndpoint] = (),
    ) -> None:
        if not allow_remote and not is_loopback(host):
            raise RemoteHostError(
                f"{host} can be reached from other machines, and the emulator lets anybody in: use 127.0.0.1, or allow "
                "it with --allow-remote."
            )
        _refuse_faulty_certificate(options)
        self._certificate, self._key = options.certificate, options.key
        self.reader: TextReader = reader if reader is not None else CachingReader(RapidOcrReader())
        self.book = CallBook()
        self.plan = FaultPlan(clock)
        self.queue = JobQueue(
            latency=options.latency,
            retention=options.retention,
            workers=options.workers or min(4, os.cpu_count() or 1),
            clock=clock,
        )
        self.tokens = TokenDesk(
            lifetime=options.token_lifetime,
            client_id=options.client_id,
            client_secret=options.client_secret,
            clock=clock,
        )
        service = Service(
            tokens=self.tokens,
            queue=self.queue,
            book=self.book,
            plan=self.plan,
            reader=PageReader(self.reader),
            max_body=options.max_body,
            further=endpoints,
        )
        self._app = create_application(service)
        self._socket = socket.create_server((host, port), family=_family(host), backlog=2048)
        bound_port = self._socket.getsockname()[1]
        scheme = "https" if options.certificate else "http"
        self.url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{bound_port}"

    def server(self, on_ready: Callable[[], None]) -> NotifyingServer:
        """
        The server to run.

        :param on_ready: called once, when the first request may come.
        """
        config = uvicorn.Config(
            self._app,
            ssl_certfile=self._certificate,
            ssl_keyfile=self._key,
            # Not uvloop, not httptools: connection faults need to know what is underneath.
            loop="asyncio",
            http=TransparentProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=1,
        )
        return NotifyingServer(config, on_ready)

    def run(self, server: NotifyingServer) -> None:
        """
        Serve until the server is told to stop.

        :param server: made by :meth:`server`.
        """
        try:
            server.run(sockets=[self._socket])
        finally:
            self.close()

    def close(self) -> None:
        """Listen no longer and read no further images."""
        self._socket.close()
        self.queue.close()


class EmulatorServer:
    """
    A local Aspose.OCR Cloud for tests, in a background thread.

    .. code-block:: python

        with EmulatorServer(latency=0.1) as emulator:
            hook = AsposeOcrHook(...)  # a connection whose host is emulator.url
            ...
            assert emulator.calls().count("POST", "RecognizeImage") == 1

    :param latency: seconds a job takes at least; the first third of them it is ``Pending``.
    :param retention: seconds after which a job is ``NotExist``.
    :param token_lifetime: seconds a token is good for.
    :param client_id: the only client id that gets a token; any, if ``None``.
    :param client_secret: the only secret that gets a token; any, if ``None``.
    :param workers: how many images are read at the same time.
    :param port: to listen on; 0 for one that is free.
    :param reader: reads the images; by default RapidOCR. A test that does not need the true text can pass a faster one.
    :param clock: seconds from any start; a test can turn it forward instead of waiting.
    :param certificate: path of the certificate chain (PEM) to serve https with; ``None`` for plain http.
    :param key: path of its private key (PEM, without a password); by default it stands in the same file.
    :raises CertificateError: if the certificate or its key cannot be used.
    :param max_body: bytes of a request's body at most.
    :param endpoints: to be served besides those of the service: to try a new one out.
    """

    def __init__(
        self,
        *,
        latency: float = 0.0,
        retention: float = DAY,
        token_lifetime: float = 3600.0,
        client_id: str | None = None,
        client_secret: str | None = None,
        workers: int | None = None,
        port: int = 0,
        reader: TextReader | None = None,
        clock: Clock = time.monotonic,
        certificate: str | None = None,
        key: str | None = None,
        max_body: int = MAX_BODY,
        endpoints: Sequence[EmulatedEndpoint] = (),
    ) -> None:
        options = EmulatorOptions(
            latency,
            retention,
            token_lifetime,
            client_id,
            client_secret,
            workers,
            certificate=certificate,
            key=key,
            max_body=max_body,
        )
        self._emulator = Emulator(options, port=port, reader=reader, clock=clock, endpoints=endpoints)
        self._ready = threading.Event()
        self._server = self._emulator.server(self._ready.set)
        self._thread = threading.Thread(
            target=self._emulator.run, args=(self._server,), name="aspose-ocr-emulator", daemon=True
        )

    @property
    def url(self) -> str:
        """Root of all its paths, such as ``http://127.0.0.1:8090``: the host of a connection."""
        return self._emulator.url

    @property
    def reader(self) -> TextReader:
        """What reads the images."""
        return self._emulator.reader

    def start(self) -> None:
        """
        Serve, and return when the first request may come.

        :raises RuntimeError: if the server does not start.
        """
        self._thread.start()
        deadline = time.monotonic() + _START_TIMEOUT
        while not self._ready.wait(0.05):
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("The emulator did not start.")

    def stop(self) -> None:
        """Stop serving, and return when it is done."""
        self._server.should_exit = True
        self._thread.join()

    def __enter__(self) -> EmulatorServer:
        """Serve."""
        self.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop serving."""
        self.stop()

    def calls(self) -> CallReport:
        """The calls received since the start or the last reset."""
        return self._emulator.book.report()

    def jobs(self) -> list[JobSummary]:
        """The jobs, oldest first."""
        return self._emulator.queue.summaries()

    def tokens(self) -> list[str]:
        """The tokens it has issued and still accepts: what must not stand in any log."""
        return self._emulator.tokens.valid()

    def add_faults(self, rules: Sequence[FaultRule | dict[str, Any]]) -> None:
        """
        Let calls go wrong, as ``POST /emulator/faults`` does.

        :param rules: such as ``{"kind": "status", "status": 503, "method": "POST", "count": 2}``.
        :raises pydantic.ValidationError: where a rule is wrong.
        """
        self._emulator.plan.add(parse_rules(rules))

    def faults(self) -> list[FaultRule]:
        """The rules that can still hit."""
        return self._emulator.plan.left()

    def clear_faults(self) -> None:
        """Let nothing go wrong any more."""
        self._emulator.plan.clear()

    def reset(self) -> None:
        """Forget jobs, calls and faults. Tokens stay good."""
        self._emulator.queue.clear()
        self._emulator.book.clear()
        self._emulator.plan.clear()


def is_loopback(host: str) -> bool:
    """
    Whether an address can only be reached from this machine.

    :param host: a name or an address.
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        # Any other name may mean anything, now or later.
        return host.lower() == "localhost"


def _refuse_faulty_certificate(options: EmulatorOptions) -> None:
    """Say it now, and not in the thread that serves."""
    if not options.certificate:
        if options.key:
            raise CertificateError("A private key without a certificate: name the certificate, too.")
        return
    try:
        # Without a password OpenSSL would ask for that of an encrypted key, on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(options.certificate, options.key, password="")
    except (OSError, ValueError) as error:
        files = " and ".join(filter(None, (options.certificate, options.key)))
        raise CertificateError(f"No certificate with its private key (PEM) in {files}: {error}") from error


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
