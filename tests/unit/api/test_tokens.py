"""One token per process and credentials, fetched by one caller for all threads and coroutines."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for

import pytest
from msgspec.structs import replace

from airflow_provider_asposeocr.api.tokens import (
    RENEWAL_MARGIN,
    TokenAnswer,
    TokenLease,
    TokenStore,
    forget_tokens,
    token_store,
)
from airflow_provider_asposeocr.exceptions import AsposeOcrAuthError, AsposeOcrServiceError
from tests.unit.api.exchanges import CREDENTIALS


class Clock:
    """Stands still until it is turned forward."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> TokenStore:
    return TokenStore(clock)


def answer(token: str = "first", expires_in: float = 3600) -> TokenAnswer:
    return TokenAnswer(access_token=token, expires_in=expires_in)


def lease(store: TokenStore, claimant: object = "leader", rejected: str | None = None) -> TokenLease:
    claim = store.claim(rejected, claimant)
    assert isinstance(claim, TokenLease)
    return claim


def fetch(store: TokenStore, token: str = "first", expires_in: float = 3600) -> str:
    with lease(store) as taken:
        return taken.fulfil(answer(token, expires_in))


class TestReuse:
    def test_a_token_is_fetched_once(self, store):
        assert fetch(store) == "first"
        assert store.claim(None, "leader") == store.claim(None, "other") == "first"

    def test_until_a_minute_before_it_ends(self, store, clock):
        """A token is used until a minute before its end."""
        fetch(store, expires_in=3600)
        clock.now += 3600 - RENEWAL_MARGIN - 1
        assert store.claim(None, "other") == "first"
        clock.now += 1
        assert fetch(store, "second") == "second"

    @pytest.mark.parametrize(("lifetime", "used"), [(119, 59.5), (10, 5), (1, 0.5), (120, 60)])
    def test_a_short_life_is_used_for_half(self, store, clock, lifetime, used):
        fetch(store, expires_in=lifetime)
        clock.now += used * 0.99
        assert store.claim(None, "other") == "first"
        clock.now += used * 0.02
        assert isinstance(store.claim(None, "other"), TokenLease)

    def test_a_rejected_token_is_not_given_again(self, store):
        fetch(store)
        with lease(store, rejected="first") as taken:
            taken.fulfil(answer("second"))
        assert store.claim("first", "other") == "second"
        assert store.claim(None, "other") == "second"

    def test_a_late_rejection_of_an_old_token_does_not_cost_the_new_one(self, store):
        fetch(store, "second")
        assert store.claim("first", "other") == "second"


class TestSingleFlight:
    def test_others_wait_for_the_leader(self, store):
        taken = lease(store)
        waiting = [store.claim(None, name) for name in ("one", "two")]
        assert all(isinstance(future, Future) and not future.done() for future in waiting)
        with taken:
            taken.fulfil(answer())
        assert [future.result(timeout=0) for future in waiting] == ["first", "first"]

    def test_the_leaders_error_reaches_all_as_copies(self, store):
        waiting = []
        with pytest.raises(AsposeOcrAuthError) as failed, lease(store):  # noqa: PT012
            waiting = [store.claim(None, name) for name in ("one", "two")]
            raise AsposeOcrAuthError("refused")
        errors = [failed.value]
        for future in waiting:
            with pytest.raises(AsposeOcrAuthError, match="refused") as same:
                future.result(timeout=0)
            errors.append(same.value)
        for at, error in enumerate(errors):
            error.about(image=f"{at}.png")
        assert [error.image for error in errors] == ["0.png", "1.png", "2.png"]

    def test_a_copy_keeps_the_facts(self, store):
        with pytest.raises(AsposeOcrServiceError), lease(store):  # noqa: PT012
            waiting = store.claim(None, "one")
            raise AsposeOcrServiceError("busy", status=503, retry_after=7, certainly_not_accepted=True)
        error = waiting.exception(timeout=0)
        assert (error.message, error.status, error.retry_after, error.certainly_not_accepted) == ("busy", 503, 7, True)

    @pytest.mark.parametrize("gone", [KeyboardInterrupt, asyncio.CancelledError, ValueError, None])
    def test_an_abandoned_fetch_is_taken_over(self, store, gone):
        """Where the leader goes away without an answer, the others are told to try themselves."""
        taken = lease(store)
        waiting = store.claim(None, "one")
        if gone is None:
            with taken:
                pass
        else:
            with pytest.raises(gone), taken:
                raise gone
        assert waiting.result(timeout=0) is None
        assert isinstance(store.claim(None, "one"), TokenLease)

    def test_a_fetch_is_given_up_to_the_others_but_not_on_and_on(self, store, clock):
        """From one deadline to the next, nobody's fetch would come to its end: the second time all hear the error."""
        for _ in range(2):
            heard = []
            for _ in range(2):
                with pytest.raises(AsposeOcrServiceError), lease(store) as taken:  # noqa: PT012
                    waiting = store.claim(None, "one")
                    taken.give_up()
                    raise AsposeOcrServiceError("slow")
                heard.append(str(waiting.exception(timeout=0) or waiting.result(timeout=0)))
            assert heard[0] == "None"
            assert "slow" in heard[1]
        with lease(store) as taken:
            taken.give_up()
        clock.now += 10
        with lease(store) as taken:
            waiting = store.claim(None, "one")
            taken.give_up()
        assert waiting.result(timeout=0) is None

    def test_a_claimant_does_not_wait_for_itself(self, store):
        """A signal handler may interrupt its own thread inside a fetch."""
        outer = lease(store, "me")
        waiting = store.claim(None, "other")
        with lease(store, "me") as inner:
            assert inner.fulfil(answer("inner")) == "inner"
        assert store.claim(None, "third") == "inner"
        with outer:
            outer.fulfil(answer("outer"))
        assert waiting.result(timeout=0) == "outer"

    async def test_a_cancelled_waiter_does_not_take_the_others_along(self, store):
        taken = lease(store)
        waiting = [store.claim(None, name) for name in ("one", "two")]
        first, second = (asyncio.ensure_future(asyncio.wrap_future(future)) for future in waiting)
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        with taken:
            taken.fulfil(answer())
        assert await second == "first"
        assert first.cancelled()


class Fetches:
    """A token endpoint that holds its answer back until everybody has asked."""

    def __init__(self, store: TokenStore, callers: int) -> None:
        self.store = store
        self.count = 0
        self.asked = threading.Barrier(callers)

    def in_thread(self) -> str:
        claim = self.store.claim(None, threading.get_ident())
        if isinstance(claim, TokenLease):
            with claim:
                self.count += 1
                self.asked.wait(10)
                return claim.fulfil(answer())
        self.asked.wait(10)
        return claim.result(timeout=10)

    async def in_coroutine(self) -> str:
        claim = self.store.claim(None, asyncio.current_task())
        if isinstance(claim, TokenLease):
            with claim:
                self.count += 1
                await asyncio.to_thread(self.asked.wait, 10)
                return claim.fulfil(answer())
        await asyncio.to_thread(self.asked.wait, 10)
        return await asyncio.wrap_future(claim)


@pytest.mark.parametrize(("threads", "coroutines"), [(6, 0), (0, 4), (4, 4)])
def test_one_fetch_for_threads_and_coroutines(store, threads, coroutines):
    """Threads and coroutines that ask together cause one fetch."""
    fetches = Fetches(store, threads + coroutines)

    async def together() -> list[str]:
        return await asyncio.gather(*[fetches.in_coroutine() for _ in range(coroutines)])

    with ThreadPoolExecutor(threads + 1) as pool:
        running = [pool.submit(fetches.in_thread) for _ in range(threads)]
        tokens = asyncio.run(together())
        wait_for(running, timeout=10)
    assert tokens + [future.result() for future in running] == ["first"] * (threads + coroutines)
    assert fetches.count == 1


class TestStores:
    @pytest.fixture(autouse=True)
    def _no_tokens(self):
        forget_tokens()
        yield
        forget_tokens()

    def test_one_per_credentials(self):
        """There is one store for the same credentials, and another for any other."""
        store = token_store(CREDENTIALS)
        assert token_store(replace(CREDENTIALS)) is store
        for name in ("token_url", "client_id", "client_secret"):
            assert token_store(replace(CREDENTIALS, **{name: "another"})) is not store

    def test_forget(self):
        """Forgotten tokens are fetched anew."""
        store = token_store(CREDENTIALS)
        fetch(store)
        forget_tokens()
        assert isinstance(token_store(CREDENTIALS).claim(None, "leader"), TokenLease)

    def test_the_key_and_the_repr_do_not_tell_the_secret(self):
        assert CREDENTIALS.client_secret not in CREDENTIALS.key + repr(CREDENTIALS)
        assert "first" not in repr(answer())
