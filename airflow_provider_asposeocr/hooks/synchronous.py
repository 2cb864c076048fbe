"""The synchronous hook: takes each step of a conversation in the calling thread, over ``requests``."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from airflow.providers.common.compat.sdk import mask_secret

from airflow_provider_asposeocr import metrics
from airflow_provider_asposeocr.api.bodies import submission_body
from airflow_provider_asposeocr.api.calls import token_call
from airflow_provider_asposeocr.api.checks import parse_settings, regions_inside
from airflow_provider_asposeocr.api.conversations import (
    CANNOT_WAIT,
    ConnectionWanted,
    Flow,
    Pause,
    Step,
    SubmissionJournal,
    TokenAwaited,
)
from airflow_provider_asposeocr.api.endpoints import Endpoint
from airflow_provider_asposeocr.api.exchanges import HttpRequest
from airflow_provider_asposeocr.api.settings import Settings
from airflow_provider_asposeocr.api.waiting import time_limit
from airflow_provider_asposeocr.connection import ServiceConnection, service_connection
from airflow_provider_asposeocr.events import Event, warned
from airflow_provider_asposeocr.exceptions import AsposeOcrAmbiguousSubmissionError, AsposeOcrAuthError, AsposeOcrError
from airflow_provider_asposeocr.hooks import flows
from airflow_provider_asposeocr.hooks.connecting import ConnectedHook, connection_fault
from airflow_provider_asposeocr.hooks.submissions import Submission
from airflow_provider_asposeocr.storage.documents import Document, document
from airflow_provider_asposeocr.storage.lineage import document_sent

if TYPE_CHECKING:
    from airflow_provider_asposeocr.transports.over_requests import RequestsTransport

P = ParamSpec("P")
T = TypeVar("T")

_NO_JOB = "00000000-0000-0000-0000-000000000000"


def _run(flow: Callable[Concatenate[ConnectedHook, P], Flow[T]]) -> Callable[Concatenate[AsposeOcrHook, P], T]:
    """Make a method of a conversation."""

    @functools.wraps(flow)
    def method(hook: AsposeOcrHook, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return hook.run(flow(hook, *args, **kwargs))

    return method


def _in_an_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class AsposeOcrHook(ConnectedHook):
    """
    Calls Aspose.OCR Cloud over ``requests``.

    :param aspose_ocr_conn_id: the Airflow connection: login = client id, password = client secret, host = API root
        (default the vendor's); extra: ``api_version``, ``token_url``, ``timeout``, ``verify``, ``proxies``, ``trial``.
    :param retry_limit: how often a call that certainly had no effect is repeated at most. A submission that may have
        been accepted is never repeated.
    :param sleep: how to wait before a repeat.
    """

    polls_bring_results = True

    # Airflow below 3.2 looks for its form in the class itself, and not in what that inherits.
    get_connection_form_widgets = ConnectedHook.get_connection_form_widgets
    get_ui_field_behaviour = ConnectedHook.get_ui_field_behaviour

    get_task = _run(flows.get_task)
    get_status = _run(flows.get_status)
    cancel = _run(flows.cancel)
    cancel_unless_ended = _run(flows.cancel_unless_ended)
    wait = _run(flows.wait)
    follow = _run(flows.follow)
    ask = _run(flows.ask)
    _text_of = _run(flows.text_of)

    def __init__(
        self,
        aspose_ocr_conn_id: str = ConnectedHook.default_conn_name,
        *,
        sleep: Callable[[float], None] = time.sleep,
        **kwargs: Any,
    ) -> None:
        super().__init__(aspose_ocr_conn_id, **kwargs)
        self._sleep = sleep

    @functools.cached_property
    def connection(self) -> ServiceConnection:
        """
        The connection, looked up once.

        :raises AsposeOcrInputError: where it is not defined, or cannot work.
        :raises AsposeOcrServiceError: where Airflow could not look it up.
        """
        try:
            connection = self.get_connection(self.aspose_ocr_conn_id)
            extra = connection.extra_dejson
        except Exception as error:
            raise self.look_up_failed(error) from error
        return service_connection(connection, extra)

    @staticmethod
    def claimant() -> int:
        """Return the ident of the thread."""
        return threading.get_ident()

    @staticmethod
    def sleep_between_polls(seconds: float) -> None:
        """
        Sleep.

        :param seconds: for how long.
        """
        time.sleep(seconds)

    def service(self) -> ServiceConnection:
        """
        Return the connection, looked up once.

        :raises AsposeOcrInputError: where it is not defined, or cannot work.
        """
        return self.connection

    def get_conn(self) -> Any:
        """Return the pooled ``requests.Session`` of this connection."""
        return self._transport.session

    @functools.cached_property
    def _transport(self) -> RequestsTransport:
        # A DAG file that is only parsed needs no HTTP library.
        from airflow_provider_asposeocr.transports.over_requests import RequestsTransport  # noqa: PLC0415

        return RequestsTransport(self.connection)

    def run(self, flow: Flow[T]) -> T:
        """
        Run a conversation to its end.

        :param flow: of :mod:`airflow_provider_asposeocr.hooks.flows`.
        """
        try:
            step = next(flow)
            while True:
                try:
                    answer = self._take(step)
                except BaseException as error:  # noqa: BLE001 - whatever broke a step is the conversation's to hear
                    step = flow.throw(error)
                else:
                    step = flow.send(answer)
        except StopIteration as done:
            value: T = done.value
            return value

    def _take(self, step: Step) -> Any:
        if isinstance(step, HttpRequest):
            return self._transport.exchange(step)
        if isinstance(step, Pause):
            return (step.sleep or self._sleep)(step.seconds)
        if isinstance(step, TokenAwaited):
            # Who fetches it may be a coroutine of this thread's event loop, which stands still as long as we wait.
            return CANNOT_WAIT if _in_an_event_loop() else step.future.result(step.seconds_left)
        if isinstance(step, ConnectionWanted):
            return self.connection
        return mask_secret(step.secret)

    def prepare(
        self,
        endpoint: str | Endpoint,
        image: Any,
        settings: Any = None,
        *,
        regions: Any = None,
        storage_conn_id: str | None = None,
    ) -> Submission:
        """
        Check everything about a submission that can be checked before it is billed, and send nothing.

        :param endpoint: such as ``RecognizeImage``.
        :param image: a path or URI, bytes, or a seekable binary file.
        :param settings: a mapping in camelCase or snake_case, or a settings model.
        :param regions: for RecognizeRegions: ``[[x1, y1, x2, y2], ...]`` in pixels.
        :param storage_conn_id: the Airflow connection of the document's storage.
        :raises AsposeOcrInputError: where it cannot work.
        """
        row = self.row(endpoint)
        if row.authorized:
            # Here, and not at the first call: a missing secret is an input error like any other.
            _ = self.connection.credentials
        source = document(image, storage_conn_id)
        return Submission(row, source, *self._checked(row, source, settings, regions))

    def _checked(self, row: Endpoint, document: Document, settings: Any, regions: Any) -> tuple[Settings, Settings]:
        """Check what is to be submitted, and return its settings as they were asked for and as they are to be sent."""
        try:
            typed = parse_settings(row, settings, regions)
            facts = document.facts(row.formats)
            sent, warnings = regions_inside(typed, facts)
        except AsposeOcrError as error:
            error.about(image=document.name, endpoint=row.name)
            raise
        if facts.holds_more:
            warnings.append("It holds more than one page; the service reads single-page TIFF, the others may be lost.")
        if typed.unknown_language:
            warnings.append(typed.unknown_language)
        for warning in warnings:
            warned(self.log, Event.DOCUMENT_WARNING, "%s: %s", document.name, warning, endpoint=row.name)
        return typed, sent

    def send(
        self,
        submission: Submission,
        *,
        resubmit_on_ambiguity: bool = False,
        journal: SubmissionJournal | None = None,
    ) -> str:
        """
        Enqueue what was prepared; see :meth:`submit`.

        :param submission: what :meth:`prepare` returned.
        :param resubmit_on_ambiguity: whether to send it again where it may have been accepted, and billed, already.
        :param journal: is told of each POST.
        """
        document = submission.document
        body = submission_body(submission.endpoint, document.open, document.size, submission.sent)
        call = self.connection.api_root.submit(submission.endpoint, body)
        endpoint = submission.endpoint
        said = flows.said(self, call, resubmit_on_ambiguity=resubmit_on_ambiguity, journal=journal)
        try:
            ocr_task_id = self.run(said)
        except AsposeOcrError as error:
            if isinstance(error, AsposeOcrAmbiguousSubmissionError):
                self.count_submission(endpoint.name)
            if body.has_another_size and document.count_again():
                # Nothing was accepted: the body of a document of another size does not end.
                return self.send(submission, resubmit_on_ambiguity=resubmit_on_ambiguity, journal=journal)
            # Where it was to be repeated in doubt, nobody knows.
            if isinstance(error, AsposeOcrAuthError) and not resubmit_on_ambiguity:
                error.message += " Nothing was accepted or billed."
            error.about(image=document.name, endpoint=endpoint.name)
            raise
        self.count_submission(endpoint.name)
        return ocr_task_id

    def submit(
        self,
        endpoint: str | Endpoint,
        image: Any,
        settings: Any = None,
        *,
        regions: Any = None,
        storage_conn_id: str | None = None,
        resubmit_on_ambiguity: bool = False,
    ) -> str:
        """
        Check a document and its settings, and enqueue it.

        Source: "Sending image for recognition", docs.aspose.cloud/ocr/send-image-for-recognition/, and the like pages
        of the other endpoints.

        :param endpoint: such as ``RecognizeImage``.
        :param image: a path or URI, bytes, or a seekable binary file.
        :param settings: a mapping in camelCase or snake_case, or a settings model.
        :param regions: for RecognizeRegions: ``[[x1, y1, x2, y2], ...]`` in pixels.
        :param storage_conn_id: the Airflow connection of the document's storage.
        :param resubmit_on_ambiguity: whether to send it again where it may have been accepted, and billed, already.
        :returns: the job's id. What it stands for is billed; its result can be fetched for 24 hours.
        :raises AsposeOcrInputError: before anything is sent.
        :raises AsposeOcrAmbiguousSubmissionError: where the document may have been accepted, but no id came back.
        :raises AsposeOcrServiceError: where it was certainly not accepted, and repeating did not help.
        """
        try:
            submission = self.prepare(endpoint, image, settings, regions=regions, storage_conn_id=storage_conn_id)
            ocr_task_id = self.send(submission, resubmit_on_ambiguity=resubmit_on_ambiguity)
        except AsposeOcrError as error:
            metrics.failed(error, str(getattr(endpoint, "name", endpoint)))
            raise
        document_sent(submission.document.path)
        return ocr_task_id

    def read(self, image: str, language: str = "English", timeout: float = 600.0) -> str:
        """
        Read the text in a scanned page or photo (BMP, JPEG, PNG, TIFF, GIF, SVG) and return it as plain text.

        Call it once per image: each call is billed. Text is returned in reading order, one line per printed line; an
        empty text means that nothing is written there. Nothing is changed or deleted. If it fails with an error that
        names an ocr_task_id, the image is paid for already: report that id instead of calling again with the image.

        :param image: path or URI of the image file, such as "/data/scan.png" or "s3://bucket/scan.jpg".
        :param language: language of the text, in English or as a code, such as "German" or "de".
        :param timeout: seconds to wait for the text.
        :returns: the text.
        :raises AsposeOcrInputError: the image, the language or the time cannot work; nothing was sent or billed.
        :raises AsposeOcrTimeoutError: it was not read in time; the job goes on, and ``wait`` fetches it by its id.
        :raises AsposeOcrError: what went wrong, and the job's id where there is one.
        """
        time_limit(timeout)
        ocr_task_id = self.submit("RecognizeImage", image, {"language": language})
        # Whatever becomes of this process, what is paid for can be fetched by its id.
        self.log.info("Submitted an image to be read as RecognizeImage job %s.", ocr_task_id)
        return self._text_of("RecognizeImage", ocr_task_id, timeout)

    def test_connection(self) -> tuple[bool, str]:
        """Say in a sentence whether the connection works; fetches a token, which is not billed."""
        try:
            if self.connection.trial:
                self.get_task("RecognizeImageTrial", _NO_JOB, retry_limit=0)
                return True, f"The evaluation endpoint at {self.connection.host} answers."
            self.run(flows.said(self, token_call(self.connection.credentials), 0))
        except AsposeOcrError as error:
            return False, connection_fault(error)
        return True, f"Aspose.OCR Cloud at {self.connection.host} accepts the client id and secret."
