"""The optional extras of this package: what is not installed is named in words, before anything is billed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from airflow_provider_asposeocr.exceptions import AsposeOcrInputError


def module_of_extra(module: str, extra: str, purpose: str) -> Any:
    """
    Return a module that comes with an extra of this package.

    :param module: its name, such as ``pyarrow.parquet``.
    :param extra: what brings it, such as ``parquet``.
    :param purpose: what it is needed for, for the message, such as ``results='parquet'``.
    :raises AsposeOcrInputError: where it is not installed, naming the extra.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise AsposeOcrInputError(
            f"{purpose} needs the package {module.partition('.')[0]}, which is not installed here ({error}): "
            f"pip install 'airflow-provider-asposeocr[{extra}]'. Nothing was sent to the service."
        ) from error
