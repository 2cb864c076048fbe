"""Results delivered: what stands in which file, what is never replaced, and what is said where something lacks."""

from __future__ import annotations

import io
import json
import threading

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath
from msgspec.structs import replace

from airflow_provider_asposeocr.exceptions import AsposeOcrDeliveryError
from airflow_provider_asposeocr.storage.outputs import output_files
from airflow_provider_asposeocr.storage.writing import write_file
from tests.unit.storage.outputs import IMAGE, JOB, QUIET, SECOND, content, files_in, give, listing, task

pytestmark = QUIET


class TestFiles:
    def test_one_file(self, storage):
        """One result is one file, and its text stands in the XCom too."""
        xcom = give(task(("Text", SECOND)), files_in(storage))
        uri = f"{storage}/page 1.txt"
        assert xcom["results"] == [{"type": "Text", "file": uri, "text": SECOND}]
        assert xcom["text"] == SECOND
        assert content(uri) == SECOND.encode()

    def test_several_files(self, storage):
        """Several results are several files."""
        xcom = give(task(("Text", "x"), ("Pdf", b"%PDF-"), ("Hocr", "<html/>")), files_in(storage))
        assert listing(storage) == ["page 1.hocr", "page 1.pdf", "page 1.txt"]
        assert xcom["results"][1] == {"type": "Pdf", "file": f"{storage}/page 1.pdf"}
        assert content(xcom["results"][1]["file"]) == b"%PDF-"
        assert xcom["files"] == [f"{storage}/page 1.{end}" for end in ("txt", "pdf", "hocr")]
        assert xcom["file"] == xcom["files"][0]

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
    def test_a_file_that_appeared_meanwhile(self, storage, old, caplog):
        """A file of other content that appeared in the folder is kept, and the result stands beside it."""
        path = ObjectStoragePath(f"{storage}/page 1.txt")
        write_file(io.BytesIO(old), path)
        for _ in range(2):  # a retry finds its own
            xcom = give(task(("Text", "words"), ("Hocr", "<a/>")), files_in(storage))
            assert xcom["files"] == [f"{storage}/page 1.{JOB[:8]}.txt", f"{storage}/page 1.hocr"]
            (warning,) = xcom["warnings"]
            assert "page 1.txt appeared while the job ran, with other content: it is not replaced" in warning
            assert warning in caplog.text
        assert listing(storage) == [f"page 1.{JOB[:8]}.txt", "page 1.hocr", "page 1.txt"]
        assert (path.read_bytes(), content(xcom["file"])) == (old, b"words")
        assert give(task(("Text", "words")), files_in(storage, overwrite=True))["files"] == [str(path)]
        assert path.read_bytes() == b"words"

    def test_two_documents_of_one_name(self, storage):
        """Documents of one name that are read at the same time are both delivered."""
        one = give(task(("Text", "one")), files_in(storage, "a/scan.jpg"))
        other = replace(task(("Text", "other")), id="b297aade-bba9-4c7a-92c7-46851b3dceaa")
        two = give(other, files_in(storage, "b/scan.jpg"))
        assert (content(one["file"]), content(two["file"])) == (b"one", b"other")
        assert listing(storage) == ["scan.b297aade.txt", "scan.txt"]

    def test_long_name_that_is_taken(self, tmp_path):
        """Where the name that is taken is as long as can be, the one beside it is cut."""
        for number in range(2):
            done = replace(task(("Text", str(number))), id=f"{number}{JOB[1:]}")
            uri = give(done, files_in(f"file://{tmp_path}", f"{number}/{'ä' * 125}.jpg"))["file"]
            assert content(uri) == b"%d" % number
        assert uri.endswith(f"ä.1{JOB[1:8]}.txt")

    def test_documents_of_one_name_at_the_same_time(self, tmp_path):
        """Of documents of one name that are delivered at the same time none is lost."""
        ready, delivered = threading.Barrier(8), {}

        def delivery(number):
            done = replace(task(("Text", str(number))), id=f"{number}{JOB[1:]}")
            files = files_in(f"file://{tmp_path}", f"{number}/scan.jpg")
            ready.wait()
            delivered[number] = give(done, files)["file"]

        threads = [threading.Thread(target=delivery, args=[number]) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {number: content(uri) for number, uri in delivered.items()} == {n: b"%d" % n for n in range(8)}
        assert len(listing(tmp_path)) == len(set(delivered.values())) == 8

    def test_the_users_file_is_in_the_way(self, storage):
        """Where the user named the file, another one in its place is an error that a retry can mend."""
        path = ObjectStoragePath(f"{storage}/mine.txt")
        write_file(io.BytesIO(b"of another job"), path)
        files = output_files(str(path), IMAGE, JOB, None, False)
        with pytest.raises(AsposeOcrDeliveryError, match=r"mine.txt exists already, with other content") as caught:
            give(task(("Text", "words")), files)
        assert not isinstance(caught.value, AirflowFailException)
        assert caught.value.ocr_task_id == JOB
        assert "a retry fetches it, and nothing is billed again" in str(caught.value)
        assert (path.read_bytes(), listing(storage)) == (b"of another job", ["mine.txt"])
        path.unlink()
        assert give(task(("Text", "words")), files)["file"] == str(path)

    def test_own_file_is_replaced(self, storage):
        """A file that this task instance wrote before is replaced, and no other one."""
        before = give(task(("Text", "as read before"), ("Hocr", "<a/>")), files_in(storage))
        own = replace(files_in(storage), own=frozenset(before["files"][:1]))
        assert give(task(("Text", "as read now"), ("Hocr", "<a/>")), own)["files"] == before["files"]
        assert content(before["file"]) == b"as read now"
        assert give(task(("Text", "as read now"), ("Hocr", "<b/>")), own)["files"] == [
            before["file"],
            f"{storage}/page 1.{JOB[:8]}.hocr",
        ]

    def test_a_file_of_the_users_name(self, storage):
        """A file has the name that the user gave."""
        xcom = give(task(("Text", "x")), output_files(f"{storage}/mine.md", IMAGE, JOB, None, False))
        assert xcom["results"][0]["file"] == f"{storage}/mine.md"

    def test_xcom_is_plain_json(self, storage):
        xcom = give(task(("Text", SECOND), ("Pdf", b"%PDF-"), warnings=["!"]), files_in(storage))
        assert json.loads(json.dumps(xcom)) == xcom


class TestIncomplete:
    @pytest.mark.parametrize("kind", ["Pdf", "ImagePNG", "Excel", "Hologram"])
    def test_binary_result_without_a_place(self, kind):
        """A result that no XCom holds is an error where nothing else came: a retry fetches it once it has a place."""
        with pytest.raises(AsposeOcrDeliveryError, match=f"a result of type {kind} \\(3 bytes\\)") as caught:
            give(task((kind, b"\0\1\2")))
        assert "a retry fetches it, and nothing is billed again" in str(caught.value)
        assert caught.value.ocr_task_id == JOB

    @pytest.mark.parametrize("kind", ["Pdf", "Markdown"])
    def test_unexpected_result_beside_a_text(self, kind):
        """A result that no XCom holds does not lose the text beside it: it is a warning."""
        xcom = give(task(("Text", "words"), (kind, b"\0\1\2")))
        assert (xcom["text"], xcom["results"]) == ("words", [{"type": "Text", "text": "words"}, {"type": kind}])
        (warning,) = xcom["warnings"]
        assert f"{kind} (3 bytes), which does not go into XCom" in warning

    @pytest.mark.parametrize("results", [(), [("Text", None)], [("Text", None), ("Pdf", None)]])
    @pytest.mark.parametrize("settings", [None, {}])
    def test_nothing_came(self, results, settings):
        """A job that ends as Completed and brings nothing is an error, which says what the service said."""
        done = task(*results, code="ResultDataLost", messages=["The disk was full."])
        with pytest.raises(AsposeOcrDeliveryError, match="brought no result") as caught:
            give(done, settings=settings)
        assert "The disk was full. The service's responseStatusCode is ResultDataLost." in str(caught.value)
        assert not isinstance(caught.value, AirflowFailException)

    @pytest.mark.parametrize("results", [[("Text", "words")], [("Text", "words"), ("Pdf", None)]])
    def test_a_part_is_missing(self, storage, results, caplog):
        """A result that was asked for and did not come is a warning, in the XCom and the log."""
        xcom = give(task(*results), files_in(storage), {"resultType": "TextAndPdf"})
        assert xcom["warnings"] == ["A result of type Pdf was asked for, and none came."]
        assert xcom["warnings"][0] in caplog.text
        assert xcom["file"] == f"{storage}/page 1.txt"

    def test_all_that_was_asked_for_came(self, storage):
        """Where all came that was asked for, there is no warning."""
        for kind in ("Text", "Pdf", "Hocr", "JSON", "ImagePNG"):
            came = {"Hocr": "<a/>", "JSON": "[]"}.get(kind, "{}")
            assert give(task((kind, came)), files_in(storage), {"resultType": kind})["warnings"] == []
        assert give(task(("Other", "[]")), None, {"language": "German"}, "DetectRegions")["warnings"] == []

    @pytest.mark.parametrize("code", ["PartiallyNotFound", "NoAnyResultData", "ResultDataLost"])
    def test_a_code_that_is_not_ok(self, code):
        """What the service's code says of an incomplete result is a warning."""
        xcom = give(task(("Text", "words"), code=code))
        assert xcom["warnings"] == [f"The service's responseStatusCode is {code}."]
