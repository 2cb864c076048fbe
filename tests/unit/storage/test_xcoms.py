"""The XCom of a completed job: what stands in it, and how often."""

from __future__ import annotations

import json
import logging

import pytest

from airflow_provider_asposeocr.exceptions import AsposeOcrProtocolError
from tests.unit.storage.outputs import JOB, QUIET, SECOND, content, files_in, give, listing, task

pytestmark = QUIET


class TestXComOnly:
    def test_text(self):
        """A text stands in the XCom."""
        assert give(task(("Text", SECOND))) == {
            "ocr_task_id": JOB,
            "endpoint": "RecognizeImage",
            "text": SECOND,
            "results": [{"type": "Text", "text": SECOND}],
            "file": None,
            "files": [],
            "warnings": [],
        }

    def test_several_texts(self):
        """Several texts are joined, and other types left out of the text."""
        xcom = give(task(("Text", "one"), ("Hocr", "<html/>"), ("Text", "two")))
        assert xcom["text"] == "one\ntwo"
        assert [entry["type"] for entry in xcom["results"]] == ["Text", "Hocr", "Text"]

    def test_no_text_was_asked_for(self):
        """Where no text was asked for, there is none."""
        assert give(task(("Hocr", "<html/>")))["text"] is None

    def test_empty_page(self):
        """The text of an empty page is empty, and not none."""
        assert give(task(("Text", "")))["text"] == ""

    def test_notices_are_returned_and_logged(self, caplog):
        xcom = give(task(("Text", "x"), warnings=["Low contrast."], messages=["Tilted."], code="PartiallyNotFound"))
        notices = ["Low contrast.", "Tilted.", "The service's responseStatusCode is PartiallyNotFound."]
        assert xcom["warnings"] == notices
        sentences = [record.getMessage().rpartition(" [aspose_ocr.result.warning ")[0] for record in caplog.records]
        assert [sentence.split(": ", 1)[1] for sentence in sentences] == notices

    def test_the_text_is_in_no_log(self, caplog, storage):
        with caplog.at_level(logging.DEBUG):
            give(task(("Text", SECOND)), files_in(storage), max_xcom_bytes=3)
            give(task(("Text", SECOND)), max_xcom_bytes=3)
        assert SECOND not in caplog.text
        assert f"{len(SECOND.encode())} bytes" in caplog.text

    def test_large_text_stays_but_a_place_is_recommended(self, caplog):
        assert give(task(("Text", "x" * 100)), max_xcom_bytes=99)["text"] == "x" * 100
        assert "Set output_path" in caplog.text

    @pytest.mark.parametrize("bad", [b"\xff\xfeword", b"word \xe4\xf6"])
    def test_text_that_is_not_utf8(self, storage, bad):
        """A text that is not UTF-8 is read as far as it can be, with a warning; its file holds what came."""
        for files, place in ((None, "set output_path"), (files_in(storage), "its file holds what came")):
            xcom = give(task(("Text", bad)), files)
            assert xcom["text"] == xcom["results"][0]["text"] == bad.decode(errors="replace")
            (warning,) = xcom["warnings"]
            assert "not UTF-8" in warning
            assert place in warning
        assert content(xcom["file"]) == bad

    def test_nul_characters(self, storage):
        """A NUL, which Airflow's database refuses, stands in the file alone, and a warning says so."""
        xcom = give(task(("Text", "one\0two"), ("Hocr", "<a/>")), files_in(storage))
        assert xcom["text"] == "onetwo"
        assert "\\u0000" not in json.dumps(xcom)
        (warning,) = xcom["warnings"]
        assert "NUL" in warning
        assert content(xcom["file"]) == b"one\0two"

    def test_long_text_stands_once(self, storage):
        """A long text stands in the XCom once, a short one also with its result."""
        long, short = "x" * 40_000, "y" * 4_000
        for files in (None, files_in(storage)):
            xcom = give(task(("Text", long), ("Hocr", "<a/>")), files)
            assert (xcom["text"], json.dumps(xcom).count(long)) == (long, 1)
            assert [entry.get("text") for entry in xcom["results"]] == [None, "<a/>"]
            assert len(json.dumps(xcom)) < 41_000
        assert give(task(("Text", short)))["results"][0]["text"] == short


class TestDetectedRegions:
    def test_rectangles(self):
        """Detected regions are rectangles in the XCom, and no text."""
        xcom = give(task(("Other", "[[1, 2, 3, 4], [5.0, 6, 7, 8]]")), endpoint="DetectRegions")
        assert xcom["regions"] == [[1, 2, 3, 4], [5, 6, 7, 8]]
        assert xcom["text"] is None
        assert json.loads(json.dumps(xcom)) == xcom

    def test_rectangles_in_a_file_too(self, storage):
        """Detected regions stand in the XCom, also where they go to a file."""
        xcom = give(task(("Other", "[[1, 2, 3, 4]]")), files_in(storage), endpoint="DetectRegions", max_xcom_bytes=3)
        assert xcom["regions"] == [[1, 2, 3, 4]]
        assert content(xcom["results"][0]["file"]) == b"[[1, 2, 3, 4]]"

    def test_many_rectangles_stand_once(self):
        """Many rectangles are not repeated as the text of their result; a few are."""
        few, many = ([[number, 2, 3, 4] for number in range(count)] for count in (2, 2000))
        xcom = give(task(("Other", json.dumps(few))), endpoint="DetectRegions")
        assert json.loads(xcom["results"][0]["text"]) == xcom["regions"] == few
        xcom = give(task(("Other", json.dumps(many))), endpoint="DetectRegions")
        assert (xcom["results"], xcom["regions"]) == ([{"type": "Other"}], many)

    @pytest.mark.parametrize("data", ["", "{}", "[[1, 2, 3]]", "[[1, 2, 3, true]]", "[[1, 2, 3, 4.5]]", "[5]"])
    def test_no_rectangles(self, data):
        """What are no rectangles is a protocol error."""
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
        """With several types per region, each region has its text and its files."""
        done = task(("Text", "one"), ("Pdf", b"1"), ("Text", "two"), ("Pdf", b"2"))
        settings = {**self.SETTINGS, "resultType": "TextAndPdf"}
        xcom = give(done, files_in(storage), settings, "RecognizeRegions")
        assert [region["text"] for region in xcom["regions"]] == ["one", "two"]
        assert listing(storage) == ["page 1-1.pdf", "page 1-1.txt", "page 1-2.pdf", "page 1-2.txt"]

    def test_other_type_than_text(self):
        """A region whose result is of another text type holds that."""
        settings = {**self.SETTINGS, "resultType": "Hocr"}
        xcom = give(task(("Hocr", "<a/>"), ("Hocr", "<b/>")), settings=settings, endpoint="RecognizeRegions")
        assert [region["text"] for region in xcom["regions"]] == ["<a/>", "<b/>"]

    @pytest.mark.parametrize("count", [1, 3])
    def test_another_number_of_results_than_regions(self, count, caplog):
        """Another number of results than regions is a warning, and no region gets a text that may be another's."""
        done = task(*[("Text", f"text {number}") for number in range(count)])
        xcom = give(done, settings=self.SETTINGS, endpoint="RecognizeRegions")
        says = f"2 regions were sent, {count} results came back"
        assert says in xcom["warnings"][0]
        assert says in caplog.text
        assert [region["text"] for region in xcom["regions"]] == [None, None]
        assert len(xcom["results"]) == count

    @pytest.mark.parametrize("missing", [0, 1])
    def test_region_without_a_result(self, storage, missing, caplog):
        """A region whose result is missing is told, and all other regions keep their texts and numbers."""
        results = [("Text", "one"), ("Text", "two")]
        results[missing] = ("Text", None)
        texts = ["one", "two"]
        texts[missing] = None
        for files in (None, files_in(storage)):
            xcom = give(task(*results), files, self.SETTINGS, "RecognizeRegions")
            assert [region["text"] for region in xcom["regions"]] == texts
            assert xcom["text"] == texts[1 - missing]
            (warning,) = xcom["warnings"]
            assert f"Region {missing} {xcom['regions'][missing]['rect']} came back without a result" in warning
            assert warning in caplog.text
        assert listing(storage) == [f"page 1-{2 - missing}.txt"]

    def test_a_sensor_knows_no_regions(self):
        xcom = give(task(("Text", "one"), ("Text", "two")), endpoint="RecognizeRegions")
        assert "regions" not in xcom
        assert xcom["text"] == "one\ntwo"
