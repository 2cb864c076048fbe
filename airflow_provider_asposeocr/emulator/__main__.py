"""The command ``aspose-ocr-emulator``, which is also ``python -m airflow_provider_asposeocr.emulator``."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

DEFAULT_PORT = 8090


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Serve until interrupted or terminated.

    :param arguments: of the command line; by default those of this process.
    :return: exit code.
    """
    options = _parser().parse_args(arguments)
    try:
        # The extra may not be installed; and `--help` needs none of it.
        from airflow_provider_asposeocr.emulator.server import (  # noqa: PLC0415
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
            ),
            host=options.host,
            port=options.port,
            allow_remote=options.allow_remote,
        )
    except RemoteHostError as error:
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
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="port to listen on; 0 for one that is free")
    parser.add_argument("--latency", type=_seconds, default=1.0, help="seconds a job takes at least")
    parser.add_argument("--retention", type=_seconds, default=86400.0, help="seconds after which a job is forgotten")
    parser.add_argument("--token-lifetime", type=_seconds, default=3600.0, help="seconds a token is good for")
    parser.add_argument("--client-id", help="the only client id that gets a token; any, if not given")
    parser.add_argument("--client-secret", help="the only secret that gets a token; any, if not given")
    parser.add_argument("--workers", type=_positive, help="images read at the same time; one per processor, at most 4")
    parser.add_argument("--allow-remote", action="store_true", help="allow a host other machines can reach")
    return parser


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
