"""The one retry policy, in both worlds: how often, after which waits, and never what may be billed twice."""

from __future__ import annotations

import asyncio

import pytest
from tenacity import AsyncRetrying, Retrying

from airflow_provider_asposeocr.api.retrying import DEFAULT_RETRY_LIMIT, LONGEST_WAIT, retry_policy
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrAmbiguousSubmissionError,
    AsposeOcrAuthError,
    AsposeOcrInputError,
    AsposeOcrProtocolError,
    AsposeOcrRateLimitError,
    AsposeOcrRequestError,
    AsposeOcrServiceError,
    AsposeOcrTaskError,
    AsposeOcrTimeoutError,
)


class Call:
    """Raises its errors in turn, then returns a value; keeps how long was slept between."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.count = 0
        self.slept: list[float] = []

    def __call__(self) -> str:
        self.count += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def run(call: Call, **policy: object) -> str:
    return Retrying(**retry_policy(**policy), sleep=call.slept.append)(call)


def run_async(call: Call, **policy: object) -> str:
    async def sleep(seconds: float) -> None:
        call.slept.append(seconds)

    async def coroutine() -> str:
        return call()

    async def main() -> str:
        return await AsyncRetrying(**retry_policy(**policy), sleep=sleep)(coroutine)

    return asyncio.run(main())


both_worlds = pytest.mark.parametrize("run", [run, run_async])
TRANSIENT = [AsposeOcrServiceError, AsposeOcrRateLimitError, AsposeOcrProtocolError]


@both_worlds
@pytest.mark.parametrize("kind", TRANSIENT)
def test_transient_errors_are_repeated(run, kind):
    call = Call(kind("broken"), kind("broken"))
    assert run(call) == "done"
    assert call.count == 3
    assert all(0.5 <= wait <= 30 for wait in call.slept)


@both_worlds
@pytest.mark.parametrize(
    ("limit", "count"), [({}, DEFAULT_RETRY_LIMIT + 1), ({"retry_limit": 0}, 1), ({"retry_limit": 7}, 8)]
)
def test_limit(run, limit, count):
    """The last error comes out as it is."""
    last = AsposeOcrServiceError("still broken")
    call = Call(*[AsposeOcrServiceError("broken")] * (count - 1), last)
    with pytest.raises(AsposeOcrServiceError) as failed:
        run(call, **limit)
    assert failed.value is last
    assert call.count == count
    assert len(call.slept) == count - 1


@both_worlds
@pytest.mark.parametrize(
    "kind",
    [
        AsposeOcrInputError,
        AsposeOcrAuthError,
        AsposeOcrRequestError,
        AsposeOcrTaskError,
        AsposeOcrTimeoutError,
        AsposeOcrAmbiguousSubmissionError,
        ValueError,
        OSError,
    ],
)
def test_everything_else_is_not_repeated(run, kind):
    call = Call(kind("no"))
    with pytest.raises(kind, match="no"):
        run(call)
    assert (call.count, call.slept) == (1, [])


@both_worlds
def test_ambiguity_is_repeated_only_where_the_user_says_so(run):
    call = Call(AsposeOcrAmbiguousSubmissionError("perhaps"))
    assert run(call, resubmit_on_ambiguity=True) == "done"
    assert call.count == 2
    call = Call(AsposeOcrAuthError("no"))
    with pytest.raises(AsposeOcrAuthError):
        run(call, resubmit_on_ambiguity=True)
    assert call.count == 1


@both_worlds
@pytest.mark.parametrize("kind", [AsposeOcrServiceError, AsposeOcrRateLimitError])
def test_retry_after_is_the_least_wait(run, kind):
    call = Call(kind("busy", retry_after=45), kind("busy", retry_after=LONGEST_WAIT), kind("busy", retry_after=0))
    assert run(call) == "done"
    assert call.slept[:2] == [45, LONGEST_WAIT]
    assert 0.5 <= call.slept[2] <= 30


@both_worlds
@pytest.mark.parametrize("resubmit", [False, True])
def test_a_longer_wait_is_not_slept_in_a_worker(run, resubmit):
    call = Call(AsposeOcrRateLimitError("busy", retry_after=LONGEST_WAIT + 1))
    with pytest.raises(AsposeOcrRateLimitError) as failed:
        run(call, resubmit_on_ambiguity=resubmit)
    assert failed.value.retry_after == LONGEST_WAIT + 1
    assert call.slept == []


def test_waits_grow_and_differ():
    """Exponential with jitter: the upper bounds double, up to 30 s."""
    slept = []
    for _ in range(200):
        call = Call(*[AsposeOcrServiceError("broken")] * 8)
        run(call, retry_limit=8)
        slept.append(call.slept)
    for at, waits in enumerate(zip(*slept, strict=True)):
        assert 0.5 <= min(waits) < max(waits) <= min(2**at + 0.5, 30)
