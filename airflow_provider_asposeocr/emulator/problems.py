"""How the emulator refuses a call: a problem document."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import JSONResponse

_PHRASES = {int(status): status.phrase for status in HTTPStatus}


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
