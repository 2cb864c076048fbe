"""
The emulator's HTTP face: the token endpoint, the queue protocol, and the emulator's own ``/emulator/...`` paths.

All of the service goes through one catch-all route, because its paths are not case-sensitive and any version segment
will do; which endpoints there are says :mod:`~airflow_provider_asposeocr.emulator.work`.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from fastapi import FastAPI, Request, Response
from pydantic import ValidationError
from pydantic_core import from_json
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse
from starlette.types import Receive, Scope, Send

from airflow_provider_asposeocr.api.endpoints import STATUS_PATH, TOKEN_PATH
from airflow_provider_asposeocr.api.settings import Settings
from airflow_provider_asposeocr.emulator import faults
from airflow_provider_asposeocr.emulator.calls import CallBook, CallReport
from airflow_provider_asposeocr.emulator.engine import PageReader
from airflow_provider_asposeocr.emulator.faults import Call, FaultPlan, FaultRule
from airflow_provider_asposeocr.emulator.jobs import Fate, JobFailedError, JobQueue, JobSummary, Outcome, Work, guarded
from airflow_provider_asposeocr.emulator.tokens import TokenDesk
from airflow_provider_asposeocr.emulator.transport import reset_connection, send_half
from airflow_provider_asposeocr.emulator.work import EMULATED_ENDPOINTS, EmulatedEndpoint

_SERVICE_PATH = re.compile(r"/v\d+(?:\.\d+)*/ocr/(?P<endpoint>.+?)/?", re.IGNORECASE)
_PHRASES = {int(status): status.phrase for status in HTTPStatus}
_FATEFUL = (faults.Error, faults.Warnings, faults.NotExist)


class ProblemError(Exception):
    """
    The call is refused.

    :param status: HTTP status.
    :param detail: what is wrong with it, never quoting what was sent.
    :param headers: of the answer.
    """

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers


class ProblemResponse(JSONResponse):
    """
    A problem document of RFC 7807.

    :param status: HTTP status.
    :param detail: what is wrong.
    :param path: of the call.
    :param headers: further headers.
    """

    media_type = "application/problem+json"

    def __init__(self, status: int, detail: str, path: str, headers: Mapping[str, str] | None = None) -> None:
        content = {
            "type": "about:blank",
            "title": _PHRASES.get(status, "Error"),
            "status": status,
            "detail": detail,
            "instance": path,
        }
        super().__init__(content, status, dict(headers or {}))


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


@dataclass(frozen=True, slots=True)
class _Submission:
    payload: bytes
    sha256: str
    settings: Settings


class Service:
    """
    Aspose.OCR Cloud, as far as it is emulated.

    :param tokens: issues and checks tokens.
    :param queue: holds the jobs.
    :param book: counts the calls.
    :param plan: says which calls go wrong.
    :param reader: reads the images.
    """

    def __init__(
        self, *, tokens: TokenDesk, queue: JobQueue, book: CallBook, plan: FaultPlan, reader: PageReader
    ) -> None:
        self.tokens = tokens
        self.queue = queue
        self.book = book
        self.plan = plan
        self._reader = reader
        self._names = {name.lower(): name for name in (*EMULATED_ENDPOINTS, STATUS_PATH)}

    async def handle(self, request: Request) -> Response:
        """
        Answer any call of the service.

        :param request: the call.
        """
        # Even a call that goes wrong is read to its end: what a fault does must not depend on how far the client is.
        body = await request.body()
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
            response = await self._answer(request, call, body, verdict.fault)
        except ProblemError as problem:
            response = ProblemResponse(problem.status, problem.detail, request.url.path, problem.headers)
        return _damaged(response, verdict.fault)

    def _unserved(self, request: Request, fault: FaultRule | None) -> Response | None:
        """The answer to a call that a fault keeps from the service."""
        match fault:
            case faults.Status():
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
        return Call(request.method, path, self._names.get(name.lower(), name))

    async def _answer(self, request: Request, call: Call, body: bytes, fault: FaultRule | None) -> Response:
        if call.is_token_call:
            _allow(call, "POST")
            return self._token(body)
        if call.endpoint == STATUS_PATH:
            _allow(call, "GET")
            self._authorize(request)
            return self._task(_task_id(request), None, fault)
        row = EMULATED_ENDPOINTS.get(call.endpoint)
        if row is None:
            raise ProblemError(404, f"There is nothing at this path. Endpoints: {', '.join(EMULATED_ENDPOINTS)}.")
        _allow(call, "POST", "GET", "DELETE")
        if row.endpoint.authorized:
            self._authorize(request)
        if call.method == "POST":
            return await self._submit(request, row, body, fault)
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

    async def _submit(self, request: Request, row: EmulatedEndpoint, body: bytes, fault: FaultRule | None) -> Response:
        media_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        if media_type != "application/json" and not media_type.endswith("+json"):
            raise ProblemError(415, "The body must be application/json.")
        # Tens of megabytes take a while to parse: not in the event loop.
        submission = await asyncio.to_thread(_parsed, row, body)
        fate = Fate()
        work = guarded(lambda: row.do(self._reader, submission.payload, submission.settings))
        if fault is not None:
            _inject(fault, fate)
        if fate.failure is not None:
            work = _fail(fate.failure)
        job_id = self.queue.submit(row.endpoint.name, submission.sha256, work, fate)
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
        case faults.NotJson():
            return Response("{ this is no JSON", response.status_code, media_type=response.headers.get("content-type"))
    return response


def _fail(messages: list[str]) -> Work:
    def run() -> Outcome:
        raise JobFailedError(*messages)

    return run


def _refusal(fault: faults.Status, path: str) -> Response:
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


def _parsed(row: EmulatedEndpoint, body: bytes) -> _Submission:
    try:
        content = from_json(body)
    except ValueError:
        raise ProblemError(400, "The body is not JSON.") from None
    if not isinstance(content, dict):
        raise ProblemError(400, "The body is not a JSON object.")
    encoded = content.get(row.payload)
    if not isinstance(encoded, str) or not encoded:
        raise ProblemError(400, f"The property {row.payload} is missing, empty or not a string.")
    try:
        payload = a2b_base64(encoded, strict_mode=True)
    except (Base64Error, ValueError):
        raise ProblemError(400, f"The property {row.payload} is not Base64.") from None
    return _Submission(payload, hashlib.sha256(payload).hexdigest(), _settings(row, content.get("settings")))


def _settings(row: EmulatedEndpoint, sent: Any) -> Settings:
    if sent is not None and not isinstance(sent, dict):
        raise ProblemError(400, "The property settings is not a JSON object.")
    model = row.endpoint.settings_model
    # The service overlooks properties it does not know: the vendor's own client sends those of other endpoints too.
    # The vendor's client writes `Rotate`.
    known = {field.alias or name for name, field in model.model_fields.items()} | {"Rotate"}
    settings = {name: value for name, value in (sent or {}).items() if name in known}
    for region in settings.get("regions") or []:
        if not isinstance(region, dict) or not isinstance(region.get("rect"), dict):
            raise ProblemError(400, "The property settings.regions must hold objects with a rect object and an order.")
    try:
        return model.model_validate(settings)
    except ValidationError as error:
        faulty = "; ".join(
            f"{'.'.join(('settings', *map(str, found['loc'])))}: {found['msg']}"
            for found in error.errors(include_input=False, include_url=False, include_context=False)
        )
        raise ProblemError(400, faulty) from None


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
