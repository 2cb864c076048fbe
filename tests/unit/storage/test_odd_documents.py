"""What is no file to be read from its start to its end is refused before anything is sent, and holds nobody."""

from __future__ import annotations

import io
import os

import pytest

from airflow_provider_asposeocr.exceptions import AsposeOcrError, AsposeOcrInputError
from airflow_provider_asposeocr.storage.documents import document
from tests.unit.storage.outputs import QUIET

pytestmark = QUIET


@pytest.mark.parametrize("kind", ["pipe", "/dev/zero", "/dev/null"])
def test_what_is_no_file_is_refused(tmp_path, kind):
    """A pipe that nobody writes to would hold the task for ever, and so would a device without end."""
    path = str(tmp_path / kind)
    if kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(AsposeOcrInputError, match=r"is no file.*Nothing was sent"):
        document(path if kind == "pipe" else kind)


class Unseekable:
    def read(self, size=-1):
        return b""


class Broken(io.BytesIO):
    def read(self, size=-1):
        if size:
            raise OSError("the disk is gone")
        return b""


def test_a_file_that_is_closed_is_refused():
    closed = io.BytesIO(b"an image")
    closed.close()
    with pytest.raises(AsposeOcrInputError, match="Nothing was sent"):
        document(closed)


def test_what_only_reads_is_refused():
    with pytest.raises(AsposeOcrInputError, match="cannot seek"):
        document(Unseekable())


def test_an_open_file_that_breaks_is_said_as_ours():
    with pytest.raises(AsposeOcrError, match=r"the disk is gone.*Nothing was sent"):
        document(Broken(b"an image")).facts()
