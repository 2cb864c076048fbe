"""`hook.read`: image in, text out, for scripts and for an agent's toolset."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrError,
    AsposeOcrInputError,
    AsposeOcrProtocolError,
    AsposeOcrTaskError,
    AsposeOcrTimeoutError,
)
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrAsyncHook, AsposeOcrHook
from tests.unit.either_hook import TEXT, AnyHook
from tests.unit.raw_server import JOB, RawServer, answer, task_answer
from tests.unit.task_stubs import Clock


class Eager(AsposeOcrHook):
    """Does not wait between polls."""

    sleep_between_polls = staticmethod(lambda seconds: None)


class EagerAsync(AsposeOcrAsyncHook):
    """Likewise."""

    @staticmethod
    async def sleep_between_polls(seconds: float) -> None:
        """Go on."""


@pytest.fixture
def new_hook(flavour: str) -> Callable[..., AnyHook]:
    """Makes a hook of either kind that asks often."""

    def make(conn_id: str = "aspose_ocr_default") -> AnyHook:
        hook = AnyHook(flavour, conn_id)
        hook.hook = (Eager if flavour == "requests" else EagerAsync)(conn_id)
        return hook

    return make


def test_returns_the_text_and_bills_once(
    hook: AnyHook, emulator: EmulatorServer, letter: str, logged: Callable[[], str]
) -> None:
    """One submission; nothing is deleted; the text stands in no log, but the job's id does."""
    assert hook.read(letter, "en") == TEXT
    calls = emulator.calls()
    assert (calls.accepted, calls.count("DELETE", "RecognizeImage")) == (1, 0)
    log = logged()
    assert emulator.jobs()[0].id in log
    assert TEXT not in log


def test_bytes_are_read_too(hook: AnyHook, letter: str, logged: Callable[[], str]) -> None:
    assert hook.read(Path(letter).read_bytes()) == TEXT
    assert "JFIF" not in logged()


def test_a_blank_page_is_an_empty_text(
    raw_server: Callable[..., RawServer], new_hook: Callable[..., AnyHook], letter: str
) -> None:
    blank = task_answer(results=[{"type": "Text", "data": ""}])
    raw_server(lambda received: answer(200, JOB) if received.method == "POST" else blank)
    assert new_hook().read(letter) == ""


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_time_that_makes_no_sense_costs_nothing(
    hook: AnyHook, emulator: EmulatorServer, letter: str, timeout: float
) -> None:
    with pytest.raises(AsposeOcrInputError):
        hook.read(letter, timeout=timeout)
    assert emulator.calls().total == 0


def test_a_job_that_does_not_end_in_time_is_named_and_left(
    slow_emulator: EmulatorServer, clock: Clock, new_hook: Callable[..., AnyHook], letter: str
) -> None:
    """Whoever catches the error can fetch the result later."""
    with pytest.raises(AsposeOcrTimeoutError) as raised:
        new_hook().read(letter, timeout=0.05)
    (job,) = slow_emulator.jobs()
    assert raised.value.ocr_task_id == job.id
    assert job.id in str(raised.value)
    assert slow_emulator.calls().count("DELETE", "RecognizeImage") == 0


def test_a_job_that_fails_is_named_and_not_submitted_again(
    hook: AnyHook, emulator: EmulatorServer, letter: str
) -> None:
    emulator.add_faults([{"kind": "error", "messages": ["unreadable"], "method": "POST", "count": 1}])
    with pytest.raises(AsposeOcrTaskError, match="unreadable") as raised:
        hook.read(letter)
    assert raised.value.ocr_task_id == emulator.jobs()[0].id
    assert emulator.calls().accepted == 1


@pytest.mark.parametrize("results", [[{"type": "Text", "data": "//8="}], []])
def test_a_result_that_is_no_text_names_its_job(
    raw_server: Callable[..., RawServer], new_hook: Callable[..., AnyHook], letter: str, results: list[dict[str, str]]
) -> None:
    """Neither half a text nor an empty one passes for what was paid for."""
    raw_server(lambda received: answer(200, JOB) if received.method == "POST" else task_answer(results=results))
    with pytest.raises(AsposeOcrError) as raised:
        new_hook().read(letter)
    assert isinstance(raised.value, AsposeOcrProtocolError)
    assert raised.value.ocr_task_id == JOB


@pytest.mark.parametrize("kind", [AsposeOcrHook, AsposeOcrAsyncHook])
def test_its_documentation_serves_as_that_of_a_tool(kind: type) -> None:
    """Each parameter has a type and a line of its own, which an agent's toolset shows the model."""
    parameters = list(inspect.signature(kind.read).parameters.values())[1:]
    assert [parameter.name for parameter in parameters] == ["image", "language", "timeout"]
    for parameter in parameters:
        assert parameter.annotation is not parameter.empty
        assert f":param {parameter.name}:" in str(inspect.getdoc(kind.read))
    assert inspect.signature(kind.read).return_annotation == "str"
