"""Documents: every way to name one, and every one that is refused before anything is sent."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import uuid

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath
from PIL import Image

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrHook
from airflow_provider_asposeocr.jobs.record import settings_digest
from airflow_provider_asposeocr.storage.documents import document, storage_path
from tests.unit.either_hook import sha256

# Airflow 2.11 with its universal_pathlib, whatever is done with an ObjectStoragePath.
pytestmark = pytest.mark.filterwarnings("ignore:in a future version of UPath:PendingDeprecationWarning")


def read(source):
    with source.open() as file:
        return file.read()


def logged(caplog, capsys):
    """What was logged; Airflow's versions differ in where that goes."""
    return caplog.text + "".join(capsys.readouterr())


@pytest.fixture
def scan(tmp_path, png):
    """A file."""
    path = tmp_path / "a scan.png"
    path.write_bytes(png)
    return path


@pytest.fixture(scope="session")
def shared_emulator(fast_emulator: EmulatorServer) -> EmulatorServer:
    """As of all tests, but it does not need to read."""
    return fast_emulator


@pytest.fixture
def memory(png):
    """The same in memory."""
    path = ObjectStoragePath(f"memory://{uuid.uuid4().hex}/scan.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png)
    return path


def test_local_file_needs_no_other_storage(scan):
    """Airflow loads the file systems of all providers for its first path; a local one does not need them."""
    code = (
        "import re, sys; from airflow_provider_asposeocr.storage.documents import document; "
        f"print(len(document({str(scan)!r}).sha256())); "
        "print([name for name in sys.modules if re.match(r'airflow\\.providers\\..*\\.fs\\b', name)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["64", "[]"]


@pytest.mark.parametrize("kind", ["str", "Path", "file URI", "ObjectStoragePath"])
def test_local_file(scan, png, kind):
    """A local file may be named in any way, and is read as often as needed."""
    named = {
        "str": str(scan),
        "Path": scan,
        "file URI": f"file://{scan}",
        "ObjectStoragePath": ObjectStoragePath(f"file://{scan}"),
    }[kind]
    source = document(named)
    assert (source.size, read(source), source.sha256()) == (len(png), png, sha256(png))
    assert read(source) == png  # as often as needed
    assert source.name == str(named)
    facts = source.facts()
    assert (facts.format, facts.width, facts.height) == ("PNG", 100, 60)


@pytest.mark.parametrize("name", ["a\tb.png", "a\nb.png", "a\r/b.png", "..\t/b.png", "a\n\n.png"])
@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_name_of_several_lines_is_that_of_its_own_file(tmp_path, png, name, scheme):
    """And of no other one, though what reads URIs drops tabs and ends of lines from them."""
    file = tmp_path / "scans" / name
    file.parent.mkdir(parents=True)
    file.write_bytes(png)
    found = document(f"{scheme}{file}")
    assert (found.size, found.path.path) == (len(png), str(file))
    assert document(str(found.path)).path.path == str(file)


@pytest.mark.parametrize("uri", ["fi\tle:///a.png", "s3://buck\net/a.png"])
def test_a_scheme_of_several_lines_is_none(uri):
    with pytest.raises(AsposeOcrInputError, match="cannot be opened"):
        document(uri)


def test_relative_path(scan, png, monkeypatch):
    """A relative path is one of the working directory."""
    monkeypatch.chdir(scan.parent)
    assert read(document(scan.name)) == png


@pytest.mark.parametrize("as_string", [True, False])
def test_other_storage(memory, png, as_string):
    """A document of another storage may be named by its URI or its path."""
    source = document(str(memory) if as_string else memory)
    assert (source.size, read(source), source.sha256()) == (len(png), png, sha256(png))
    assert source.name == str(memory)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes(png, kind):
    """Bytes of any kind are a document, named by their length."""
    source = document(kind(png))
    assert (source.size, read(source), read(source), source.sha256()) == (len(png), png, png, sha256(png))
    assert source.name == f"an image of {len(png)} bytes"


def test_open_file(scan, png):
    """An open file is a document, read as often as needed."""
    with scan.open("rb") as file:
        source = document(file)
        assert (source.size, source.name) == (len(png), str(scan))
        assert (read(source), read(source)) == (png, png)


def test_open_file_is_taken_from_where_it_stands(png):
    file = io.BytesIO(b"header" + png)
    file.seek(6)
    source = document(file)
    assert (source.size, read(source), read(source), file.tell()) == (len(png), png, png, 6)


def test_open_file_stays_open(connection, emulator, sync_hook, scan, png):
    with scan.open("rb") as file:
        sync_hook.submit("RecognizeImage", file)
        assert not file.closed
    assert emulator.calls().accepted_by_image == {sha256(png): 1}


@pytest.mark.parametrize("kind", ["str", "file URI", "memory", "bytes", "file"])
def test_every_kind_can_be_submitted(hook, emulator, scan, memory, png, kind):
    named = {
        "str": str(scan),
        "file URI": f"file://{scan}",
        "memory": str(memory),
        "bytes": png,
        "file": io.BytesIO(png),
    }[kind]
    hook.submit("RecognizeImage", named)
    assert emulator.calls().accepted_by_image == {sha256(png): 1}


def test_digests_tell_documents_and_settings_apart(connection, scan, memory, png, tmp_path):
    """By these a later try knows a submission again."""
    hook = AsposeOcrHook(connection)

    def digests(*args, **kwargs):
        submission = hook.prepare(*args, **kwargs)
        return settings_digest(submission.endpoint, submission.settings), submission.document.sha256()

    same = digests("RecognizeImage", str(scan), {"language": "German", "rotate": 90})
    assert same == digests("recognizeimage", memory, {"rotate": 90, "language": "german"})
    assert same == digests("RecognizeImage", png, '{"language": "German", "rotate": 90}')
    others = [
        digests("RecognizeImageTrial", png, {"language": "German", "rotate": 90}),
        digests("RecognizeImage", png, {"language": "German"}),
        digests("RecognizeImage", png + b"\0", {"language": "German", "rotate": 90}),
        digests("RecognizeRegions", png, {"language": "German", "rotate": 90}, regions=[[0, 0, 5, 5]]),
        digests("RecognizeRegions", png, {"language": "German", "rotate": 90}, regions=[[0, 0, 5, 6]]),
    ]
    assert len({same, *others}) == 6
    assert {len(digest) for digest in same} == {hashlib.sha256().digest_size * 2}


def test_document_that_shrinks_is_not_submitted(connection, emulator, sync_hook, scan):
    submission = sync_hook.prepare("RecognizeImage", str(scan))
    os.truncate(scan, 10)
    with pytest.raises(AsposeOcrInputError, match="became shorter while it was read"):
        sync_hook.send(submission)
    assert emulator.calls().accepted == 0


class Unseekable(io.RawIOBase):
    """A pipe."""

    def readable(self):
        return True

    def seekable(self):
        return False


def bad_images(tmp_path):
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("just a text")
    (tmp_path / "document.png").write_bytes(b"%PDF-1.7 and so on")
    memory = f"memory://{uuid.uuid4().hex}/no.png"
    return {
        "missing": (tmp_path / "missing.png", "There is no file .*missing.png"),
        "missing file URI": (f"file://{tmp_path}/missing.png", "There is no file .*missing.png"),
        "missing in memory": (memory, "There is no file memory://.*no.png"),
        "missing folder": (tmp_path / "no" / "missing.png", "There is no file"),
        "below a file": (tmp_path / "text.png" / "missing.png", "text.png/missing.png"),
        "folder": (tmp_path, "is a folder"),
        "folder of the working directory": (".", "is a folder"),
        "empty": (tmp_path / "empty.png", "empty.png is empty"),
        "empty bytes": (b"", "is empty"),
        "empty file": (io.BytesIO(), "is empty"),
        "text": (tmp_path / "text.png", "text.png is not an image: its first bytes"),
        "PDF": (tmp_path / "document.png", "document.png is a PDF file"),
        "unknown scheme": ("nosuch://bucket/scan.png", "nosuch://bucket/scan.png cannot be opened"),
        "no path": ("", "must be the path or URI of a file"),
        "blank path": ("  ", "must be the path or URI of a file"),
        "None": (None, "must be the path or URI of a file"),
        "number": (5, "must be the path or URI of a file"),
        "list": (["a.png", "b.png"], "got a list.*map the operator"),
        "pipe": (Unseekable(), "cannot seek"),
        "text file": (io.StringIO("just a text"), "must be opened in binary mode"),
        "NUL": ("a\0b.png", "cannot be opened|no file"),
        "brackets for a host": ("//[scans]/a.png", "is no path or URI"),
    }


@pytest.mark.parametrize(
    "what",
    ["missing", "missing file URI", "missing in memory", "missing folder", "below a file", "folder",
     "folder of the working directory", "empty", "empty bytes", "empty file", "text", "PDF", "unknown scheme",
     "no path", "blank path", "None", "number", "list", "pipe", "text file", "NUL",
     "brackets for a host"],
)  # fmt: skip
def test_refused_before_anything_is_sent(hook, emulator, tmp_path, what):
    """What is no document is refused before anything is sent."""
    image, says = bad_images(tmp_path)[what]
    with pytest.raises(AsposeOcrInputError, match=says) as caught:
        hook.submit("RecognizeImage", image)
    assert isinstance(caught.value, AirflowFailException)
    calls = emulator.calls()
    assert (calls.total, calls.token_calls, calls.accepted) == (0, 0, 0)


@pytest.mark.parametrize(
    ("endpoint", "settings", "regions", "says"),
    [
        ("RecognizeImage", {"lang": "German"}, None, "lang.*language"),
        ("RecognizeImage", {"resultType": "Docx"}, None, "resultType.*TextAndPdf"),
        ("RecognizeImage", {"dsr_mode": "Best"}, None, "dsr_?[mM]ode.*DsrAndFilter"),
        ("DetectRegions", {"resultType": "Text"}, None, "resultType"),
        ("RecognizeImage", ["language"], None, "must be a mapping"),
        ("RecognizeImage", "{not json", None, "settings"),
        ("RecognizeImage", None, [[0, 0, 5, 5]], "regions"),
        ("RecognizeRegions", None, None, "needs at least one region"),
        ("RecognizeRegions", None, [], "needs at least one region"),
        ("RecognizeRegions", None, [[5, 0, 5, 5]], "right edge 5 is not right of left edge 5"),
        ("RecognizeRegions", None, [[0, 5, 5, 4]], "lower edge 4 is not below upper edge 5"),
        ("RecognizeRegions", None, [[100, 0, 101, 60]], "lies outside the image, which is 100 x 60 pixels"),
        ("RecognizeRegions", None, [[0, 0, 100, 60], [0, 60, 9, 61]], r"Region 1 \[0, 60, 9, 61\] lies outside"),
        ("RecognizeRegions", None, [[-5, 0, 0, 5]], "lies outside"),
        ("RecognizeRegions", None, [[0, 0, 5]], "four numbers"),
        ("RecognizeRegions", None, "[[0, 0,", "regions"),
        ("RecognizeRegions", {"regions": [[0, 0, 5, 5]]}, [[0, 0, 5, 5]], "given twice"),
    ],
)
def test_settings_refused_before_anything_is_sent(hook, emulator, scan, endpoint, settings, regions, says):
    """Wrong settings and regions are refused before anything is sent."""
    with pytest.raises(AsposeOcrInputError, match=says) as caught:
        hook.submit(endpoint, str(scan), settings, regions=regions)
    assert caught.value.image == str(scan)
    assert (emulator.calls().total, emulator.calls().token_calls) == (0, 0)


def test_regions_as_detected_at_the_edge_are_sent_cut(connection, emulator, scan, caplog, capsys):
    """Regions that reach beyond the image, as DetectRegions finds them, are sent as far as they are inside."""
    hook = AsposeOcrHook(connection)
    submission = hook.prepare("RecognizeRegions", str(scan), regions=[[-1, 2, 50, 61]])
    assert f"{scan}: Region 0 [-1, 2, 50, 61] reaches beyond the image" in logged(caplog, capsys)
    # By what was asked for a later try knows it again, which may not see the image any more.
    assert [asked.regions[0].rect.corners for asked in (submission.settings, submission.sent)] == [
        [-1, 2, 50, 61],
        [0, 2, 50, 60],
    ]
    hook.send(submission)
    assert emulator.calls().accepted == 1


def test_tiff_of_several_pages(connection, tmp_path, caplog, capsys):
    """A TIFF of several pages is sent with a warning, wherever in the file that stands, and one of one page without."""
    pages = [Image.effect_noise((800, 600), 90) for _ in range(2)]
    for name, more in (("one.tif", []), ("two.tif", pages[1:])):
        pages[0].save(tmp_path / name, save_all=True, append_images=more)
        AsposeOcrHook(connection).prepare("RecognizeImage", str(tmp_path / name))
    said = logged(caplog, capsys)
    assert "two.tif: It holds more than one page" in said
    assert "one.tif" not in said


def test_unknown_language_is_sent_as_it_is(connection, scan):
    hook = AsposeOcrHook(connection)
    submission = hook.prepare("RecognizeImage", str(scan), {"language": "Klingon"})
    assert submission.settings.to_wire() == {"language": "Klingon"}


def test_storage_path_keeps_its_own_connection(memory):
    assert storage_path(memory, "another") is memory
    assert storage_path(str(memory)) == memory


def test_file_that_may_not_be_read(hook, emulator, scan):
    """A file that may not be read is refused before anything is sent."""
    scan.chmod(0)
    if os.access(scan, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(AsposeOcrInputError, match="cannot be read"):
        hook.submit("RecognizeImage", str(scan))
    assert emulator.calls().total == 0
