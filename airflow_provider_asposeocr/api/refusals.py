"""What it means where an exchange broke, or where the answer is not a good one; said once, for both transports."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from airflow_provider_asposeocr.api.exchanges import Call, HttpRequest, HttpResponse
from airflow_provider_asposeocr.api.payload import SubmissionBody
from airflow_provider_asposeocr.api.texts import printable, service_text, without_secrets
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrAmbiguousSubmissionError,
    AsposeOcrAuthError,
    AsposeOcrError,
    AsposeOcrInputError,
    AsposeOcrRateLimitError,
    AsposeOcrRequestError,
    AsposeOcrServiceError,
)


def refusal(call: Call[Any], response: HttpResponse) -> AsposeOcrError:
    """
    Return the error that an answer other than 2xx means.

    :param call: what was asked.
    :param response: the answer.
    """
    status = response.status
    body = excerpt(response.body.close())
    said = f"Aspose.OCR Cloud answered HTTP {status}" + (f": {body}" if body else "")
    retry_after = _retry_after(response.headers.get("retry-after"))
    if status == 429:
        return AsposeOcrRateLimitError(
            f"{said}. Too many calls, or the plan's quota is used up."
            + (" Nothing was accepted." if call.request.is_submission else ""),
            status=status,
            retry_after=retry_after,
            certainly_not_accepted=True,
        )
    is_unwell = status >= 500 or status == 408
    if call.request.is_submission and status != 503 and (is_unwell or status < 200):
        return without_an_id(call.request, f"{said}.", status=status, retry_after=retry_after)
    if is_unwell:
        return AsposeOcrServiceError(
            f"{said}. The service is not well; asking again later can help.",
            status=status,
            retry_after=retry_after,
            certainly_not_accepted=status == 503,
        )
    if status in call.auth_refusals:
        if not call.presents_credentials:
            return AsposeOcrAuthError(f"{said}. The service refused a call that takes no client id and secret.")
        return AsposeOcrAuthError(
            f"{said}. The service refused the client id or the client secret: check login and password of the "
            "connection against the application in the vendor's dashboard."
        )
    if 300 <= status < 400:
        location = service_text(response.headers.get("location", "nowhere"), 200)
        return AsposeOcrRequestError(
            f"{said}. The API root redirects to {location!r}, and credentials "
            "and documents are not sent after a redirect: set the connection's host to the right address.",
            status=status,
        )
    return AsposeOcrRequestError(
        f"{said}. The service refused the request, and would refuse it again.", status=status, body_excerpt=body
    )


def transport_failure(request: HttpRequest, what: str) -> AsposeOcrError:
    """
    Return the error for an exchange that broke, or brought no whole answer.

    Whether a submission may have been accepted is decided by its body alone: whether its last byte was handed to the
    wire. The kind of the error tells nothing: TLS breaks before the body, and after it.

    :param request: the exchange.
    :param what: what happened, without any secret.
    """
    if isinstance(request.body, SubmissionBody):
        if request.body.is_complete:
            return ambiguous_submission(f"{what} after the whole document was sent.")
        return AsposeOcrServiceError(
            f"{what} before the whole document was sent: it was not accepted and not billed.",
            certainly_not_accepted=True,
        )
    return AsposeOcrServiceError(f"{what}.")


def without_an_id(
    request: HttpRequest, what: str, *, status: int | None = None, retry_after: float | None = None
) -> AsposeOcrError:
    """
    Return the error for a submission that got an answer which is neither an id nor a good refusal.

    One that comes in the midst of the document (a gateway that waits no longer, a page to sign in) is none to it: the
    service never had it all.

    :param request: the submission.
    :param what: what came, a sentence.
    :param status: of the answer.
    :param retry_after: how many seconds it asked to wait.
    """
    if isinstance(request.body, SubmissionBody) and not request.body.is_complete:
        return AsposeOcrServiceError(
            f"{what} That came before the whole document was sent: it was not accepted and not billed.",
            status=status,
            retry_after=retry_after,
            certainly_not_accepted=True,
        )
    return ambiguous_submission(what)


def may_be_accepted(request: HttpRequest, error: BaseException) -> bool:
    """
    Say whether a submission that ended so may have been accepted.

    :param request: the submission.
    :param error: any, also one that interrupted the exchange from outside, such as Airflow's ``AirflowTaskTimeout``.
    """
    if isinstance(error, AsposeOcrServiceError):
        return not error.certainly_not_accepted
    if isinstance(error, AsposeOcrAuthError | AsposeOcrInputError | AsposeOcrRequestError):
        return False
    if isinstance(error, AsposeOcrAmbiguousSubmissionError):
        return True
    return isinstance(request.body, SubmissionBody) and request.body.may_be_complete


def ambiguous_submission(what: str) -> AsposeOcrAmbiguousSubmissionError:
    """
    Return the error for a submission that may have been accepted.

    :param what: what happened, a sentence.
    """
    return AsposeOcrAmbiguousSubmissionError(
        f"{what} The service may have accepted and billed the document, but no job id came back, so its result cannot "
        "be fetched. It is not submitted again by itself: clear the task to submit it anew, or set "
        "resubmit_on_ambiguity=True where a second bill is better than a failed task."
    )


_DATA = re.compile(r'("data"\s*:\s*")[^"]*')
# As JSON may have it, too: the document's Base64 in an echo of what was sent.
_LONG_RUN = re.compile(r"(?:[A-Za-z0-9+/=_.-]|\\\\*(?:/|u00[0-7][0-9A-Fa-f])){40,}")
_LABELLED_SECRET = re.compile(r"""((?:\bBearer\s|(?:access_token|client_secret)"?\s*[:=])\s*"?)[^"&\s,}]+""", re.I)
_LAST_RUN = re.compile(r"[A-Za-z0-9+/=_.-]*\Z")
_MARKUP = re.compile(r"<[^>]*>")


def excerpt(body: bytes, length: int = 300) -> str:
    """
    Return the start of an answer that may stand in a message: no result, no token, no markup.

    :param body: the answer.
    :param length: how many characters at most.
    """
    # The escape is one in this body's JSON, and would be NUL again to who decodes it.
    whole = without_secrets(body.decode("utf-8", "replace")).replace("\\u0000", " ")
    text = whole[: 8 * length]
    if len(whole) > len(text):
        # What is cut may have been long.
        text = _LAST_RUN.sub("...", text, count=1)
    text = _LABELLED_SECRET.sub(r"\1...", _DATA.sub(r"\1...", _MARKUP.sub(" ", text)))
    return printable(_LONG_RUN.sub("...", text), length)


_SECONDS = re.compile(r"\d{1,9}(?:\.\d{1,9})?", re.ASCII)
LONGEST_RETRY_AFTER = 24 * 3600.0
"""Seconds. No job lives longer."""


def _retry_after(value: str | None, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> float | None:
    """Seconds, from either form of the header; ``None`` where there is none, or it is unreadable."""
    if not value:
        return None
    # Blank for `strip` is more than `float` takes.
    value = value.strip()
    # A gateway may add one of its own.
    said = [part.strip() for part in value.split(",")]
    if all(_SECONDS.fullmatch(part) for part in said):
        return min(max(map(float, said)), LONGEST_RETRY_AFTER)
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    seconds = (at.replace(tzinfo=at.tzinfo or UTC) - now()).total_seconds()
    return min(max(0.0, seconds), LONGEST_RETRY_AFTER)
