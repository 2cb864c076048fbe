"""Which files the page reads: those the XCom names, below the task's output_path; whatever else is asked for, none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.unit.plugin.served_page import DAG, QUERY

FOREIGN = "the administrator's own"
ODD = (
    "../secret.txt",
    "..%2fsecret.txt",
    "....//secret.txt",
    "/etc/passwd",
    "file:///etc/passwd",
    "0/../../secret.txt",
    "\x00",
    "-1",
    "1e3",
    "0x0",
    "99999999999999999999",
)


on_any_storage = pytest.mark.filterwarnings("ignore:UPath 'moody'")


def xcom_of(*files: Any, endpoint: str = "RecognizeImage") -> dict[str, Any]:
    results = [{"type": "Text", "file": file} for file in files]
    return {"endpoint": endpoint, "ocr_task_id": "a", "text": None, "results": results, "files": list(files)}


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file beside the output folder."""
    path = tmp_path / "secret.txt"
    path.write_text(FOREIGN)
    return path


def everything_of(viewer: Any, page: str) -> str:
    """What the page and the download bring together."""
    return (
        viewer.get(f"{page}/result", params=QUERY).text + viewer.get(f"{page}/file", params={**QUERY, "index": 0}).text
    )


def test_a_result_is_downloaded_as_it_is_and_never_run(viewer, leave, out):
    """What a browser would run, an hOCR or an HTML page, is only saved."""
    (out / "page.html").write_text("<script>alert(1)</script>")
    page = leave(xcom=xcom_of(str(out / "page.html")), fields={"image": "x", "output_path": str(out)})
    for inline in ("0", "1"):
        answer = viewer.get(f"{page}/file", params={**QUERY, "index": 0, "inline": inline})
        assert answer.text == "<script>alert(1)</script>"
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''page.html"
        assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_a_name_of_any_letters_is_downloaded_under_that_name(viewer, leave, out):
    name = 'b\N{LATIN SMALL LETTER U WITH DIAERESIS}ro "1"\r\nX: y.txt'
    (out / name).write_text("text")
    page = leave(xcom=xcom_of(str(out / name)), fields={"image": "x", "output_path": str(out)})
    answer = viewer.get(f"{page}/file", params={**QUERY, "index": 0})
    assert answer.headers["Content-Disposition"] == f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    assert "X" not in answer.headers


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("name", ["index", "document", "page", "map_index", "run_id", "after", "words", "status"])
def test_no_parameter_of_the_address_is_a_path(viewer, leave, out, secret, name, value):
    (out / "own.txt").write_text("own")
    page = leave(xcom=xcom_of(str(out / "own.txt")), fields={"image": str(secret), "output_path": str(out)})
    for route in ("result", "file", "picture"):
        answer = viewer.get(f"{page}/{route}", params={**QUERY, "index": 0, name: value})
        assert answer.status_code in (200, 404, 415, 422)
        assert FOREIGN not in answer.text
        assert "root:" not in answer.text


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("place", ["dag", "task", "static"])
def test_no_part_of_the_path_leads_to_a_file(viewer, leave, out, secret, place, value):
    leave(xcom=xcom_of(str(out / "own.txt")), fields={"image": str(secret), "output_path": str(out)})
    odd = quote(value, safe="")
    path = {
        "dag": f"/aspose-ocr/dags/{odd}/tasks/read/file",
        "task": f"/aspose-ocr/dags/{DAG}/tasks/{odd}/file",
        "static": f"/aspose-ocr/dags/{DAG}/static/{odd}",
    }[place]
    answer = viewer.get(path, params={**QUERY, "index": 0})
    assert answer.status_code in (403, 404)
    assert FOREIGN not in answer.text


@pytest.mark.parametrize(
    "uri",
    [
        "{secret}",
        "file://{secret}",
        "{out}/../secret.txt",
        "file://{out}/../secret.txt",
        "{out}/a/../../secret.txt",
        "{out}\\..\\..\\secret.txt",
        "{out}-more/secret.txt",
        "{out}/link.txt",
        "{out}/folder-link/secret.txt",
        "{out}/secret.conf",
        "{out}/secret.txt\0.txt",
        "s3://bucket/secret.txt",
        "http://127.0.0.1:1/secret.txt",
        "memory://secret.txt",
    ],
)
def test_an_xcom_that_names_a_foreign_file_is_not_followed(viewer, leave, out, secret, uri):
    """Who can edit an XCom reads nothing by it."""
    (out / "link.txt").symlink_to(secret)
    (out / "folder-link").symlink_to(secret.parent)
    (out / "secret.conf").write_text(FOREIGN)
    (more := out.with_name("out-more")).mkdir()
    (more / "secret.txt").write_text(FOREIGN)
    page = leave(xcom=xcom_of(uri.format(secret=secret, out=out)), fields={"image": "x", "output_path": str(out)})
    shown = everything_of(viewer, page)
    assert FOREIGN not in shown
    assert viewer.get(f"{page}/file", params={**QUERY, "index": 0}).status_code == 404


@pytest.mark.parametrize("files", [{"a": 1}, "x", None, [None], [7], [["/etc/passwd"]], [{"path": "/etc/passwd"}]])
def test_an_xcom_that_is_not_as_we_write_it_breaks_nothing(viewer, leave, out, files):
    page = leave(xcom={**xcom_of(), "files": files}, fields={"image": ["x"], "output_path": {"path": str(out)}})
    assert viewer.get(f"{page}/result", params=QUERY).status_code == 200
    assert viewer.get(f"{page}/file", params={**QUERY, "index": 0}).status_code == 404


def test_a_name_that_no_file_can_have_is_not_there(viewer, leave, out):
    page = leave(xcom=xcom_of(f"{out}/\ud800.txt"), fields={"image": "\ud800", "output_path": str(out)})
    assert viewer.get(f"{page}/result", params=QUERY).status_code == 200
    assert viewer.get(f"{page}/file", params={**QUERY, "index": 0}).status_code == 404


def test_a_document_that_is_no_image_is_not_shown(viewer, leave, out, secret):
    """The page's right to read is for pictures of documents, not for files that are called so."""
    renamed = secret.rename(secret.with_suffix(".png"))
    page = leave(xcom=xcom_of(), fields={"image": str(renamed), "output_path": str(out)})
    assert viewer.get(f"{page}/picture", params=QUERY).status_code == 404
    assert "neither an image nor a PDF" in viewer.get(f"{page}/result", params=QUERY).text


def test_without_the_rendered_fields_no_file_is_read(viewer, leave, out):
    """Airflow drops them of older runs: then nothing says where the task wrote but what could be edited."""
    (out / "own.txt").write_text("own words")
    page = leave(xcom={**xcom_of(str(out / "own.txt")), "text": "from the XCom"})
    shown = viewer.get(f"{page}/result", params=QUERY).text
    assert "from the XCom" in shown
    assert "max_num_rendered_ti_fields_per_task" in shown
    assert viewer.get(f"{page}/file", params={**QUERY, "index": 0}).status_code == 404


@pytest.mark.parametrize("as_uri", [True, False])
@pytest.mark.parametrize("name", ["x.txt", "x-1.txt", "x.a197aade.txt", "x.hocr"])
def test_an_output_path_that_is_a_file_has_the_files_of_its_name(viewer, leave, out, name, as_uri):
    (out / name).write_text("own words")
    prefix = "file://" if as_uri else ""
    fields = {"image": "x", "output_path": f"{prefix}{out}/x.txt"}
    page = leave(xcom=xcom_of(str(out / name)), fields=fields)
    assert viewer.get(f"{page}/file", params={**QUERY, "index": 0}).text == "own words"


def test_an_output_path_that_is_a_file_has_no_others(viewer, leave, out):
    (out / "xy.txt").write_text(FOREIGN)
    page = leave(xcom=xcom_of(str(out / "xy.txt")), fields={"image": "x", "output_path": f"{out}/x.txt"})
    assert FOREIGN not in everything_of(viewer, page)


@pytest.mark.parametrize(("allowed", "is_shown"), [("", True), ("none", False), ("{out}", True), ("/elsewhere", False)])
def test_the_administrator_says_which_local_folders_are_read(viewer, leave, out, monkeypatch, allowed, is_shown):
    monkeypatch.setenv("AIRFLOW__ASPOSE_OCR__RESULT_PAGE_LOCAL_FOLDERS", allowed.format(out=out))
    (out / "own.txt").write_text("own words")
    page = leave(xcom=xcom_of(str(out / "own.txt")), fields={"image": "x", "output_path": str(out)})
    assert (viewer.get(f"{page}/file", params={**QUERY, "index": 0}).text == "own words") is is_shown


@pytest.mark.parametrize("scheme", ["file", "FILE", "local", "simplecache::file", "dir::file"])
def test_no_spelling_of_a_local_path_leads_past_the_administrators_folders(
    viewer, leave, out, monkeypatch, png, scheme
):
    (out / "own.txt").write_text(FOREIGN)
    (out / "scan.png").write_bytes(png)
    folder = f"{scheme}://{out}"
    page = leave(xcom=xcom_of(f"{folder}/own.txt"), fields={"image": f"{folder}/scan.png", "output_path": f"{folder}/"})
    monkeypatch.setenv("AIRFLOW__ASPOSE_OCR__RESULT_PAGE_LOCAL_FOLDERS", "none")
    assert FOREIGN not in everything_of(viewer, page)
    assert viewer.get(f"{page}/picture", params=QUERY).status_code in (403, 404)


@pytest.mark.parametrize("scheme", ["file", "local"])
def test_no_spelling_of_a_local_path_follows_a_link_out_of_the_output_path(viewer, leave, out, secret, scheme):
    (out / "link.txt").symlink_to(secret)
    folder = f"{scheme}://{out}"
    page = leave(xcom=xcom_of(f"{folder}/link.txt"), fields={"image": "x", "output_path": folder})
    assert FOREIGN not in everything_of(viewer, page)


@on_any_storage
def test_results_and_documents_come_from_any_storage(viewer, leave, moody, png):
    moody.put("texts/page.txt", b"words from afar")
    moody.put("scans/page.png", png)
    page = leave(
        xcom=xcom_of("moody://texts/page.txt"),
        fields={"image": "moody://scans/page.png", "output_path": "moody://texts/", "storage_conn_id": None},
    )
    assert "words from afar" in viewer.get(f"{page}/result", params=QUERY).text
    assert viewer.get(f"{page}/picture", params=QUERY).content == png


@on_any_storage
def test_another_connection_in_the_xcom_is_not_used(viewer, leave, moody):
    """The connection is the task's: one that stands in a URI of the XCom is passed over."""
    moody.put("texts/page.txt", b"words from afar")
    page = leave(xcom=xcom_of("moody://rich@texts/page.txt"), fields={"image": "x", "output_path": "moody://texts/"})
    answer = viewer.get(f"{page}/file", params={**QUERY, "index": 0})
    assert answer.text == "words from afar"


@on_any_storage
@pytest.mark.parametrize("call", ["open", "info", "read"])
def test_a_storage_that_fails_is_a_sentence_without_its_words(viewer, leave, moody, png, call):
    moody.put("texts/page.txt", b"words")
    moody.put("scans/page.png", png)
    moody.fails[call] = PermissionError("the bucket's own secret")
    page = leave(
        xcom=xcom_of("moody://texts/page.txt"),
        fields={"image": "moody://scans/page.png", "output_path": "moody://texts/"},
    )
    answer = viewer.get(f"{page}/result", params=QUERY)
    assert answer.status_code == 200
    assert "secret" not in answer.text
    assert "cannot be read from here" in answer.text or "The document is not shown" in answer.text


@on_any_storage
@pytest.mark.parametrize("route", ["picture", "file"])
def test_what_cannot_be_read_any_more_is_a_sentence(viewer, leave, moody, png, route):
    """And no answer that begins well and breaks off."""
    moody.put("texts/page.png", png)
    page = leave(
        xcom=xcom_of("moody://texts/page.png"),
        fields={"image": "moody://texts/page.png", "output_path": "moody://texts/"},
    )
    if route == "picture":
        # Between the look at its head and the answer.
        moody.after_open.append(moody.store.clear)
    else:
        moody.fails["read"] = PermissionError("the bucket's own secret")
    answer = viewer.get(f"{page}/{route}", params={**QUERY, "index": 0})
    assert answer.status_code in (404, 502)
    assert "secret" not in answer.text


def test_a_pipe_is_not_read(viewer, leave, out):
    os.mkfifo(out / "pipe.txt")
    page = leave(xcom=xcom_of(str(out / "pipe.txt")), fields={"image": str(out / "pipe.txt"), "output_path": str(out)})
    assert viewer.get(f"{page}/file", params={**QUERY, "index": 0}).status_code == 404
    assert viewer.get(f"{page}/picture", params=QUERY).status_code == 404
