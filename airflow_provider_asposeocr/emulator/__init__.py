"""
A local Aspose.OCR Cloud that really reads images: to develop, test and demonstrate DAGs without an account.

It is an optional part of the package, installed by ``pip install 'airflow-provider-asposeocr[emulator]'`` and started
by the command ``aspose-ocr-emulator``, by ``python -m airflow_provider_asposeocr.emulator``, or inside a test by
:class:`EmulatorServer`. Importing this package costs nothing; what it needs is loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_asposeocr.emulator.calls import CallReport
    from airflow_provider_asposeocr.emulator.engine import TextReader
    from airflow_provider_asposeocr.emulator.jobs import JobSummary
    from airflow_provider_asposeocr.emulator.page import Fragment
    from airflow_provider_asposeocr.emulator.server import EmulatorServer

__all__ = ["CallReport", "EmulatorServer", "Fragment", "JobSummary", "TextReader"]

_MODULES = {
    "CallReport": "calls",
    "EmulatorServer": "server",
    "Fragment": "page",
    "JobSummary": "jobs",
    "TextReader": "engine",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
