"""
The optional tools of the emulator: what is not installed ends a job in words, not in a traceback.

They are part of the extra ``emulator``; each is loaded with the first job that needs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from airflow_provider_asposeocr.emulator.jobs import JobFailedError


def tool(module: str, package: str, purpose: str) -> Any:
    """
    Return a module that may be missing.

    :param module: its name.
    :param package: what installs it.
    :param purpose: what it is needed for, for the message.
    :raises JobFailedError: where it is not installed, naming the package and the extra.
    """
    try:
        return import_module(module)
    except ImportError:
        raise JobFailedError(
            f"The emulator needs the package {package} for {purpose}: pip install {package}, or "
            "pip install 'airflow-provider-asposeocr[emulator]', which brings it."
        ) from None
