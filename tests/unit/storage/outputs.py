"""Results and the files they go to, for the tests of both."""

from __future__ import annotations

import io

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_asposeocr.api.answers import TaskStatus
from airflow_provider_asposeocr.api.checks import endpoint_named, parse_settings
from airflow_provider_asposeocr.api.results import OcrResult, OcrTask
from airflow_provider_asposeocr.storage.outputs import output_files
from airflow_provider_asposeocr.storage.results import deliver

QUIET = [
    # Airflow 2.11 with its universal_pathlib, whatever is done with an ObjectStoragePath.
    pytest.mark.filterwarnings("ignore:in a future version of UPath:PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:UPath 'moody' filesystem not explicitly implemented:UserWarning"),
]
JOB = "a197aade-bba9-4c7a-92c7-46851b3dceaa"
IMAGE = "s3://scans/2024/page 1.png"
SECOND = "Zweiter Absatz: Grüße, 世界"


def task(*results, endpoint="RecognizeImage", warnings=(), messages=(), code="Ok"):
    """A completed job; a content of ``None`` is an entry without one."""
    decoded, absent = [], []
    for position, (kind, content) in enumerate(results):
        if content is None:
            absent.append((position, kind))
            continue
        data = content if isinstance(content, bytes) else content.encode()
        decoded.append(OcrResult(kind, io.BytesIO(data), len(data)))
    return OcrTask(JOB, TaskStatus.COMPLETED, code, tuple(decoded), tuple(messages), tuple(warnings), tuple(absent))


def files_in(storage, image=IMAGE, overwrite=False):
    return output_files(f"{storage}/", image, JOB, None, overwrite)


def names(files, *extensions):
    return [path.name for path in files.named(extensions)]


def give(done, files=None, settings=None, endpoint="RecognizeImage", **more):
    row = endpoint_named(endpoint)
    return deliver(done, row, settings=parse_settings(row, settings) if settings else None, files=files, **more)


def content(uri):
    return ObjectStoragePath(uri).read_bytes()


def listing(folder):
    return sorted(path.name for path in ObjectStoragePath(folder).iterdir())


class Breaks(io.BytesIO):
    """A file that can be read once."""

    def read(self, size=-1):
        if self.tell():
            raise OSError("the disk is gone")
        return super().read(5)
