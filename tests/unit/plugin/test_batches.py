"""The manifest of a batch as a table: a page at a time, however long it is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.unit.plugin.served_page import QUERY, shown


def line(image: str, **more: Any) -> dict[str, Any]:
    return {"image": image, "ocr_task_id": "job", "status": "Completed", "files": [], "warnings": [], **more}


def xcom_of(manifest: Path) -> dict[str, Any]:
    counts = {"documents": 100_000, "completed": 99_999, "skipped": 0, "failed": 1}
    return {"endpoint": "RecognizeImage", "manifest": str(manifest), "submissions": 7, "calls": 9, **counts}


@pytest.fixture
def batch(leave: Any, out: Path) -> Any:
    """Puts a batch with such lines into the database, and returns the address of its page."""

    def put(*lines: dict[str, Any], images: Any = None, **left: Any) -> str:
        (out / "manifest.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lines))
        fields = {"images": images or str(out.parent), "output_path": str(out)}
        return str(leave(**{"xcom": xcom_of(out / "manifest.jsonl"), "fields": fields, **left}))

    return put


def names(page: str) -> list[str]:
    return re.findall(r'document=\d+"[^>]*>([^<]+)</a>', page)


def test_a_long_manifest_is_shown_a_page_at_a_time(viewer, batch):
    """Each page leads to the next one, and all of them together show each document once."""
    page = batch(*(line(f"/in/{number}.png") for number in range(250)))
    seen, after = [], 0
    while True:
        text = shown(viewer, page, after=after)
        found = re.findall(r"after=(\d+)", text)
        seen.append(names(text))
        if not found:
            break
        after = int(found[0])
    assert [len(each) for each in seen] == [100, 100, 50]
    assert [name for part in seen for name in part] == [f"{number}.png" for number in range(250)]


def test_a_manifest_of_a_hundred_thousand_lines_is_not_read_whole(viewer, batch, out):
    """The page of the first lines reads no byte of the last ones."""
    page = batch(*(line(f"/in/{number}.png") for number in range(100_000)))
    with (out / "manifest.jsonl").open("ab") as file:
        file.write(b"\xff" * 10)
    assert len(names(shown(viewer, page))) == 100
    assert names(shown(viewer, page, words="99999.PNG")) == ["99999.png"]


def test_the_table_filters_by_name_error_and_status(viewer, batch):
    page = batch(
        line("/in/a.png"),
        line("/in/b.png", status="Failed", error="The job ended as Error"),
        line("/in/c.png", status="Refused", error="no image"),
    )
    assert names(shown(viewer, page, words="A.png")) == ["a.png"]
    assert names(shown(viewer, page, words="ended AS")) == ["b.png"]
    assert names(shown(viewer, page, status="Refused")) == ["c.png"]
    assert names(shown(viewer, page, status="Refused", words="b.png")) == []


def test_each_document_opens_with_its_picture_text_and_files(viewer, batch, out, png):
    image = out.parent / "letter.png"
    image.write_bytes(png)
    (out / "letter.txt").write_text("Dear Sir")
    page = batch(line("/in/other.png"), line(str(image), files=[str(out / "letter.txt")], warnings=["late"]))
    (at,) = re.findall(r'document=(\d+)"[^>]*>letter.png', shown(viewer, page))
    text = shown(viewer, page, document=at)
    assert "<pre>Dear Sir</pre>" in text
    assert "late" in text
    assert viewer.get(f"{page}/picture", params={**QUERY, "document": at}).content == png
    assert viewer.get(f"{page}/file", params={**QUERY, "document": at, "index": 0}).text == "Dear Sir"


@pytest.mark.parametrize("offset", [1, 5, 40, 10_000])
def test_a_document_begins_where_a_line_begins(viewer, batch, offset):
    page = batch(line("/in/a.png"), line("/in/b.png"))
    answer = viewer.get(f"{page}/picture", params={**QUERY, "document": offset})
    assert answer.status_code == 404
    assert "no such document" in answer.text


def test_a_manifest_cannot_name_foreign_files_or_documents(viewer, batch, out, png, tmp_path):
    """What it names is read only where the task was told to read or write."""
    elsewhere = tmp_path.parent / f"{tmp_path.name}-elsewhere"
    elsewhere.mkdir()
    (elsewhere / "foreign.png").write_bytes(png)
    (elsewhere / "foreign.txt").write_text("foreign words")
    page = batch(
        line(str(elsewhere / "foreign.png"), files=[str(elsewhere / "foreign.txt"), f"{out}/../../x.txt"]),
        images=str(tmp_path / "in"),
    )
    assert "foreign words" not in shown(viewer, page, document=0)
    assert viewer.get(f"{page}/picture", params={**QUERY, "document": 0}).status_code == 404
    for index in (0, 1):
        query = {**QUERY, "document": 0, "index": index}
        assert viewer.get(f"{page}/file", params=query).status_code == 404


@pytest.mark.parametrize(
    "images",
    ["{folder}", "{folder}/*.png", ["{folder}/a.png"], "['{folder}/a.png']", {"folder": "{folder}"}, "Truncated. You"],
)
def test_documents_are_those_that_the_task_was_told_to_read(viewer, batch, out, png, images):
    """A list that was too long for Airflow to keep is the manifest's to know."""
    folder = out.parent / "in"
    folder.mkdir()
    (folder / "a.png").write_bytes(png)
    text = json.dumps(images).replace("{folder}", str(folder))
    page = batch(line(str(folder / "a.png")), images=json.loads(text))
    assert viewer.get(f"{page}/picture", params={**QUERY, "document": 0}).content == png


def test_of_a_manifest_of_empty_lines_a_bounded_part_is_looked_through(viewer, batch, out):
    page = batch()
    (out / "manifest.jsonl").write_bytes(b"\n" * 600_000)
    assert "after=500000" in shown(viewer, page)


def test_a_manifest_without_ends_of_lines_is_not_read_whole(viewer, batch, out):
    page = batch()
    (out / "manifest.jsonl").write_bytes(b"a" * (5 * 1024 * 1024))
    for query in ({}, {"document": 0}, {"after": 1}):
        assert "cannot be read from here (ValueError)" in shown(viewer, page, **query)


@pytest.mark.parametrize(
    ("images", "image"),
    [
        ("*.png", "{folder}/a.png"),
        ("{folder}/2026-*.png", "{folder}/a.png"),
        ("{folder}2026*/*.png", "{folder}/a.png"),
        ("['/data{folder}/a.png']", "{folder}/a.png"),
        (".", "file:{folder}/a.png"),
        (".", "FILE:{folder}/a.png"),
        (".", "local:{folder}/a.png"),
        ("{folder}/deeper", "{folder}/deeper/..\t/a.png"),
        ("{folder}/deeper", "{folder}/deeper/.\n./a.png"),
    ],
)
def test_documents_that_the_task_was_not_told_to_read_are_not_shown(viewer, batch, out, png, images, image):
    """However the images of a batch are spelt, and those that the manifest names."""
    folder = out.parent / "in"
    folder.mkdir()
    (folder / "a.png").write_bytes(png)
    (folder / "deeper").mkdir()
    page = batch(line(image.format(folder=folder)), images=images.format(folder=folder))
    answer = viewer.get(f"{page}/picture", params={**QUERY, "document": 0})
    assert answer.status_code == 404
    assert "not told to read" in answer.text or "not there any more" in answer.text


@pytest.mark.parametrize("images", ["file:{folder}", "file:{folder}/*.png", "file://{folder}"])
def test_a_folder_may_be_given_by_either_form_of_a_uri(viewer, batch, out, png, images):
    folder = out.parent / "in"
    folder.mkdir()
    (folder / "a.png").write_bytes(png)
    page = batch(line(f"file:{folder}/a.png"), images=images.format(folder=folder))
    assert viewer.get(f"{page}/picture", params={**QUERY, "document": 0}).content == png


@pytest.mark.filterwarnings("ignore:UPath 'moody'")
@pytest.mark.parametrize(
    ("images", "is_its_own"),
    [
        ("moody://scans/", False),
        ("moody://scans/*.png", False),
        ({"path": "moody://scans/", "conn_id": "own"}, False),
        ({"path": "moody://scans/", "conn_id": "other"}, True),
        ("moody://other@scans/", True),
    ],
)
def test_a_manifest_cannot_name_another_connection(viewer, batch, moody, png, images, is_its_own):
    """Who can write a manifest does not open the account of another team: the connection is the task's."""
    moody.put("scans/a.png", png)
    page = batch(line("moody://other@scans/a.png"), images=images)
    answer = viewer.get(f"{page}/picture", params={**QUERY, "document": 0})
    assert ("not told to read" in answer.text) is not is_its_own


def test_a_batch_that_failed_shows_what_its_last_try_has_left(viewer, batch):
    """Its XCom never came; that is when people look."""
    progress = {"documents": 2, "completed": 1, "failed": 1, "skipped": 0, "submissions": 2, "calls": 3}
    page = batch(
        line("/in/a.png"), line("/in/b.png", status="Failed", error="why"), xcom=None, progress=progress, state="failed"
    )
    text = shown(viewer, page)
    assert names(text) == ["a.png", "b.png"]
    assert "The task is failed" in text


def test_a_manifest_that_is_gone_is_a_sentence(viewer, batch, out):
    page = batch(line("/in/a.png"))
    (out / "manifest.jsonl").unlink()
    assert "not on the disk of the API server" in shown(viewer, page)


@pytest.mark.parametrize("name", ["other.jsonl", "../manifest.jsonl", "manifest.txt", "/etc/passwd"])
def test_only_a_manifest_is_taken_for_one(viewer, batch, out, name):
    (out / "other.jsonl").write_text(json.dumps(line("/in/foreign.png")))
    page = batch(line("/in/a.png"), xcom={**xcom_of(out / name), "manifest": f"{out}/{name}"})
    assert names(shown(viewer, page)) == []


def test_the_manifest_is_downloaded(viewer, batch, out):
    page = batch(line("/in/a.png"))
    answer = viewer.get(f"{page}/file", params={**QUERY, "index": 0})
    assert answer.content == (out / "manifest.jsonl").read_bytes()
    assert answer.headers["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize("content", [b"", b"\n\n", b"[]\n7\n", b"{", b"\xff\xfe\n" * 9, b'{"image": null}\n'])
def test_a_manifest_of_anything_breaks_nothing(viewer, batch, out, content):
    page = batch()
    (out / "manifest.jsonl").write_bytes(content)
    shown(viewer, page)
    shown(viewer, page, document=0)
