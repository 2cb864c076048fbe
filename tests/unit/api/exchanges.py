"""Calls driven by hand: what a transport does, with the answers a test names instead of a network."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from airflow_provider_asposeocr.api.calls import ApiRoot, token_call
from airflow_provider_asposeocr.api.checks import parse_settings
from airflow_provider_asposeocr.api.conversations import conversation
from airflow_provider_asposeocr.api.endpoints import API_HOST, API_VERSION, ENDPOINTS, TOKEN_PATH
from airflow_provider_asposeocr.api.exchanges import Call, HttpRequest, HttpResponse
from airflow_provider_asposeocr.api.payload import SubmissionBody
from airflow_provider_asposeocr.api.settings import Settings
from airflow_provider_asposeocr.api.tokens import Credentials

API = ApiRoot(f"{API_HOST}/{API_VERSION}/ocr")
JOB = "a197aade-bba9-4c7a-92c7-46851b3dceaa"
TOKEN = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ0aGUgZmlyc3QifQ.HaRYOxBcCRCPLnrFCVXpw7UA"
NEXT_TOKEN = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ0aGUgc2Vjb25kIn0.VhKdGWxrJHdPr-OiTRL6-A"
CREDENTIALS = Credentials(f"{API_HOST}/{TOKEN_PATH}", "an-id", "s3cr3t&of=ours")
IMAGE = ENDPOINTS["RecognizeImage"]
TRIAL = ENDPOINTS["RecognizeImageTrial"]
DETECT = ENDPOINTS["DetectRegions"]
REGIONS = ENDPOINTS["RecognizeRegions"]


def submission_body(document: bytes = b"an image", settings: Settings | None = None) -> SubmissionBody:
    @contextmanager
    def opened() -> Iterator[BinaryIO]:
        yield io.BytesIO(document)

    return SubmissionBody(opened, len(document), settings or parse_settings(IMAGE, None))


CALLS = {
    "submit": lambda: API.submit(IMAGE, submission_body()),
    "task": lambda: API.task(IMAGE, JOB, io.BytesIO),
    "status": lambda: API.status(IMAGE, JOB),
    "cancel": lambda: API.cancel(IMAGE, JOB),
    "token": lambda: token_call(CREDENTIALS),
}
"""Every call of the service, by name."""


@dataclass
class Answer:
    """What the service says, and in pieces of which length it arrives."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    piece: int = 64 * 1024

    def to(self, request: HttpRequest) -> HttpResponse:
        reader = request.reader_for(self.status)
        for at in range(0, len(self.body), self.piece):
            reader.feed(self.body[at : at + self.piece])
        return HttpResponse(self.status, self.headers, reader)


@dataclass(frozen=True)
class TokenNeeded:
    """A conversation wants a token: any but the one that has just been answered with a 401."""

    rejected: str | None = None


class TokensFromTheDriver:
    """A caller that asks whoever drives the conversation for its tokens, and counts nothing."""

    def token(self, rejected: str | None, deadline: float | None) -> Any:
        return (yield TokenNeeded(rejected))

    def count_call(self, endpoint: str) -> None:
        pass


class Service:
    """Gives its answers in turn and its tokens in turn, and keeps what it was asked."""

    def __init__(self, *answers: Answer, tokens: tuple[str, ...] = (TOKEN, NEXT_TOKEN)) -> None:
        self._answers = list(answers)
        self._tokens = list(tokens)
        self.requests: list[HttpRequest] = []
        self.rejected: list[str | None] = []

    def run(self, call: Call[Any]) -> Any:
        talk = conversation(call, TokensFromTheDriver())
        step = next(talk)
        while True:
            if isinstance(step, TokenNeeded):
                self.rejected.append(step.rejected)
                answer: Any = self._tokens.pop(0)
            else:
                self.requests.append(step)
                if step.body is not None:
                    b"".join(step.body) if step.is_submission else bytes(step.body)
                answer = self._answers.pop(0).to(step)
            try:
                step = talk.send(answer)
            except StopIteration as done:
                return done.value


def answered(call: Call[Any], status: int = 200, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Any:
    """The value of a call that gets one answer (twice, where that is a 401)."""
    answer = Answer(status, body, headers or {})
    return Service(answer, answer).run(call)


def response_object(*results: tuple[str, bytes], status: str = "Completed", **more: Any) -> dict[str, Any]:
    """A response object with these (type, content) as its results."""
    entries = [{"type": kind, "data": base64.b64encode(content).decode()} for kind, content in results]
    return {"id": JOB, "taskStatus": status, "responseStatusCode": "Ok", "results": entries, "error": None, **more}


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


GOOD_BODIES = {
    "submit": JOB.encode(),
    "task": as_json(response_object()),
    "status": as_json(response_object()),
    "cancel": b"",
    "token": as_json({"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"}),
}
"""An answer to each of the calls as it should be."""
