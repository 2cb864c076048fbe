"""
The calls of Aspose.OCR Cloud as values: the request of each, and how a good answer to it is read.

Sources of all paths, headers and bodies: the cURL examples of the vendor's pages that the table of endpoints names;
of the token: "Authorization", docs.aspose.cloud/ocr/authorization/.
"""

from __future__ import annotations

import codecs
import string
from collections.abc import Callable
from functools import partial
from types import MappingProxyType
from typing import Any, BinaryIO
from urllib.parse import urlencode

from msgspec.structs import replace
from pydantic import ValidationError

from airflow_provider_asposeocr.api.checks import checked_ocr_task_id, is_ocr_task_id
from airflow_provider_asposeocr.api.endpoints import Endpoint
from airflow_provider_asposeocr.api.exchanges import AnswerReader, Call, HttpRequest, ShortAnswerReader
from airflow_provider_asposeocr.api.payload import SubmissionBody
from airflow_provider_asposeocr.api.reading import TaskReader
from airflow_provider_asposeocr.api.refusals import ambiguous_submission, excerpt
from airflow_provider_asposeocr.api.results import OcrTask
from airflow_provider_asposeocr.api.tokens import Credentials, TokenAnswer
from airflow_provider_asposeocr.api.values import Value
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError, AsposeOcrProtocolError

_ACCEPTED = MappingProxyType({"Accept": "text/plain, application/json, text/json"})
"""By a call for a job. One for all: a thousand of them wait for a connection at a time."""


class ApiRoot(Value, frozen=True):
    """
    Where the API lives.

    :param url: such as ``https://api.aspose.cloud/v5.0/ocr``.
    """

    url: str

    def submit(self, endpoint: Endpoint, body: SubmissionBody) -> Call[str]:
        """
        Enqueue a document; the value is the job's id. Source: the endpoint's page, such as "Sending image for
        recognition", docs.aspose.cloud/ocr/send-image-for-recognition/.

        :param endpoint: where.
        :param body: the document and its settings.
        """
        headers = {"Accept": "text/plain", "Content-Type": "application/json"}
        url = f"{self.url}/{endpoint.name}"
        # Such an answer is good by its status: the document may be accepted.
        new_reader = partial(_IdReader, ambiguous_submission)
        request = HttpRequest("POST", url, headers, body, new_reader)
        return Call(request, _read_id, endpoint.authorized, endpoint=endpoint.name)

    def task(self, endpoint: Endpoint, ocr_task_id: str, new_file: Callable[[], BinaryIO]) -> Call[OcrTask]:
        """
        Ask for a job with its results, once it is completed. Source: the endpoint's page, such as "Fetching image
        regions", docs.aspose.cloud/ocr/fetch-regions/.

        :param endpoint: where it was submitted.
        :param ocr_task_id: its id.
        :param new_file: makes the files the results are decoded into.
        """
        return self._ask(endpoint, endpoint.name, ocr_task_id, lambda: TaskReader(new_file))

    def status(self, endpoint: Endpoint, ocr_task_id: str, *, own_path: bool = False) -> Call[OcrTask]:
        """
        Ask for a job's state without its results. Source: the vendor's API reference, ``Utilities/GetTaskStatus``.

        :param endpoint: where it was submitted: one without authorization answers on its own path only.
        :param ocr_task_id: its id.
        :param own_path: whether to ask on the job's own path, whose results are passed over.
        """
        path = endpoint.name if own_path else endpoint.status_path
        return self._ask(endpoint, path, ocr_task_id, _state_reader)

    def cancel(self, endpoint: Endpoint, ocr_task_id: str) -> Call[None]:
        """
        Cancel a job. Source: the vendor's API reference, "retrieve results or cancel the request", and its client.

        :param endpoint: where it was submitted.
        :param ocr_task_id: its id.
        """
        request = HttpRequest("DELETE", self._at(endpoint.name, ocr_task_id), {"Accept": "text/plain"})
        return Call(request, _read_nothing, endpoint.authorized, endpoint=endpoint.name, ocr_task_id=ocr_task_id)

    def _ask(
        self, endpoint: Endpoint, path: str, ocr_task_id: str, new_reader: Callable[[], AnswerReader[OcrTask]]
    ) -> Call[OcrTask]:
        request = HttpRequest("GET", self._at(path, ocr_task_id), _ACCEPTED, new_reader=new_reader)
        read = partial(_read_task, ocr_task_id)
        return Call(request, read, endpoint.authorized, endpoint=endpoint.name, ocr_task_id=ocr_task_id)

    def _at(self, path: str, ocr_task_id: str) -> str:
        return f"{self.url}/{path}?" + urlencode({"id": checked_ocr_task_id(ocr_task_id)})


def token_call(credentials: Credentials) -> Call[TokenAnswer]:
    """
    Fetch an access token. Source: "Authorization", docs.aspose.cloud/ocr/authorization/.

    :param credentials: whose.
    """
    form = {
        "grant_type": "client_credentials",
        "client_id": credentials.client_id,
        "client_secret": credentials.client_secret,
    }
    headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
    request = HttpRequest("POST", credentials.token_url, headers, urlencode(form).encode())
    # OAuth answers wrong credentials with a 400 or a 401 (RFC 6749, section 5.2).
    return Call(request, _read_token, authorized=False, auth_refusals=frozenset({400, 401, 403}))


_AROUND_AN_ID = string.whitespace + '"\ufeff'
"""White space, quotes of JSON, a byte order mark: an id that is not understood is a job that is paid for and lost."""


class _IdReader(ShortAnswerReader):
    """Reads the answer to a submission. An id that came whole is a job that is paid for, whatever broke after it."""

    @property
    def is_enough(self) -> bool:  # type: ignore[override]
        """Whether it holds an id."""
        try:
            _read_id(self)
        except AsposeOcrProtocolError:
            return False
        return True


def _read_id(body: AnswerReader[Any]) -> str:
    text = body.close().decode("utf-8", "replace").strip(_AROUND_AN_ID)
    try:
        return checked_ocr_task_id(text)
    except AsposeOcrInputError:
        raise AsposeOcrProtocolError(f"what came is not a job id: {excerpt(text.encode(), 80)!r}.") from None


_LENGTH_OF_A_GUID = 36
_NO_GUID = f"{0:08}-{0:04}-{0:04}-{0:04}-{0:012}"


def _read_task(ocr_task_id: str, body: AnswerReader[Any]) -> OcrTask:
    task: OcrTask = body.close()
    # A cache, or a gateway that mixes up its connections, would deliver the text of another document.
    told, asked = (text[-_LENGTH_OF_A_GUID:].lower() for text in (task.id, ocr_task_id))
    if told not in (asked, _NO_GUID) and is_ocr_task_id(task.id):
        raise AsposeOcrProtocolError(f"What came is about another job, {task.id}.")
    return replace(task, id=ocr_task_id)


def _state_reader() -> TaskReader:
    return TaskReader(None)


def _read_nothing(body: AnswerReader[Any]) -> None:
    body.close()


def _read_token(body: AnswerReader[Any]) -> TokenAnswer:
    try:
        return TokenAnswer.model_validate_json(body.close().removeprefix(codecs.BOM_UTF8))
    except ValidationError:
        raise AsposeOcrProtocolError(
            "The token endpoint's answer holds no access token. Is the connection's token_url right?"
        ) from None
