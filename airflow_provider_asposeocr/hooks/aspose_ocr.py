"""
Hooks for Aspose.OCR Cloud: an Airflow connection in, calls of the service out.

``AsposeOcrHook`` works over ``requests``, ``AsposeOcrAsyncHook`` has the same names over ``aiohttp``. Both only drive
what :mod:`airflow_provider_asposeocr.api` decides; HTTP libraries and models load when first used.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import json
import threading
import time
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast
from weakref import WeakKeyDictionary

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook
from tenacity import AsyncRetrying, Retrying

from airflow_provider_asposeocr.api.endpoints import Endpoint, checked_ocr_task_id, endpoint_named
from airflow_provider_asposeocr.api.polling import Poller, PollOutcome, PollSchedule, PollVerdict, failure_of
from airflow_provider_asposeocr.api.retrying import DEFAULT_RETRY_LIMIT, retry_policy
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrAuthError,
    AsposeOcrError,
    AsposeOcrInputError,
    AsposeOcrRequestError,
)
from airflow_provider_asposeocr.get_provider_info import (
    CONNECTION_FIELDS,
    CONNECTION_FORM_BEHAVIOUR,
    CONNECTION_NAME,
    CONNECTION_TYPE,
)
from airflow_provider_asposeocr.hooks.result_files import result_file

if TYPE_CHECKING:
    from airflow_provider_asposeocr.api.calls import Call, HttpRequest, TokenNeeded
    from airflow_provider_asposeocr.api.payload import SubmissionBody
    from airflow_provider_asposeocr.api.results import OcrTask
    from airflow_provider_asposeocr.api.settings import Settings
    from airflow_provider_asposeocr.hooks.connection import ServiceConnection
    from airflow_provider_asposeocr.hooks.documents import Document
    from airflow_provider_asposeocr.hooks.transports import AiohttpTransport, RequestsTransport

T = TypeVar("T")


class SubmissionJournal(Protocol):
    """Is told of each POST of a submission, so that a later try knows whether one may have been accepted."""

    def about_to_send(self) -> None:
        """Called right before a POST is put on the wire."""

    def certainly_not_accepted(self) -> None:
        """Called right after, where the service certainly did not accept it."""


_NO_JOB = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class Submission:
    """
    A checked document, ready to be sent.

    :param endpoint: where to.
    :param document: what.
    :param settings: how.
    """

    endpoint: Endpoint
    document: Document
    settings: Settings

    @property
    def fingerprint(self) -> str:
        """A digest of all that makes its result: endpoint, settings and the document's content (read once for it)."""
        parts = (self.endpoint.name, json.dumps(self.settings.to_wire(), sort_keys=True), self.document.sha256())
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


class _HookBase(BaseHook):
    """What both hooks share: the connection, its form, and what a submission is made of."""

    conn_name_attr = "aspose_ocr_conn_id"
    default_conn_name = "aspose_ocr_default"
    conn_type = CONNECTION_TYPE
    hook_name = CONNECTION_NAME

    def __init__(
        self,
        aspose_ocr_conn_id: str = default_conn_name,
        *,
        retry_limit: int = DEFAULT_RETRY_LIMIT,
        logger_name: str | None = None,
    ) -> None:
        super().__init__(logger_name=logger_name)
        self.aspose_ocr_conn_id = aspose_ocr_conn_id
        self.retry_limit = retry_limit
        self._connection: ServiceConnection | None = None

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return the form of the connection for Airflow below 3.2; later ones read it from the provider info."""
        return {name.replace("-", "_"): value for name, value in CONNECTION_FORM_BEHAVIOUR.items()}

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the extra fields of the connection's form for Airflow below 3.2, likewise."""
        from flask_appbuilder.fieldwidgets import BS3TextFieldWidget  # noqa: PLC0415 - only where the old UI is
        from wtforms import BooleanField, StringField  # noqa: PLC0415

        widgets: dict[str, Any] = {}
        for name, form_field in CONNECTION_FIELDS.items():
            schema = form_field["schema"]
            common = {"description": form_field["description"], "default": schema.get("default")}
            if "boolean" in schema["type"]:
                widgets[name] = BooleanField(form_field["label"], **common)
            else:
                widgets[name] = StringField(form_field["label"], widget=BS3TextFieldWidget(), **common)
        return widgets

    def _not_defined(self, error: Exception) -> AsposeOcrInputError:
        return AsposeOcrInputError(
            f"The Airflow connection {self.aspose_ocr_conn_id!r} is not defined. Create it with the type "
            f"{CONNECTION_NAME} (`airflow connections add {self.aspose_ocr_conn_id} --conn-type {CONNECTION_TYPE} "
            f"--conn-login <client id> --conn-password <client secret>`), or name another in aspose_ocr_conn_id. "
            f"Nothing was sent. ({error})"
        )

    def _failed_poll(self, poller: Poller, error: AsposeOcrError) -> PollOutcome:
        outcome = poller.on_failure(error, time.time())
        if not outcome.is_final:
            self.log.warning("Poll failed, asking again in %.1f s: %s", outcome.delay, error)
        return outcome

    def _row(self, connection: ServiceConnection, endpoint: str | Endpoint) -> Endpoint:
        """The endpoint to call: with a trial connection, the trial one."""
        row = endpoint_named(endpoint)
        if not connection.trial or not row.authorized:
            return row
        if row.trial is None:
            raise AsposeOcrInputError(
                f"Connection {connection.conn_id!r} is for trial, and {row.name} has no evaluation endpoint. "
                "Use a connection with client id and secret. Nothing was sent."
            )
        return endpoint_named(row.trial)

    def _checked(self, row: Endpoint, document: Document, settings: Any, regions: Any) -> Settings:
        """Check what is to be submitted."""
        from airflow_provider_asposeocr.api.settings import check_regions_inside, parse_settings  # noqa: PLC0415

        try:
            typed = parse_settings(row, settings, regions)
            facts = document.facts()
            if facts.width and facts.height:
                check_regions_inside(typed, facts.width, facts.height)
        except AsposeOcrError as error:
            error.about(image=document.name, endpoint=row.name)
            raise
        if typed.unknown_language:
            self.log.warning("%s", typed.unknown_language)
        return typed


class AsposeOcrHook(_HookBase):
    """
    Calls Aspose.OCR Cloud over ``requests``.

    :param aspose_ocr_conn_id: the Airflow connection: login = client id, password = client secret, host = API root
        (default the vendor's); extra: ``api_version``, ``token_url``, ``timeout``, ``verify``, ``proxies``, ``trial``.
    :param retry_limit: how often a call that certainly had no effect is repeated at most. A submission that may have
        been accepted is never repeated.
    :param sleep: how to wait before a repeat.
    """

    def __init__(
        self,
        aspose_ocr_conn_id: str = _HookBase.default_conn_name,
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
        """
        from airflow_provider_asposeocr.hooks.connection import service_connection  # noqa: PLC0415

        try:
            return service_connection(self.get_connection(self.aspose_ocr_conn_id))
        except AirflowNotFoundException as error:
            raise self._not_defined(error) from error

    def get_conn(self) -> Any:
        """Return the pooled ``requests.Session`` of this connection."""
        return self._transport.session

    @functools.cached_property
    def _transport(self) -> RequestsTransport:
        from airflow_provider_asposeocr.hooks.transports import RequestsTransport  # noqa: PLC0415

        return RequestsTransport(self.connection)

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
        from airflow_provider_asposeocr.hooks.documents import document  # noqa: PLC0415

        row = self._row(self.connection, endpoint)
        if row.authorized:
            # Here, and not at the first call: a missing secret is an input error like any other.
            _ = self.connection.credentials
        source = document(image, storage_conn_id)
        return Submission(row, source, self._checked(row, source, settings, regions))

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
        from airflow_provider_asposeocr.api.payload import SubmissionBody  # noqa: PLC0415

        document = submission.document
        body = SubmissionBody(document.open, document.size, submission.settings)
        try:
            return self._call(
                self.connection.api_root.submit(submission.endpoint, body),
                resubmit_on_ambiguity=resubmit_on_ambiguity,
                journal=journal,
            )
        except AsposeOcrError as error:
            # Where it was to be repeated in doubt, nobody knows.
            if isinstance(error, AsposeOcrAuthError) and not resubmit_on_ambiguity:
                error.message += " Nothing was accepted or billed."
            error.about(image=document.name, endpoint=submission.endpoint.name)
            raise

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
        Check a document and its settings, and enqueue it. Source: seeds, "send-..." pages.

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
        from airflow_provider_asposeocr.hooks.lineage import document_sent  # noqa: PLC0415

        submission = self.prepare(endpoint, image, settings, regions=regions, storage_conn_id=storage_conn_id)
        ocr_task_id = self.send(submission, resubmit_on_ambiguity=resubmit_on_ambiguity)
        document_sent(submission.document.path)
        return ocr_task_id

    def get_task(self, endpoint: str | Endpoint, ocr_task_id: str) -> OcrTask:
        """
        Ask for a job, with its results once it is completed. Source: seeds, "fetch-..." pages.

        :param endpoint: where it was submitted.
        :param ocr_task_id: its id.
        :raises AsposeOcrError: where no answer came.
        """
        return self._about(self._task_call(endpoint, ocr_task_id), endpoint, ocr_task_id, self.retry_limit)

    def get_status(self, ocr_task_id: str, endpoint: str | Endpoint = "RecognizeImage") -> OcrTask:
        """
        Ask for a job's state, without its results. Source: vendor's documentation, ``Utilities/GetTaskStatus``.

        :param ocr_task_id: its id.
        :param endpoint: where it was submitted; matters for trial jobs only, which answer on their own path.
        :raises AsposeOcrError: where no answer came.
        """
        row = self._row(self.connection, endpoint)
        call = self.connection.api_root.status(row, checked_ocr_task_id(ocr_task_id))
        return self._about(call, row, ocr_task_id, self.retry_limit)

    def cancel(self, endpoint: str | Endpoint, ocr_task_id: str) -> None:
        """
        Cancel a job.

        :param endpoint: where it was submitted.
        :param ocr_task_id: its id.
        :raises AsposeOcrError: where the service did not confirm it.
        """
        row = self._row(self.connection, endpoint)
        call = self.connection.api_root.cancel(row, checked_ocr_task_id(ocr_task_id))
        self._about(call, row, ocr_task_id, self.retry_limit)

    def wait(
        self,
        endpoint: str | Endpoint,
        ocr_task_id: str,
        *,
        schedule: PollSchedule | None = None,
        timeout: float | None = 3600.0,
    ) -> OcrTask:
        """
        Wait for a job and return it with its results.

        :param endpoint: where it was submitted.
        :param ocr_task_id: its id.
        :param schedule: when to ask; by default first after 2 s, then a quarter longer each time, at most every 10 s.
        :param timeout: seconds to wait at most; ``None`` for ever.
        :raises AsposeOcrTaskError: the job ended as ``Error``.
        :raises AsposeOcrTaskNotFoundError: the service does not know the job.
        :raises AsposeOcrTimeoutError: it did not end in time; it goes on at the service.
        """
        started_at = time.time()
        poller = Poller(schedule or PollSchedule(), started_at, started_at + timeout if timeout is not None else None)
        outcome = self.follow(endpoint, ocr_task_id, poller, poller.first(started_at))
        if outcome.verdict is PollVerdict.COMPLETED and outcome.task is not None:
            return outcome.task
        raise failure_of(outcome, endpoint=endpoint_named(endpoint).name, ocr_task_id=ocr_task_id)

    def follow(
        self,
        endpoint: str | Endpoint,
        ocr_task_id: str,
        poller: Poller,
        outcome: PollOutcome,
        *,
        until: float | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> PollOutcome:
        """
        Poll a job until there is nothing more to ask, or ``until``; its last answer brings the results.

        :param endpoint: where it was submitted.
        :param ocr_task_id: its id.
        :param poller: decides after each poll.
        :param outcome: the decision to begin with, such as ``poller.first(now)``.
        :param until: seconds since the epoch: a poll that falls after it is left to the caller.
        :param sleep: how to wait.
        :returns: a final outcome, or the wait that would go beyond ``until``.
        """
        while not outcome.is_final:
            if until is not None and time.time() + outcome.delay > until:
                break
            sleep(outcome.delay)
            outcome = self.ask(endpoint, ocr_task_id, poller)
        return outcome

    def ask(self, endpoint: str | Endpoint, ocr_task_id: str, poller: Poller) -> PollOutcome:
        """
        Poll a job once; the answer of a completed one brings its results.

        :param endpoint: where it was submitted.
        :param ocr_task_id: its id.
        :param poller: decides what the answer, or the failure, means.
        """
        try:
            task = self._about(self._task_call(endpoint, ocr_task_id), endpoint, ocr_task_id, 0)
            return poller.on_answer(task, time.time())
        except AsposeOcrError as error:
            return self._failed_poll(poller, error)

    def test_connection(self) -> tuple[bool, str]:
        """Say in a sentence whether the connection works; fetches a token, which is not billed."""
        try:
            if self.connection.trial:
                self._call(self._task_call("RecognizeImageTrial", _NO_JOB), 0)
                return True, f"The evaluation endpoint at {self.connection.host} answers."
            from airflow_provider_asposeocr.api.calls import token_call  # noqa: PLC0415

            self._call(token_call(self.connection.credentials), 0)
        except AsposeOcrError as error:
            return False, connection_fault(error)
        return True, f"Aspose.OCR Cloud at {self.connection.host} accepts the client id and secret."

    def _task_call(self, endpoint: str | Endpoint, ocr_task_id: str) -> Call[OcrTask]:
        row = self._row(self.connection, endpoint)
        return self.connection.api_root.task(row, checked_ocr_task_id(ocr_task_id), result_file)

    def _about(self, call: Call[T], endpoint: str | Endpoint, ocr_task_id: str, retry_limit: int) -> T:
        try:
            return self._call(call, retry_limit)
        except AsposeOcrError as error:
            error.about(endpoint=endpoint_named(endpoint).name, ocr_task_id=ocr_task_id)
            raise

    def _call(
        self,
        call: Call[T],
        retry_limit: int | None = None,
        *,
        resubmit_on_ambiguity: bool = False,
        journal: SubmissionJournal | None = None,
    ) -> T:
        """Run a call under the retry policy."""
        limit = self.retry_limit if retry_limit is None else retry_limit
        policy = retry_policy(limit, resubmit_on_ambiguity=resubmit_on_ambiguity)
        retrying = Retrying(sleep=self._sleep, **policy)
        return cast("T", retrying(self._converse, call, journal))

    def _converse(self, call: Call[T], journal: SubmissionJournal | None = None) -> T:
        from airflow_provider_asposeocr.api.calls import TokenNeeded, conversation  # noqa: PLC0415
        from airflow_provider_asposeocr.api.payload import SubmissionBody  # noqa: PLC0415

        talk = conversation(call)
        step = next(talk)
        while True:
            try:
                if isinstance(step, TokenNeeded):
                    step = talk.send(self._token(step.rejected))
                elif isinstance(step.body, SubmissionBody):
                    step = self._post(talk, step, step.body, journal)
                else:
                    step = talk.send(self._transport.exchange(step))
            except StopIteration as done:
                return cast("T", done.value)

    def _post(
        self,
        talk: Generator[TokenNeeded | HttpRequest, Any, Any],
        request: HttpRequest,
        body: SubmissionBody,
        journal: SubmissionJournal | None,
    ) -> TokenNeeded | HttpRequest:
        """Put a submission on the wire, and return what the conversation needs next."""
        from airflow_provider_asposeocr.api.calls import may_be_accepted  # noqa: PLC0415

        body.restart()
        try:
            if journal is not None:
                journal.about_to_send()
            step = talk.send(self._transport.exchange(request))
        except StopIteration:
            raise
        except BaseException as error:
            if journal is not None and not may_be_accepted(request, error):
                journal.certainly_not_accepted()
            raise
        if journal is not None:
            # The conversation goes on, after a 401: this one was refused.
            journal.certainly_not_accepted()
        return step

    def _token(self, rejected: str | None) -> str:
        from airflow.providers.common.compat.sdk import mask_secret  # noqa: PLC0415

        from airflow_provider_asposeocr.api.calls import token_call  # noqa: PLC0415
        from airflow_provider_asposeocr.api.tokens import TokenLease, token_store  # noqa: PLC0415

        credentials = self.connection.credentials
        store = token_store(credentials)
        while True:
            claim = store.claim(rejected, threading.get_ident())
            if isinstance(claim, str):
                return claim
            if isinstance(claim, TokenLease):
                with claim:
                    answer = self._converse(token_call(credentials))
                    mask_secret(answer.access_token.get_secret_value())
                    return claim.fulfil(answer)
            if token := claim.result():
                return token


CONNECTION_LIFETIME = 30.0
"""Seconds for which the hooks of one event loop share what one of them has looked up of a connection."""


@dataclass(frozen=True, slots=True)
class _LookUp:
    valid_until: float
    task: asyncio.Task[ServiceConnection]


_look_ups: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _LookUp]] = WeakKeyDictionary()


class AsposeOcrAsyncHook(_HookBase):
    """
    Calls Aspose.OCR Cloud over ``aiohttp``, for triggers and other coroutines. Same names as :class:`AsposeOcrHook`.

    Use it as ``async with AsposeOcrAsyncHook(...) as hook:`` to keep the shared session between calls. Submissions run
    over ``requests`` in a thread: aiohttp loses an answer that comes while it still sends.

    :param aspose_ocr_conn_id: the Airflow connection, as for :class:`AsposeOcrHook`.
    :param retry_limit: likewise.
    :param sleep: how to wait before a repeat, but of a submission, which waits in its own thread.
    """

    def __init__(
        self,
        aspose_ocr_conn_id: str = _HookBase.default_conn_name,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        **kwargs: Any,
    ) -> None:
        super().__init__(aspose_ocr_conn_id, **kwargs)
        self._sleep = sleep
        self._transport: AiohttpTransport | None = None
        self._users = 0

    @classmethod
    def over(cls, hook: AsposeOcrHook) -> AsposeOcrAsyncHook:
        """
        Return an asynchronous hook over the connection of a synchronous one, without another look-up.

        :param hook: the synchronous hook.
        """
        twin = cls(hook.aspose_ocr_conn_id, retry_limit=hook.retry_limit)
        twin._connection = hook.connection
        return twin

    async def __aenter__(self) -> AsposeOcrAsyncHook:
        # Before the question: while one coroutine waits for it, another may open the transport.
        connection = await self.get_service_connection()
        if self._transport is None:
            from airflow_provider_asposeocr.hooks.transports import AiohttpTransport  # noqa: PLC0415

            transport = AiohttpTransport(connection)
            await transport.__aenter__()
            self._transport = transport
        self._users += 1
        return self

    async def __aexit__(self, *error: object) -> None:
        self._users -= 1
        if self._users == 0 and self._transport is not None:
            transport, self._transport = self._transport, None
            await transport.__aexit__(*error)

    async def get_service_connection(self) -> ServiceConnection:
        """
        Look the connection up, once.

        :raises AsposeOcrInputError: where it is not defined, or cannot work.
        """
        if self._connection is None:
            self._connection = await self._shared_look_up()
        return self._connection

    async def _shared_look_up(self) -> ServiceConnection:
        """One look-up for all hooks of an event loop: a triggerer answers them one by one, each in tens of ms."""
        loop = asyncio.get_running_loop()
        look_ups = _look_ups.setdefault(loop, {})
        known = look_ups.get(self.aspose_ocr_conn_id)
        if known is None or known.valid_until < loop.time():
            known = _LookUp(loop.time() + CONNECTION_LIFETIME, loop.create_task(self._look_up()))
            look_ups[self.aspose_ocr_conn_id] = known
        try:
            # Shielded: a cancelled trigger must not cancel what the others wait for.
            return await asyncio.shield(known.task)
        except AsposeOcrError:
            if look_ups.get(self.aspose_ocr_conn_id) is known:
                del look_ups[self.aspose_ocr_conn_id]
            raise

    async def _look_up(self) -> ServiceConnection:
        from airflow.providers.common.compat.connection import (  # noqa: PLC0415
            get_async_connection,
            get_async_extra_dejson,
        )

        from airflow_provider_asposeocr.hooks.connection import service_connection  # noqa: PLC0415

        try:
            connection = await get_async_connection(self.aspose_ocr_conn_id, hook=type(self))
        except AirflowNotFoundException as error:
            raise self._not_defined(error) from error
        return service_connection(connection, await get_async_extra_dejson(connection))

    async def submit(
        self,
        endpoint: str | Endpoint,
        image: Any,
        settings: Any = None,
        *,
        regions: Any = None,
        storage_conn_id: str | None = None,
        resubmit_on_ambiguity: bool = False,
    ) -> str:
        """Check a document and enqueue it; see :meth:`AsposeOcrHook.submit`."""
        hook = AsposeOcrHook(self.aspose_ocr_conn_id, retry_limit=self.retry_limit)
        # The connection is known here already: no second look-up.
        hook.connection = await self.get_service_connection()
        return await asyncio.to_thread(
            hook.submit,
            endpoint,
            image,
            settings,
            regions=regions,
            storage_conn_id=storage_conn_id,
            resubmit_on_ambiguity=resubmit_on_ambiguity,
        )

    async def get_task(self, endpoint: str | Endpoint, ocr_task_id: str, *, retry_limit: int | None = None) -> OcrTask:
        """
        Ask for a job with its results; see :meth:`AsposeOcrHook.get_task`.

        :param endpoint: where it was submitted.
        :param ocr_task_id: its id.
        :param retry_limit: instead of the hook's; a poll loop, which counts failures itself, passes 0.
        """
        connection = await self.get_service_connection()
        row = self._row(connection, endpoint)
        call = connection.api_root.task(row, checked_ocr_task_id(ocr_task_id), result_file)
        limit = self.retry_limit if retry_limit is None else retry_limit
        return await self._about(call, row, ocr_task_id, limit)

    async def get_status(
        self, ocr_task_id: str, endpoint: str | Endpoint = "RecognizeImage", *, retry_limit: int | None = None
    ) -> OcrTask:
        """
        Ask for a job's state; see :meth:`AsposeOcrHook.get_status`.

        :param ocr_task_id: its id.
        :param endpoint: where it was submitted.
        :param retry_limit: instead of the hook's; a poll loop, which counts failures itself, passes 0.
        """
        connection = await self.get_service_connection()
        row = self._row(connection, endpoint)
        limit = self.retry_limit if retry_limit is None else retry_limit
        call = connection.api_root.status(row, checked_ocr_task_id(ocr_task_id))
        return await self._about(call, row, ocr_task_id, limit)

    async def cancel(self, endpoint: str | Endpoint, ocr_task_id: str) -> None:
        """Cancel a job; see :meth:`AsposeOcrHook.cancel`."""
        connection = await self.get_service_connection()
        row = self._row(connection, endpoint)
        call = connection.api_root.cancel(row, checked_ocr_task_id(ocr_task_id))
        await self._about(call, row, ocr_task_id, self.retry_limit)

    async def wait(
        self,
        endpoint: str | Endpoint,
        ocr_task_id: str,
        *,
        schedule: PollSchedule | None = None,
        timeout: float | None = 3600.0,  # noqa: ASYNC109 - a deadline of the job, not of the coroutine
    ) -> OcrTask:
        """Wait for a job and return it with its results; see :meth:`AsposeOcrHook.wait`."""
        started_at = time.time()
        poller = Poller(schedule or PollSchedule(), started_at, started_at + timeout if timeout is not None else None)
        async with self:
            outcome = await self.follow(endpoint, ocr_task_id, poller, poller.first(started_at))
            if outcome.verdict is PollVerdict.COMPLETED:
                return await self.get_task(endpoint, ocr_task_id)
        raise failure_of(outcome, endpoint=endpoint_named(endpoint).name, ocr_task_id=ocr_task_id)

    async def follow(
        self,
        endpoint: str | Endpoint,
        ocr_task_id: str,
        poller: Poller,
        outcome: PollOutcome,
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> PollOutcome:
        """
        Poll a job's state until there is nothing more to ask. The results stay at the service.

        :param endpoint: where it was submitted.
        :param ocr_task_id: its id.
        :param poller: decides after each poll.
        :param outcome: the decision to begin with.
        :param sleep: how to wait.
        """
        async with self:
            while not outcome.is_final:
                await sleep(outcome.delay)
                try:
                    outcome = poller.on_answer(await self.get_status(ocr_task_id, endpoint, retry_limit=0), time.time())
                except AsposeOcrError as error:
                    outcome = self._failed_poll(poller, error)
        return outcome

    async def test_connection(self) -> tuple[bool, str]:
        """Say in a sentence whether the connection works; see :meth:`AsposeOcrHook.test_connection`."""
        hook = AsposeOcrHook(self.aspose_ocr_conn_id, retry_limit=self.retry_limit)
        return await asyncio.to_thread(hook.test_connection)

    async def _about(self, call: Call[T], row: Endpoint, ocr_task_id: str, retry_limit: int) -> T:
        try:
            async with self:
                if retry_limit == 0:
                    # A poll: counted by its loop, and too frequent for a controller of its own.
                    return await self._converse(call)
                retrying = AsyncRetrying(sleep=self._sleep, **retry_policy(retry_limit))
                return cast("T", await retrying(self._converse, call))
        except AsposeOcrError as error:
            error.about(endpoint=row.name, ocr_task_id=ocr_task_id)
            raise

    async def _converse(self, call: Call[T]) -> T:
        from airflow_provider_asposeocr.api.calls import TokenNeeded, conversation  # noqa: PLC0415

        assert self._transport is not None
        talk = conversation(call)
        step = next(talk)
        while True:
            if isinstance(step, TokenNeeded):
                answer: Any = await self._token(step.rejected)
            else:
                answer = await self._transport.exchange(step)
            try:
                step = talk.send(answer)
            except StopIteration as done:
                return cast("T", done.value)

    async def _token(self, rejected: str | None) -> str:
        from airflow.providers.common.compat.sdk import mask_secret  # noqa: PLC0415

        from airflow_provider_asposeocr.api.calls import token_call  # noqa: PLC0415
        from airflow_provider_asposeocr.api.tokens import TokenLease, token_store  # noqa: PLC0415

        credentials = (await self.get_service_connection()).credentials
        store = token_store(credentials)
        while True:
            claim = store.claim(rejected, asyncio.current_task())
            if isinstance(claim, str):
                return claim
            if isinstance(claim, TokenLease):
                with claim:
                    answer = await self._converse(token_call(credentials))
                    # In a thread: it talks to Airflow's supervisor, and would block the event loop.
                    await asyncio.to_thread(mask_secret, answer.access_token.get_secret_value())
                    return claim.fulfil(answer)
            # Shielded: a cancelled waiter must not cancel what the others wait for.
            if token := await asyncio.shield(asyncio.wrap_future(claim)):
                return token


def connection_fault(error: AsposeOcrError) -> str:
    """
    Say in a sentence what is wrong with a connection.

    :param error: what a call over it raised.
    """
    if isinstance(error, AsposeOcrAuthError):
        return f"The service is there, but does not let this connection in. {error}"
    if isinstance(error, AsposeOcrRequestError):
        return f"The host answers, but not as Aspose.OCR Cloud: is the API root right? {error}"
    return str(error)
