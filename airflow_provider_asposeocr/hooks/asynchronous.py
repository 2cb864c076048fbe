"""The asynchronous hook: takes each step of a conversation in an event loop, over ``aiohttp``."""

from __future__ import annotations

import asyncio
import copy
import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson
from airflow.providers.common.compat.sdk import mask_secret

from airflow_provider_asposeocr.api.conversations import ConnectionWanted, Flow, Pause, Step, TokenAwaited
from airflow_provider_asposeocr.api.exchanges import HttpRequest, HttpResponse
from airflow_provider_asposeocr.api.values import Value
from airflow_provider_asposeocr.api.waiting import time_limit
from airflow_provider_asposeocr.connection import ServiceConnection, service_connection
from airflow_provider_asposeocr.exceptions import AsposeOcrError
from airflow_provider_asposeocr.hooks import flows
from airflow_provider_asposeocr.hooks.connecting import ConnectedHook
from airflow_provider_asposeocr.hooks.synchronous import AsposeOcrHook

if TYPE_CHECKING:
    from airflow_provider_asposeocr.transports.over_aiohttp import AiohttpTransport

P = ParamSpec("P")
T = TypeVar("T")

CONNECTION_LIFETIME = 30.0
"""Seconds for which the hooks of one event loop share what one of them has looked up of a connection."""


class _LookUp(Value, frozen=True):
    valid_until: float
    task: asyncio.Task[ServiceConnection]


_look_ups: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _LookUp]] = WeakKeyDictionary()


def _forget_failure(look_ups: dict[str, _LookUp], conn_id: str, task: asyncio.Task[ServiceConnection]) -> None:
    """Only successes are kept: who comes after a failure looks up anew, whoever still waited for it."""
    known = look_ups.get(conn_id)
    if (task.cancelled() or task.exception() is not None) and known is not None and known.task is task:
        del look_ups[conn_id]


def _heard(future: asyncio.Future[Any]) -> None:
    """Take note of a failure."""
    if not future.cancelled():
        future.exception()


def _run(
    flow: Callable[Concatenate[ConnectedHook, P], Flow[T]],
) -> Callable[Concatenate[AsposeOcrAsyncHook, P], Coroutine[Any, Any, T]]:
    """Make a method of a conversation."""

    @functools.wraps(flow)
    def method(hook: AsposeOcrAsyncHook, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
        # Not one coroutine around another: thousands of jobs wait in here.
        return hook.run(flow(hook, *args, **kwargs))

    return method


def _in_a_thread(
    method: Callable[Concatenate[AsposeOcrHook, P], T],
) -> Callable[Concatenate[AsposeOcrAsyncHook, P], Coroutine[Any, Any, T]]:
    """Make a method of one of the synchronous hook."""

    @functools.wraps(method)
    async def in_a_thread(hook: AsposeOcrAsyncHook, /, *args: P.args, **kwargs: P.kwargs) -> T:
        twin = AsposeOcrHook(hook.aspose_ocr_conn_id, retry_limit=hook.retry_limit)
        # The connection is known here already: no second look-up.
        twin.connection = await hook.get_service_connection()
        twin.cost = hook.cost
        return await asyncio.to_thread(method, twin, *args, **kwargs)

    return in_a_thread


class AsposeOcrAsyncHook(ConnectedHook):
    """
    Calls Aspose.OCR Cloud over ``aiohttp``, for triggers and other coroutines. Same names as
    :class:`~airflow_provider_asposeocr.hooks.synchronous.AsposeOcrHook`.

    Use it as ``async with AsposeOcrAsyncHook(...) as hook:`` to keep the shared session between calls. Submissions run
    over ``requests`` in a thread: aiohttp loses an answer that comes while it still sends.

    :param aspose_ocr_conn_id: the Airflow connection, as for the synchronous hook.
    :param retry_limit: likewise.
    :param sleep: how to wait before a repeat, but of a submission, which waits in its own thread.
    """

    polls_bring_results = False

    def __init__(
        self,
        aspose_ocr_conn_id: str = ConnectedHook.default_conn_name,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        **kwargs: Any,
    ) -> None:
        super().__init__(aspose_ocr_conn_id, **kwargs)
        self._sleep = sleep
        self._connection: ServiceConnection | None = None
        self._transport: AiohttpTransport | None = None
        self._users = 0

    get_task = _run(flows.get_task)
    get_status = _run(flows.get_status)
    cancel = _run(flows.cancel)
    cancel_unless_ended = _run(flows.cancel_unless_ended)
    wait = _run(flows.wait)
    follow = _run(flows.follow)
    ask = _run(flows.ask)
    _text_of = _run(flows.text_of)
    submit = _in_a_thread(AsposeOcrHook.submit)

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
        await self._opened()
        self._users += 1
        return self

    async def __aexit__(self, *error: object) -> None:
        self._users -= 1
        if self._users == 0 and self._transport is not None:
            transport, self._transport = self._transport, None
            await transport.__aexit__(*error)

    async def _opened(self) -> AiohttpTransport:
        # Before the question: while one coroutine waits for it, another may open the transport.
        connection = await self.get_service_connection()
        if self._transport is None:
            # The triggerer's: a worker that only submits needs no aiohttp.
            from airflow_provider_asposeocr.transports.over_aiohttp import AiohttpTransport  # noqa: PLC0415

            transport = AiohttpTransport(connection)
            await transport.__aenter__()
            self._transport = transport
        return self._transport

    @staticmethod
    def claimant() -> asyncio.Task[Any] | None:
        """Return the running task."""
        return asyncio.current_task()

    @staticmethod
    def sleep_between_polls(seconds: float) -> Awaitable[None]:
        """
        Return a sleep, to be awaited.

        :param seconds: for how long.
        """
        return asyncio.sleep(seconds)

    def service(self) -> ServiceConnection:
        """Return the connection, which :meth:`get_service_connection` has looked up."""
        assert self._connection is not None, "await `get_service_connection()` before"
        return self._connection

    async def get_service_connection(self) -> ServiceConnection:
        """
        Look the connection up, once.

        :raises AsposeOcrInputError: where it is not defined, or cannot work.
        :raises AsposeOcrServiceError: where Airflow could not look it up.
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
            known.task.add_done_callback(functools.partial(_forget_failure, look_ups, self.aspose_ocr_conn_id))
        try:
            # Shielded: a cancelled trigger must not cancel what the others wait for.
            return await asyncio.shield(known.task)
        except AsposeOcrError as error:
            # Each gets its own copy: what a caller adds to one (its job) is not the others' business.
            raise copy.copy(error) from error.__cause__

    async def _look_up(self) -> ServiceConnection:
        try:
            connection = await get_async_connection(self.aspose_ocr_conn_id, hook=type(self))
            extra = await get_async_extra_dejson(connection)
        except Exception as error:
            raise self.look_up_failed(error) from error
        return service_connection(connection, extra)

    async def run(self, flow: Flow[T]) -> T:
        """
        Run a conversation to its end, and close what it has opened, but inside ``async with``.

        :param flow: of :mod:`airflow_provider_asposeocr.hooks.flows`.
        """
        self._users += 1
        try:
            step = next(flow)
            while True:
                try:
                    answer = await self._take(step)
                except BaseException as error:  # noqa: BLE001 - whatever broke a step is the conversation's to hear
                    step = flow.throw(error)
                else:
                    step = flow.send(answer)
                    # What comes next is a pause, as a rule: a thousand waiting jobs keep no answers.
                    del answer
        except StopIteration as done:
            value: T = done.value
            return value
        finally:
            await self.__aexit__()

    def _take(self, step: Step) -> Awaitable[Any]:
        # No coroutine of its own: thousands of jobs wait in here.
        if isinstance(step, ConnectionWanted):
            return self._opened()
        if isinstance(step, HttpRequest):
            return self._transport.exchange(step) if self._transport else self._exchanged(step)
        if isinstance(step, Pause):
            return (step.sleep or self._sleep)(step.seconds)
        if isinstance(step, TokenAwaited):
            return self._token_of(step)
        # In a thread: it talks to Airflow's supervisor, and would block the event loop.
        return asyncio.to_thread(mask_secret, step.secret)

    async def _exchanged(self, request: HttpRequest) -> HttpResponse:
        return await (await self._opened()).exchange(request)

    @staticmethod
    async def _token_of(step: TokenAwaited) -> Any:
        future = asyncio.wrap_future(step.future)
        # Else asyncio complains of a failure for which a cancelled waiter has waited: the others hear it.
        future.add_done_callback(_heard)
        # Shielded: a cancelled waiter must not cancel what the others wait for.
        async with asyncio.timeout(step.seconds_left):
            return await asyncio.shield(future)

    async def read(self, image: str, language: str = "English", timeout: float = 600.0) -> str:  # noqa: ASYNC109
        """
        Read the text in an image; see that of the synchronous hook.

        :param image: path or URI of the image file.
        :param language: language of the text, in English or as a code.
        :param timeout: seconds to wait for the text.
        """
        time_limit(timeout)
        ocr_task_id = await self.submit("RecognizeImage", image, {"language": language})
        self.log.info("Submitted an image to be read as RecognizeImage job %s.", ocr_task_id)
        return await self._text_of("RecognizeImage", ocr_task_id, timeout)

    async def test_connection(self) -> tuple[bool, str]:
        """Say in a sentence whether the connection works; see that of the synchronous hook."""
        hook = AsposeOcrHook(self.aspose_ocr_conn_id, retry_limit=self.retry_limit)
        return await asyncio.to_thread(hook.test_connection)
