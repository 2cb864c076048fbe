"""The command ``aspose-ocr-emulator``, which is also ``python -m airflow_provider_asposeocr.emulator``."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow_provider_asposeocr import __version__

if TYPE_CHECKING:
    from types import FrameType

DEFAULT_PORT = 8090
LAST_PORT = 65535
DEFAULT_MAX_BODY = 128 * 1024 * 1024
_EPILOG = """\
A connection of Airflow to it, as an environment variable:
  AIRFLOW_CONN_ASPOSE_OCR_DEFAULT='{"conn_type": "aspose_ocr", "host": "http://127.0.0.1:8090",
                                    "login": "any", "password": "any-secret"}'

Its own paths, beside those of the service:
  GET    /emulator/calls    calls by method and path, accepted submissions: what a user would be billed
  GET    /emulator/jobs     the jobs
  POST   /emulator/reset    forgets jobs, calls and faults
  GET, POST, DELETE /emulator/faults    which calls go wrong, and how
"""


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows defaults, and leaves the lines below the options as they are."""


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Serve until interrupted or terminated.

    :param arguments: of the command line; by default those of this process.
    :returns: exit code.
    """
    options = _parser().parse_args(arguments)
    try:
        # The extra may not be installed; and `--help` needs none of it.
        from airflow_provider_asposeocr.emulator.server import (  # noqa: PLC0415
            CertificateError,
            Emulator,
            EmulatorOptions,
            RemoteHostError,
        )
    except ModuleNotFoundError as error:
        return _refuse(f"{error.name} is missing: pip install 'airflow-provider-asposeocr[emulator]'", 1)
    logging.basicConfig(level=logging.WARNING)
    try:
        emulator = Emulator(
            EmulatorOptions(
                latency=options.latency,
                retention=options.retention,
                token_lifetime=options.token_lifetime,
                client_id=options.client_id,
                client_secret=options.client_secret,
                workers=options.workers,
                certificate=options.certificate,
                key=options.key,
                max_body=options.max_body,
            ),
            host=options.host,
            port=options.port,
            allow_remote=options.allow_remote,
        )
    except (RemoteHostError, CertificateError) as error:
        return _refuse(str(error), 2)
    except OSError as error:
        reason = error.strerror or str(error)
        return _refuse(f"cannot listen on {options.host} port {options.port}: {reason}", 1)
    # uvicorn closes everything first, then gives the signal on to the handler that was there before.
    for stopping in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stopping, _leave)
    server = emulator.server(lambda: _announce(emulator.url))
    emulator.run(server)
    return 0


def _refuse(why: str, code: int) -> int:
    sys.stderr.write(f"aspose-ocr-emulator: {why}\n")
    return code


def _announce(url: str) -> None:
    sys.stdout.write(f"Aspose.OCR Cloud emulator: {url}\n")
    sys.stdout.flush()


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """End at once: an image that is being read takes seconds, cannot be interrupted, and nobody waits for it."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aspose-ocr-emulator",
        description="A local Aspose.OCR Cloud that really reads images.",
        epilog=_EPILOG,
        formatter_class=_HelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=_port, default=DEFAULT_PORT, help="port to listen on; 0 for one that is free")
    parser.add_argument("--latency", type=_seconds, default=1.0, help="seconds a job takes at least")
    parser.add_argument("--retention", type=_seconds, default=86400.0, help="seconds after which a job is forgotten")
    parser.add_argument("--token-lifetime", type=_seconds, default=3600.0, help="seconds a token is good for")
    parser.add_argument("--client-id", help="the only client id that gets a token; any, if not given")
    parser.add_argument("--client-secret", help="the only secret that gets a token; any, if not given")
    parser.add_argument("--workers", type=_positive, help="images read at the same time; one per processor, at most 4")
    parser.add_argument("--certificate", help="file with the certificate (PEM) to serve https with; http, if not given")
    parser.add_argument("--key", help="file with its private key (PEM); the certificate's own file, if not given")
    parser.add_argument("--max-body", type=_positive, default=DEFAULT_MAX_BODY, help="bytes of a request at most")
    parser.add_argument("--allow-remote", action="store_true", help="allow a host other machines can reach")
    return parser


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value <= LAST_PORT:
        raise argparse.ArgumentTypeError(f"must be 0 to {LAST_PORT}, got {value}")
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds")
    return value


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


if __name__ == "__main__":
    sys.exit(main())
