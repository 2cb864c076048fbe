"""
The emulator's HTTP face: the token endpoint, the queue protocol, and the emulator's own ``/emulator/...`` paths.

All of the service goes through one catch-all route, because its paths are not case-sensitive and any version segment
will do; which endpoints there are says :mod:`~airflow_provider_asposeocr.emulator.work`.
"""

from __future__ import annotations

import asyncio
import re
from binascii import a2b_base64
from collections.abc import Iterable
from urllib.parse import parse_qs

from fastapi import FastAPI, Request, Response
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse
from starlette.types import Receive, Scope, Send

from airflow_provider_asposeocr.api.answers import ResponseStatusCode
from airflow_provider_asposeocr.api.endpoints import STATUS_PATH, TOKEN_PATH
from airflow_provider_asposeocr.emulator import faults
from airflow_provider_asposeocr.emulator.calls import CallBook, CallReport
from airflow_provider_asposeocr.emulator.faults import Call, FaultPlan, FaultRule
from airflow_provider_asposeocr.emulator.jobs import Fate, JobFailedError, JobQueue, JobSummary, Outcome, Work, guarded
from airflow_provider_asposeocr.emulator.older_paths import OLDER_PATHS, older_job, parsed_older
from airflow_provider_asposeocr.emulator.problems import ProblemError, ProblemResponse
from airflow_provider_asposeocr.emulator.reading import PageReader
from airflow_provider_asposeocr.emulator.submissions import Submission, parsed
from airflow_provider_asposeocr.emulator.tokens import TokenDesk
from airflow_provider_asposeocr.emulator.transport import answer_in_clear, reset_connection, send_half
from airflow_provider_asposeocr.emulator.work import EMULATED_ENDPOINTS, EmulatedEndpoint

_SERVICE_PATH = re.compile(r"/v\d+(?:\.\d+)*/ocr/(?P<endpoint>.+?)/?", re.IGNORECASE)
MAX_BODY = 128 * 1024 * 1024
"""Bytes of a request's body. The service publishes no limit; this one keeps a mistake from taking all memory."""
_WITHOUT_RESULTS = (ResponseStatusCode.NO_ANY_RESULT_DATA, ResponseStatusCode.RESULT_DATA_LOST)
_SPEECH_PREFIX = "TTS"
"""Source: the example of "Fetching audio", docs.aspose.cloud/ocr/fetch-voice/."""
_FATEFUL = (faults.Error, faults.Warnings, faults.NotExist)


class ResetResponse(Response):
    """No answer: the connection is reset."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """
        Answer by the lack of an answer.

        :param scope: of ASGI.
        :param receive: of ASGI.
        :param send: of ASGI.
        """
        await reset_connection(scope, receive)


class ClearResponse(Response):
    """Bytes that are no answer, over TLS not even encrypted, as from a box in between."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """
        Answer what nobody can read.

        :param scope: of ASGI.
        :param receive: of ASGI.
        :param send: of ASGI.
        """
        await answer_in_clear(scope, receive)


class TruncatedResponse(Response):
    """
    Another answer, cut in the middle, but with its full ``Content-Length``.

    :param whole: the other answer.
    """

    def __init__(self, whole: Response) -> None:
        super().__init__(whole.body, whole.status_code, dict(whole.headers))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """
        Send the first half, and close.

        :param scope: of ASGI.
        :param receive: of ASGI.
        :param send: of ASGI.
        """
        await send_half(scope, receive, send, status=self.status_code, headers=self.raw_headers, body=bytes(self.body))


class Service:
    """
    Aspose.OCR Cloud, as far as it is emulated.

    :param tokens: issues and checks tokens.
    :param queue: holds the jobs.
    :param book: counts the calls.
    :param plan: says which calls go wrong.
    :param reader: reads the images.
    :param max_body: bytes of a request's body at most.
    :param further: endpoints to be served besides those of the service.
    """

    def __init__(
        self,
        *,
        tokens: TokenDesk,
        queue: JobQueue,
        book: CallBook,
        plan: FaultPlan,
        reader: PageReader,
        max_body: int = MAX_BODY,
        further: Iterable[EmulatedEndpoint] = (),
    ) -> None:
        self.tokens = tokens
        self.queue = queue
        self.book = book
        self.plan = plan
        self._reader = reader
        self._max_body = max_body
        self._endpoints = {**EMULATED_ENDPOINTS, **{row.endpoint.name: row for row in further}}
        self._names: dict[str, str] = {name.lower(): name for name in (*self._endpoints, *OLDER_PATHS, STATUS_PATH)}

    async def handle(self, request: Request) -> Response:
        """
        Answer any call of the service.

        :param request: the call.
        """
        # Even a call that goes wrong is read to its end: what a fault does must not depend on how far the client is.
        body = await self._body(request)
        call = self._call(request)
        if call.is_token_call:
            self.book.record_token_call()
        elif call.endpoint:
            self.book.record(call.method, call.endpoint)
        verdict = self.plan.judge(call)
        if verdict.delay:
            await asyncio.sleep(verdict.delay)
        unserved = self._unserved(request, verdict.fault)
        if unserved is not None:
            return unserved
        try:
            if body is None:
                raise ProblemError(413, f"The body has more than {self._max_body} bytes.")
            response = await self._answer(request, call, body, verdict.fault)
        except ProblemError as problem:
            response = ProblemResponse(problem.status, problem.detail, request.url.path, problem.headers)
        return _damaged(response, verdict.fault)

    async def _body(self, request: Request) -> bytes | None:
        """The whole body; ``None`` where it is too large, of which no more than the limit is ever held."""
        pieces, size = [], 0
        async for piece in request.stream():
            size += len(piece)
            if size <= self._max_body:
                pieces.append(piece)
            else:
                pieces.clear()
        return b"".join(pieces) if size <= self._max_body else None

    def _unserved(self, request: Request, fault: FaultRule | None) -> Response | None:
        """The answer to a call that a fault keeps from the service."""
        match fault:
            case faults.Refusal():
                return _refusal(fault, request.url.path)
            case faults.ResetBefore():
                return ResetResponse()
            case faults.WrongContentType():
                return HTMLResponse("<!DOCTYPE html><html><body><h1>Welcome to this network</h1></body></html>")
            case faults.ExpireToken():
                self.tokens.revoke(request.headers.get("authorization"))
        return None

    def _call(self, request: Request) -> Call:
        path = request.url.path
        if path.strip("/").lower() == TOKEN_PATH:
            return Call(request.method, path, TOKEN_PATH, is_token_call=True)
        match = _SERVICE_PATH.fullmatch(path)
        name = match["endpoint"] if match else ""
        return Call(request.method, path, self._names.get(name.lower()) or name)

    async def _answer(self, request: Request, call: Call, body: bytes, fault: FaultRule | None) -> Response:
        if call.is_token_call:
            _allow(call, "POST")
            return self._token(body)
        if call.endpoint == STATUS_PATH:
            _allow(call, "GET")
            self._authorize(request)
            return self._task(_task_id(request), None, fault)
        if call.endpoint in OLDER_PATHS:
            return await self._answer_older(request, call, body, fault)
        row = self._endpoints.get(call.endpoint)
        if row is None:
            raise ProblemError(404, f"There is nothing at this path. Endpoints: {', '.join(self._endpoints)}.")
        _allow(call, "POST", "GET", "DELETE")
        if row.endpoint.authorized:
            self._authorize(request)
        if call.method == "POST":
            media_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
            if media_type != "application/json" and not media_type.endswith("+json"):
                raise ProblemError(415, "The body must be application/json.")
            # Tens of megabytes take a while to parse: not in the event loop.
            return self._submit(row, await asyncio.to_thread(parsed, row.endpoint, body), fault)
        if call.method == "GET":
            return self._task(_task_id(request), call.endpoint, fault)
        self.queue.cancel(_task_id(request), call.endpoint)
        return Response(status_code=200)

    def _authorize(self, request: Request) -> None:
        if not self.tokens.accepts(request.headers.get("authorization")):
            challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            raise ProblemError(401, "The access token is missing, wrong or expired.", challenge)

    def _token(self, body: bytes) -> Response:
        form = {name: values[-1] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
        if form.get("grant_type") != "client_credentials":
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        if not self.tokens.knows(form.get("client_id", ""), form.get("client_secret", "")):
            return JSONResponse({"error": "invalid_client"}, 400)
        return JSONResponse(
            {"access_token": self.tokens.issue(), "expires_in": int(self.tokens.lifetime), "token_type": "Bearer"},
            headers={"Cache-Control": "no-store"},
        )

    async def _answer_older(self, request: Request, call: Call, body: bytes, fault: FaultRule | None) -> Response:
        path = OLDER_PATHS[call.endpoint]
        _allow(call, path.method)
        self._authorize(request)
        if path.endpoint is not None:
            row = EMULATED_ENDPOINTS[path.endpoint]
            content_type = request.headers.get("content-type", "")
            return self._submit(row, await asyncio.to_thread(parsed_older, row.endpoint, content_type, body), fault)
        job_id = _task_id(request)
        endpoint = older_job(path, self.queue.endpoint_of(job_id))
        if not path.as_file:
            return self._task(job_id, endpoint or call.endpoint, fault)
        results = self.queue.answer(job_id, endpoint or call.endpoint).results
        if not results:
            raise ProblemError(404, "There is no result of this job.")
        return Response(a2b_base64(results[0].data or ""), media_type="application/octet-stream")

    def _submit(self, row: EmulatedEndpoint, submission: Submission, fault: FaultRule | None) -> Response:
        fate = Fate()
        work = guarded(lambda: row.do(self._reader, submission.payload, submission.settings))
        if fault is not None:
            _inject(fault, fate)
        if fate.failure is not None:
            work = _fail(fate.failure)
        prefix = _SPEECH_PREFIX if row.endpoint.payload == "text" else ""
        job_id = self.queue.submit(row.endpoint.name, submission.sha256, work, fate, prefix=prefix)
        self.book.record_accepted(submission.sha256)
        return PlainTextResponse(job_id)

    def _task(self, job_id: str, endpoint: str | None, fault: FaultRule | None) -> Response:
        if isinstance(fault, _FATEFUL):
            fate = self.queue.fate_of(job_id)
            if fate is not None:
                _inject(fault, fate)
                fate.ended = True
        answer = self.queue.answer(job_id, endpoint)
        if isinstance(fault, faults.UnknownTaskStatus):
            answer = answer.model_copy(update={"task_status": fault.task_status, "results": None})
        elif isinstance(fault, faults.StatusCode):
            kept = None if fault.response_status_code in _WITHOUT_RESULTS else answer.results
            answer = answer.model_copy(update={"response_status_code": fault.response_status_code, "results": kept})
        return Response(answer.model_dump_json(by_alias=True), media_type="application/json")


def _inject(fault: FaultRule, fate: Fate) -> None:
    match fault:
        case faults.Error():
            fate.failure = list(fault.messages)
        case faults.Warnings():
            fate.messages += fault.messages
            fate.warnings += fault.warnings
        case faults.NotExist():
            fate.lost = True


def _damaged(response: Response, fault: FaultRule | None) -> Response:
    """What a fault makes of the answer to a call that was carried out."""
    match fault:
        case faults.ResetAfter():
            return ResetResponse()
        case faults.Truncate():
            return TruncatedResponse(response)
        case faults.InClear():
            return ClearResponse()
        case faults.NotJson():
            return Response("{ this is no JSON", response.status_code, media_type=response.headers.get("content-type"))
    return response


def _fail(messages: list[str]) -> Work:
    def run() -> Outcome:
        raise JobFailedError(*messages)

    return run


def _refusal(fault: faults.Refusal, path: str) -> Response:
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    if fault.body is not None:
        return PlainTextResponse(fault.body, fault.status, headers)
    return ProblemResponse(fault.status, "An injected fault.", path, headers)


def _allow(call: Call, *methods: str) -> None:
    if call.method not in methods:
        allowed = ", ".join(methods)
        raise ProblemError(405, f"This path answers to {allowed}.", {"Allow": allowed})


def _task_id(request: Request) -> str:
    job_id = next((value for name, value in request.query_params.items() if name.lower() == "id"), "")
    if not job_id:
        raise ProblemError(400, "The query parameter id is missing.")
    return job_id


def create_application(service: Service) -> FastAPI:
    """
    Return the application.

    :param service: what answers for Aspose.OCR Cloud.
    """
    app = FastAPI(title="Aspose.OCR Cloud emulator", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/emulator/calls")
    def calls() -> CallReport:
        return service.book.report()

    @app.get("/emulator/jobs")
    def jobs() -> list[JobSummary]:
        return service.queue.summaries()

    @app.post("/emulator/reset", status_code=204)
    def reset() -> None:
        service.queue.clear()
        service.book.clear()
        service.plan.clear()

    @app.get("/emulator/faults")
    def faults_left() -> list[FaultRule]:
        return service.plan.left()

    @app.post("/emulator/faults")
    def add_faults(rules: list[FaultRule]) -> list[FaultRule]:
        service.plan.add(rules)
        return service.plan.left()

    @app.delete("/emulator/faults", status_code=204)
    def clear_faults() -> None:
        service.plan.clear()

    @app.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
    async def any_call(request: Request) -> Response:
        return await service.handle(request)

    return app
