"""Results as files and as an XCom: names, what is never replaced, what never stands half written."""

from __future__ import annotations

import io
import json
import logging
import uuid

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath

from airflow_provider_asposeocr.api.endpoints import endpoint_named
from airflow_provider_asposeocr.api.results import OcrResult, OcrTask, TaskStatus
from airflow_provider_asposeocr.api.settings import parse_settings
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError, AsposeOcrProtocolError
from airflow_provider_asposeocr.outputs import (
    deliver,
    expected_extensions,
    output_files,
    require_output_path,
    write_file,
)

JOB = "a197aade-bba9-4c7a-92c7-46851b3dceaa"
IMAGE = "s3://scans/2024/page 1.png"
SECOND = "Zweiter Absatz: Grüße, 世界"

# Airflow 2.11 with its universal_pathlib, whatever is done with an ObjectStoragePath.
pytestmark = pytest.mark.filterwarnings("ignore:in a future version of UPath:PendingDeprecationWarning")


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


def task(*results, endpoint="RecognizeImage", warnings=(), messages=(), code="Ok"):
    decoded = []
    for kind, content in results:
        data = content if isinstance(content, bytes) else content.encode()
        decoded.append(OcrResult(kind, io.BytesIO(data), len(data)))
    return OcrTask(JOB, TaskStatus.COMPLETED, code, tuple(decoded), tuple(messages), tuple(warnings))


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


class TestNames:
    @pytest.mark.parametrize("end", ["/", ""])
    def test_folder(self, storage, end):
        files = output_files(f"{storage}{end}", IMAGE, JOB, None, False)
        (path,) = files.named([".txt"])
        assert str(path) == f"{storage}/page 1.txt"

    def test_folder_that_looks_like_a_file(self, tmp_path):
        (tmp_path / "results.d").mkdir()
        assert names(output_files(str(tmp_path / "results.d"), IMAGE, JOB, None, False), ".txt") == ["page 1.txt"]
        files = output_files(str(tmp_path / "new.d") + "/", IMAGE, JOB, None, False)
        (path,) = files.named([".txt"])
        assert str(path).endswith("new.d/page 1.txt")

    def test_file(self, storage):
        files = output_files(f"{storage}/my text.md", IMAGE, JOB, None, False)
        (path,) = files.named([".txt"])
        assert str(path) == f"{storage}/my text.md"

    def test_file_for_several_results(self, storage):
        files = output_files(f"{storage}/mine.txt", IMAGE, JOB, None, False)
        assert names(files, ".txt", ".pdf") == ["mine.txt", "mine.pdf"]

    def test_several_results(self, storage):
        assert names(files_in(storage), ".txt", ".pdf", ".hocr") == ["page 1.txt", "page 1.pdf", "page 1.hocr"]

    def test_equal_extensions_are_numbered(self, storage):
        assert names(files_in(storage), ".txt", ".txt", ".txt") == ["page 1-1.txt", "page 1-2.txt", "page 1-3.txt"]
        assert names(files_in(storage), ".txt", ".pdf", ".txt", ".pdf") == [
            "page 1-1.txt",
            "page 1-1.pdf",
            "page 1-2.txt",
            "page 1-2.pdf",
        ]

    def test_no_results(self, storage):
        assert names(files_in(storage)) == []

    @pytest.mark.parametrize(
        ("image", "stem"),
        [
            ("/scans/page.tar.gz.png", "page.tar.gz"),
            ("page", "page"),
            ("file:///scans/page.png", "page"),
            ("/scans/.hidden", ".hidden"),
            (None, JOB),
            ("", JOB),
        ],
    )
    def test_stem(self, storage, image, stem):
        assert names(files_in(storage, image), ".txt") == [f"{stem}.txt"]

    def test_without_image_and_job(self, storage):
        assert names(output_files(f"{storage}/", None, None, None, False), ".txt") == ["result.txt"]

    def test_object_storage_path(self, storage):
        files = output_files(ObjectStoragePath(storage), IMAGE, JOB, None, False)
        assert [str(path) for path in files.named([".txt"])] == [f"{storage}/page 1.txt"]

    @pytest.mark.parametrize(
        ("endpoint", "settings", "extensions"),
        [
            ("RecognizeImage", {}, [".txt"]),
            ("RecognizeImage", {"resultType": "TextAndPdfAndHocr"}, [".txt", ".pdf", ".hocr"]),
            ("RecognizeImage", {"resultType": "JSON"}, [".json"]),
            ("RecognizeImage", {"resultType": "ImagePNG"}, [".png"]),
            ("DetectRegions", {}, [".json"]),
            ("RecognizeRegions", {"regions": [[0, 0, 5, 5]] * 2}, [".txt", ".txt"]),
            (
                "RecognizeRegions",
                {"regions": [[0, 0, 5, 5]] * 2, "resultType": "TextAndPdf"},
                [".txt", ".pdf", ".txt", ".pdf"],
            ),
        ],
    )
    def test_expected_extensions(self, endpoint, settings, extensions):
        row = endpoint_named(endpoint)
        assert expected_extensions(row, parse_settings(row, settings)) == extensions


class TestRefusals:
    def test_existing_file(self, storage):
        files = files_in(storage)
        files.refuse_existing([".txt"], IMAGE)
        write_file(io.BytesIO(b"of another job"), files.named([".txt"])[0])
        with pytest.raises(AsposeOcrInputError, match=r"page 1.txt exists already.*overwrite=True") as caught:
            files.refuse_existing([".txt"], IMAGE)
        assert caught.value.image == IMAGE
        assert isinstance(caught.value, AirflowFailException)
        files.refuse_existing([".pdf"], IMAGE)
        files_in(storage, overwrite=True).refuse_existing([".txt"], IMAGE)

    def test_existing_file_of_several(self, storage):
        files = files_in(storage)
        write_file(io.BytesIO(b"of another job"), files.named([".txt", ".pdf"])[1])
        with pytest.raises(AsposeOcrInputError, match=r"page 1.pdf exists already"):
            files.refuse_existing([".txt", ".pdf"], IMAGE)

    @pytest.mark.parametrize(
        ("wanted", "named"), [("Pdf", "Pdf"), ("TextAndPdf", "Pdf"), ("ImagePNG", "ImagePNG"), ("PdfAndHocr", "Pdf")]
    )
    def test_binary_results_need_a_place(self, wanted, named):
        settings = parse_settings("RecognizeImage", {"resultType": wanted})
        with pytest.raises(AsposeOcrInputError, match=f"A result of type {named} is a file.*output_path") as caught:
            require_output_path(settings, IMAGE)
        assert "Nothing was sent" in str(caught.value)

    @pytest.mark.parametrize("wanted", ["Text", "Hocr", "TextAndHocr", "JSON"])
    def test_texts_do_not(self, wanted):
        require_output_path(parse_settings("RecognizeImage", {"resultType": wanted}), IMAGE)

    def test_storage_that_nothing_opens(self):
        with pytest.raises(AsposeOcrInputError, match="nosuch://bucket/ cannot be opened"):
            output_files("nosuch://bucket/", IMAGE, JOB, None, False)


class Breaks(io.BytesIO):
    """A file that can be read once."""

    def read(self, size=-1):
        if self.tell():
            raise OSError("the disk is gone")
        return super().read(5)


class TestWriting:
    def test_writes_the_whole_from_the_start(self, storage):
        whole = bytes(range(256)) * 5000
        source = io.BytesIO(whole)
        source.seek(100)
        path = ObjectStoragePath(f"{storage}/deep/down/file.bin")
        write_file(source, path)
        assert path.read_bytes() == whole
        assert listing(path.parent) == ["file.bin"]

    def test_replaces(self, storage):
        path = ObjectStoragePath(f"{storage}/file.txt")
        write_file(io.BytesIO(b"first, and longer"), path)
        write_file(io.BytesIO(b"second"), path)
        assert path.read_bytes() == b"second"
        assert listing(storage) == ["file.txt"]

    def test_empty(self, storage):
        path = ObjectStoragePath(f"{storage}/file.txt")
        write_file(io.BytesIO(), path)
        assert path.read_bytes() == b""

    def test_leaves_nothing_behind_where_it_breaks(self, storage):
        path = ObjectStoragePath(f"{storage}/file.txt")
        with pytest.raises(OSError, match="the disk is gone"):
            write_file(Breaks(b"0123456789"), path)
        assert listing(storage) == []

    def test_keeps_the_old_file_where_it_breaks(self, storage):
        path = ObjectStoragePath(f"{storage}/file.txt")
        write_file(io.BytesIO(b"old"), path)
        with pytest.raises(OSError, match="the disk is gone"):
            write_file(Breaks(b"0123456789"), path)
        assert (path.read_bytes(), listing(storage)) == (b"old", ["file.txt"])


class TestXComOnly:
    def test_text(self):
        assert give(task(("Text", SECOND))) == {
            "ocr_task_id": JOB,
            "endpoint": "RecognizeImage",
            "text": SECOND,
            "results": [{"type": "Text", "text": SECOND}],
            "warnings": [],
        }

    def test_several_texts(self):
        xcom = give(task(("Text", "one"), ("Hocr", "<html/>"), ("Text", "two")))
        assert xcom["text"] == "one\ntwo"
        assert [entry["type"] for entry in xcom["results"]] == ["Text", "Hocr", "Text"]

    def test_no_text_was_asked_for(self):
        assert give(task(("Hocr", "<html/>")))["text"] is None

    def test_empty_page(self):
        assert give(task(("Text", "")))["text"] == ""

    def test_no_results(self):
        xcom = give(task())
        assert (xcom["text"], xcom["results"]) == (None, [])

    def test_notices_are_returned_and_logged(self, caplog):
        xcom = give(task(("Text", "x"), warnings=["Low contrast."], messages=["Tilted."], code="PartiallyNotFound"))
        notices = ["Low contrast.", "Tilted.", "The service's responseStatusCode is PartiallyNotFound."]
        assert xcom["warnings"] == notices
        assert [record.getMessage().split(": ", 1)[1] for record in caplog.records] == notices

    def test_the_text_is_in_no_log(self, caplog, storage):
        with caplog.at_level(logging.DEBUG):
            give(task(("Text", SECOND)), files_in(storage), max_xcom_bytes=3)
            give(task(("Text", SECOND)), max_xcom_bytes=3)
        assert SECOND not in caplog.text
        assert f"{len(SECOND.encode())} bytes" in caplog.text

    def test_large_text_stays_but_a_place_is_recommended(self, caplog):
        assert give(task(("Text", "x" * 100)), max_xcom_bytes=99)["text"] == "x" * 100
        assert "Set output_path" in caplog.text

    @pytest.mark.parametrize("kind", ["Pdf", "ImagePNG", "Excel", "Hologram"])
    def test_binary_result_without_a_place(self, kind):
        with pytest.raises(AsposeOcrInputError, match=f"a result of type {kind} \\(3 bytes\\)") as caught:
            give(task(("Text", "x"), (kind, b"\0\1\2")))
        assert "billed and completed: set output_path" in str(caught.value)
        assert caught.value.ocr_task_id == JOB

    def test_text_that_is_none(self):
        with pytest.raises(AsposeOcrProtocolError, match="is not UTF-8") as caught:
            give(task(("Text", b"\xff\xfe")))
        assert (caught.value.ocr_task_id, caught.value.endpoint) == (JOB, "RecognizeImage")


class TestFiles:
    def test_one_file(self, storage):
        xcom = give(task(("Text", SECOND)), files_in(storage))
        uri = f"{storage}/page 1.txt"
        assert xcom["results"] == [{"type": "Text", "file": uri, "text": SECOND}]
        assert xcom["text"] == SECOND
        assert content(uri) == SECOND.encode()

    def test_several_files(self, storage):
        xcom = give(task(("Text", "x"), ("Pdf", b"%PDF-"), ("Hocr", "<html/>")), files_in(storage))
        assert listing(storage) == ["page 1.hocr", "page 1.pdf", "page 1.txt"]
        assert xcom["results"][1] == {"type": "Pdf", "file": f"{storage}/page 1.pdf"}
        assert content(xcom["results"][1]["file"]) == b"%PDF-"

    def test_type_that_nobody_knows_is_a_file(self, storage):
        xcom = give(task(("../../Hologram", b"\0\1")), files_in(storage))
        assert listing(storage) == ["page 1.bin"]
        assert xcom["results"] == [{"type": "../../Hologram", "file": f"{storage}/page 1.bin"}]

    def test_large_text_is_in_its_file_only(self, storage):
        done = task(("Text", "x" * 100), ("Hocr", "y" * 99))
        xcom = give(done, files_in(storage), max_xcom_bytes=99)
        assert xcom["text"] is None
        assert ["text" in entry for entry in xcom["results"]] == [False, True]
        assert content(xcom["results"][0]["file"]) == b"x" * 100

    def test_again_with_the_same_content_is_fine(self, storage):
        for _ in range(2):
            xcom = give(task(("Text", "x" * 600_000), ("Pdf", b"")), files_in(storage))
        assert listing(storage) == ["page 1.pdf", "page 1.txt"]
        assert content(xcom["results"][0]["file"]) == b"x" * 600_000

    @pytest.mark.parametrize("old", [b"", b"wor", b"words and more", b"Words"])
    def test_other_content_is_not_replaced(self, storage, old):
        path = ObjectStoragePath(f"{storage}/page 1.txt")
        write_file(io.BytesIO(old), path)
        with pytest.raises(AsposeOcrInputError, match=r"exists already, with other content.*a retry fetches") as caught:
            give(task(("Text", "words")), files_in(storage))
        assert caught.value.ocr_task_id == JOB
        assert path.read_bytes() == old
        give(task(("Text", "words")), files_in(storage, overwrite=True))
        assert path.read_bytes() == b"words"

    def test_a_file_of_the_users_name(self, storage):
        xcom = give(task(("Text", "x")), output_files(f"{storage}/mine.md", IMAGE, JOB, None, False))
        assert xcom["results"][0]["file"] == f"{storage}/mine.md"

    def test_xcom_is_plain_json(self, storage):
        xcom = give(task(("Text", SECOND), ("Pdf", b"%PDF-"), warnings=["!"]), files_in(storage))
        assert json.loads(json.dumps(xcom)) == xcom


class TestDetectedRegions:
    def test_rectangles(self):
        xcom = give(task(("Other", "[[1, 2, 3, 4], [5.0, 6, 7, 8]]")), endpoint="DetectRegions")
        assert xcom["regions"] == [[1, 2, 3, 4], [5, 6, 7, 8]]
        assert xcom["text"] is None
        assert json.loads(json.dumps(xcom)) == xcom

    def test_rectangles_in_a_file_too(self, storage):
        xcom = give(task(("Other", "[[1, 2, 3, 4]]")), files_in(storage), endpoint="DetectRegions", max_xcom_bytes=3)
        assert xcom["regions"] == [[1, 2, 3, 4]]
        assert content(xcom["results"][0]["file"]) == b"[[1, 2, 3, 4]]"

    @pytest.mark.parametrize("data", ["", "{}", "[[1, 2, 3]]", "[[1, 2, 3, true]]", "[[1, 2, 3, 4.5]]", "[5]"])
    def test_no_rectangles(self, data):
        with pytest.raises(AsposeOcrProtocolError, match="cannot be read") as caught:
            give(task(("Other", data)), endpoint="DetectRegions")
        assert caught.value.ocr_task_id == JOB


class TestRecognizedRegions:
    SETTINGS = {"regions": [{"rect": [0, 0, 5, 5], "order": 7}, {"rect": [9, 9, 12, 12], "order": 3}]}  # noqa: RUF012

    def test_texts_belong_to_regions_in_ascending_order(self):
        xcom = give(task(("Text", "one"), ("Text", "two")), settings=self.SETTINGS, endpoint="RecognizeRegions")
        assert xcom["regions"] == [
            {"rect": [9, 9, 12, 12], "order": 3, "text": "one"},
            {"rect": [0, 0, 5, 5], "order": 7, "text": "two"},
        ]
        assert xcom["text"] == "one\ntwo"
        assert xcom["warnings"] == []

    def test_files_are_numbered_in_that_order(self, storage):
        done = task(("Text", "one"), ("Text", "two"))
        xcom = give(done, files_in(storage), self.SETTINGS, "RecognizeRegions")
        assert listing(storage) == ["page 1-1.txt", "page 1-2.txt"]
        assert content(xcom["results"][1]["file"]) == b"two"

    def test_several_types_per_region(self, storage):
        done = task(("Text", "one"), ("Pdf", b"1"), ("Text", "two"), ("Pdf", b"2"))
        settings = {**self.SETTINGS, "resultType": "TextAndPdf"}
        xcom = give(done, files_in(storage), settings, "RecognizeRegions")
        assert [region["text"] for region in xcom["regions"]] == ["one", "two"]
        assert listing(storage) == ["page 1-1.pdf", "page 1-1.txt", "page 1-2.pdf", "page 1-2.txt"]

    def test_other_type_than_text(self):
        settings = {**self.SETTINGS, "resultType": "Hocr"}
        xcom = give(task(("Hocr", "<a/>"), ("Hocr", "<b/>")), settings=settings, endpoint="RecognizeRegions")
        assert [region["text"] for region in xcom["regions"]] == ["<a/>", "<b/>"]

    @pytest.mark.parametrize("count", [0, 1, 3])
    def test_another_number_of_results_than_regions(self, count, caplog):
        done = task(*[("Text", f"text {number}") for number in range(count)])
        xcom = give(done, settings=self.SETTINGS, endpoint="RecognizeRegions")
        says = f"2 regions were sent, {count} results came back"
        assert says in xcom["warnings"][0]
        assert says in caplog.text
        assert [region["text"] for region in xcom["regions"]] == [None, None]
        assert len(xcom["results"]) == count

    def test_a_sensor_knows_no_regions(self):
        xcom = give(task(("Text", "one"), ("Text", "two")), endpoint="RecognizeRegions")
        assert "regions" not in xcom
        assert xcom["text"] == "one\ntwo"
