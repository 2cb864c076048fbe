"""
The addresses of the page, for Airflow's API server.

Each of them, without exception, asks Airflow whether the user may read the XComs of the DAG that stands in its path;
the same DAG is the one that is read. What cannot be answered without work in a thread is not answered in the loop.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from jinja2 import Environment, PackageLoader
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException as AnyHttpError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_asposeocr.batches.documents import DocumentStatus
from airflow_provider_asposeocr.plugin.manifests import document_at, page_of
from airflow_provider_asposeocr.plugin.pictures import BLOCK, picture_of
from airflow_provider_asposeocr.plugin.places import Places, begun, opened
from airflow_provider_asposeocr.plugin.refusals import NotShownError
from airflow_provider_asposeocr.plugin.task_instances import Left, TaskInstanceKey, left_by
from airflow_provider_asposeocr.plugin.views import cost_of, rounded, view_of_line, view_of_xcom

_HERE = Path(__file__).parent
_STATIC = {"page.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8"}
_INLINE = {".png": "image/png", ".wav": "audio/wav"}
_PAGE_POLICY = (
    "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'self'; script-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'self'"
)
_FILE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'self'"
"""For what comes from a document: a browser that opens it by itself runs nothing of it."""
_UNFILLED = "{MAP_INDEX}"
"""What Airflow's UI leaves in the address for a task that is not mapped."""


class SafeHeaders:
    """
    Sets the headers that keep a page safe, for each answer, an error too.

    :param app: what answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", _PAGE_POLICY)
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "same-origin"
                headers["Cache-Control"] = "no-store"
            await send(message)

        await self._app(scope, receive, send_safely)


app = FastAPI(
    title="Aspose.OCR Cloud: OCR result",
    # For all routes that are here, or will be.
    dependencies=[Depends(requires_access_dag(method="GET", access_entity=DagAccessEntity.XCOM))],
    docs_url=None,
    redoc_url=None,
    openapi_url=None,
)
app.add_middleware(SafeHeaders)
_templates = Environment(
    loader=PackageLoader("airflow_provider_asposeocr.plugin"), autoescape=True, trim_blocks=True, lstrip_blocks=True
)
_templates.filters["rounded"] = rounded


def _key(dag_id: str, task_id: str, run_id: str, map_index: str = "-1") -> TaskInstanceKey:
    number = "-1" if map_index == _UNFILLED else map_index
    if not number.removeprefix("-").isascii() or not number.removeprefix("-").isdigit() or len(number) > 9:
        raise HTTPException(404, "There is no such task instance.")
    if "\0" in f"{dag_id}{task_id}{run_id}":
        # PostgreSQL takes no such text, not even to look for it.
        raise HTTPException(404, "There is no such task instance.")
    if dag_id == "~":
        # Airflow's sign for all DAGs, for which its check means another thing.
        raise HTTPException(404, "There is no such DAG.")
    return TaskInstanceKey(dag_id, task_id, run_id, int(number))


Key = Annotated[TaskInstanceKey, Depends(_key)]
Offset = Annotated[int | None, Query(ge=0, le=1 << 40)]
PageNumber = Annotated[int, Query(ge=1, le=100_000)]


@app.get("/dags/{dag_id}/static/{name}")
def static(name: str) -> Response:
    """
    Return the page's style or script.

    :param name: of the file.
    """
    if name not in _STATIC:
        raise HTTPException(404, "There is no such file.")
    return Response((_HERE / "static" / name).read_bytes(), media_type=_STATIC[name])


@app.get("/dags/{dag_id}/tasks/{task_id}/result")
def result(
    key: Key,
    document: Offset = None,
    page: PageNumber = 1,
    after: Annotated[int, Query(ge=0, le=1 << 40)] = 0,
    words: Annotated[str, Query(max_length=200)] = "",
    status: Annotated[str, Query(max_length=20)] = "",
) -> HTMLResponse:
    """
    Return the page of a result, of a batch, or of one document of it.

    :param key: the task instance.
    :param document: of a batch: the offset in the manifest where the line of the document begins.
    :param page: which page of a PDF or TIFF, from 1.
    :param after: of a batch: the offset in the manifest to list on from.
    :param words: of a batch: what the name or the error of a document holds; nothing for all.
    :param status: of a batch: which status; nothing for all.
    """
    left = left_by(key)
    places = Places(left.fields)
    about: dict[str, Any] = {"key": key, "left": left, "address": _Addresses(key, document)}
    if left.xcom is not None and "manifest" not in left.xcom:
        return _page("result.html", about, view=view_of_xcom(left.xcom, places), page=page)
    if left.xcom is None and left.progress is None:
        return _page("nothing.html", about)
    try:
        manifest = places.manifest(_manifest(left, places))
        if document is not None:
            line = document_at(manifest, document)
            return _page("result.html", about, view=view_of_line(_endpoint(left), line, places), page=page)
        lines = page_of(manifest, after, words, status)
    except NotShownError as refusal:
        return _page("batch.html", about, facts=_facts(left), refusal=refusal.sentence, cost=cost_of(_facts(left)))
    return _page(
        "batch.html",
        about,
        facts=_facts(left),
        cost=cost_of(_facts(left)),
        lines=lines,
        words=words,
        status=status,
        statuses=list(DocumentStatus),
        after=after,
    )


@app.get("/dags/{dag_id}/tasks/{task_id}/picture")
def picture(key: Key, document: Offset = None, page: PageNumber = 1) -> StreamingResponse:
    """
    Return the picture of a document.

    :param key: the task instance.
    :param document: as of :func:`result`.
    :param page: likewise.
    """
    left = left_by(key)
    places = Places(left.fields)
    if document is None:
        if left.xcom is None or "manifest" in left.xcom:
            raise NotShownError("There is no OCR result.")
        found, facts = places.document()
    else:
        found, facts = places.document_of_batch(_line(left, places, document).get("image"))
    drawn = picture_of(found, facts, page)
    # An SVG that is opened by itself could run a script; in an <img> it cannot.
    return _streamed(drawn.content, drawn.media_type, "picture", attached=drawn.media_type == "image/svg+xml")


@app.get("/dags/{dag_id}/tasks/{task_id}/file")
def file(
    key: Key,
    index: Annotated[int, Query(ge=0, le=100_000)],
    document: Offset = None,
    inline: bool = False,
) -> StreamingResponse:
    """
    Return a file of a result, by its place among them.

    :param key: the task instance.
    :param index: the place, from 0; of a batch 0 is the manifest.
    :param document: as of :func:`result`.
    :param inline: whether the browser is to show it, where it can.
    """
    left = left_by(key)
    places = Places(left.fields)
    if document is not None:
        files = _line(left, places, document).get("files")
    else:
        files = (left.xcom or {}).get("files") if left.xcom and "manifest" not in left.xcom else None
        if left.xcom and "manifest" in left.xcom and index == 0:
            return _sent(places.manifest(left.xcom["manifest"]), inline=False)
    if not isinstance(files, list) or index >= len(files):
        raise NotShownError("The result has no such file.")
    return _sent(places.result(files[index]), inline=inline)


def _sent(path: Any, *, inline: bool) -> StreamingResponse:
    name = posixpath.basename(path.path)
    media_type = _INLINE.get(posixpath.splitext(name)[1].lower()) if inline else None
    source = opened(path)
    return _streamed(_blocks(source), media_type or "application/octet-stream", name, attached=media_type is None)


def _blocks(source: Any) -> Iterator[bytes]:
    with source as stream:
        while block := stream.read(BLOCK):
            yield block


def _streamed(content: Iterator[bytes], media_type: str, name: str, *, attached: bool) -> StreamingResponse:
    how = "attachment" if attached else "inline"
    headers = {
        "Content-Disposition": f"{how}; filename*=UTF-8''{quote(name.encode(errors='replace'), safe='')}",
        "Content-Security-Policy": _FILE_POLICY,
    }
    return StreamingResponse(begun(content), media_type=media_type, headers=headers)


def _facts(left: Left) -> Any:
    return left.xcom if left.xcom is not None else left.progress or {}


def _endpoint(left: Left) -> str:
    return str(left.xcom["endpoint"]) if left.xcom else "RecognizeImage"


def _manifest(left: Left, places: Places) -> str:
    """The batch's own word, or where it writes it at the end of a try that failed."""
    if left.xcom is not None:
        return str(left.xcom.get("manifest"))
    return places.manifest_of_progress(left.key.map_index)


def _line(left: Left, places: Places, document: int) -> Any:
    if left.progress is None and not (left.xcom and "manifest" in left.xcom):
        raise NotShownError("The task is no batch.")
    return document_at(places.manifest(_manifest(left, places)), document)


class _Addresses:
    """
    Relative addresses: they hold behind any proxy, at any path.

    :param key: the task instance.
    :param document: which of a batch.
    """

    def __init__(self, key: TaskInstanceKey, document: int | None) -> None:
        self._query = {"run_id": key.run_id, "map_index": key.map_index}
        self._document = {} if document is None else {"document": document}

    def __call__(self, what: str, *, of_batch: bool = False, **more: Any) -> str:
        """The address of a picture, a file or a page; ``of_batch``: of the batch, not of its document."""
        query = {**self._query, **({} if of_batch else self._document), **more}
        return f"{what}?{urlencode({name: value for name, value in query.items() if value not in (None, '')})}"

    @property
    def query(self) -> dict[str, Any]:
        """What a form must send besides its own fields."""
        return self._query


def _page(template: str, about: dict[str, Any], **values: Any) -> HTMLResponse:
    text = _templates.get_template(template).render(**about, **values)
    # What is half a surrogate pair in a file's name has no place in UTF-8.
    return HTMLResponse(text.encode("utf-8", "replace"))


@app.exception_handler(NotShownError)
def _not_shown(_: Request, error: NotShownError) -> HTMLResponse:
    return _refused(error.sentence, error.status)


@app.exception_handler(AnyHttpError)
def _http_error(_: Request, error: AnyHttpError) -> HTMLResponse:
    return _refused(str(error.detail), error.status_code, error.headers)


@app.exception_handler(RequestValidationError)
def _bad_request(_: Request, __: RequestValidationError) -> HTMLResponse:
    return _refused("The address of the page is not right.", 422)


def _refused(sentence: str, status: int, headers: Any = None) -> HTMLResponse:
    text = _templates.get_template("refusal.html").render(sentence=sentence)
    return HTMLResponse(text.encode("utf-8", "replace"), status, headers)
