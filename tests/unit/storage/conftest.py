"""What the tests of the storage share."""

from __future__ import annotations

import uuid

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath


@pytest.fixture(autouse=True, scope="module")
def memory_storage():
    """Airflow opens no ``memory://`` unless it is told to."""
    from fsspec.implementations.memory import MemoryFileSystem

    try:
        from airflow.sdk.io import attach
    except ImportError:
        from airflow.io.store import attach
    attach("memory", fs=MemoryFileSystem())


@pytest.fixture(params=["file", "memory"])
def storage(request, tmp_path):
    """A folder on some storage, that is not there yet."""
    uri = f"file://{tmp_path}/results" if request.param == "file" else f"memory://{uuid.uuid4().hex}/results"
    # Airflow 2.11 and 3.3 spell one of them differently.
    return str(ObjectStoragePath(uri))
