"""
Fault injection: which call goes wrong, and how.

A rule names the calls it applies to (method, path), how many of them it hits (``after``, ``count``, ``rate``), and
by its ``kind`` what happens to them. Rules are tried in the order in which they were added, and the first that hits
ends the search, so a list of rules is a script; only a ``delay`` lets the search go on. A rule matches those calls only
on which its kind can act, and never the ``/emulator/...`` paths.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, TypeAdapter, field_validator

from airflow_provider_asposeocr.api.answers import ResponseStatusCode
from airflow_provider_asposeocr.api.values import Value

Method = Literal["GET", "POST", "DELETE"]
ALL_METHODS: frozenset[str] = frozenset({"GET", "POST", "DELETE"})


class Call(Value, frozen=True):
    """
    A call, as rules see it.

    :param method: in capitals.
    :param path: the whole path.
    :param endpoint: the endpoint's name; for the token endpoint ``connect/token``.
    :param is_token_call: whether it asks for a token.
    """

    method: str
    path: str
    endpoint: str
    is_token_call: bool = False


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    method: list[Method] | None = None
    """Methods it applies to, one or a list; none given means all that the kind can act on."""
    path: str | None = None
    """Whole path or endpoint's name, not case-sensitive, ``*`` for anything: ``RecognizeImage``, ``*Regions``."""
    count: int | None = Field(default=1, ge=1)
    """How many matching calls it hits; ``null`` for all."""
    after: int = Field(default=0, ge=0)
    """How many matching calls it lets pass first."""
    rate: float | None = Field(default=None, gt=0, le=1)
    """Share of the matching calls it hits; which ones, ``seed`` decides."""
    seed: int = 0

    # Which calls the kind can act on.
    _methods: ClassVar[frozenset[str]] = ALL_METHODS
    _token_calls: ClassVar[bool] = True

    _random: random.Random = PrivateAttr()

    @field_validator("method", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        methods = [value] if isinstance(value, str) else value
        return [method.upper() if isinstance(method, str) else method for method in methods] if methods else None

    def model_post_init(self, _context: Any) -> None:
        """Seed the dice: the same calls in the same order meet the same fate."""
        self._random = random.Random(self.seed)  # noqa: S311 - nothing secret is drawn

    def hits(self, call: Call, now: float) -> bool:
        """
        Whether the rule hits this call, which is then counted.

        :param call: the call.
        :param now: when it comes, in seconds from any start.
        """
        if self.count == 0 or not self._matches(call):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        if self._lets_pass(now):
            return False
        if self.rate is not None and self._random.random() >= self.rate:
            return False
        if self.count is not None:
            self.count -= 1
        return True

    def _lets_pass(self, now: float) -> bool:
        """Whether a call that matches is none of this rule's business, for a reason of its kind."""
        return False

    def _matches(self, call: Call) -> bool:
        if call.method not in (self.method or self._methods) or call.method not in self._methods:
            return False
        if call.is_token_call and not self._token_calls:
            return False
        if self.path is None:
            return True
        pattern = self.path.lower()
        return any(fnmatchcase(name.lower(), pattern) for name in (call.path, call.endpoint))


class Refusal(_Rule):
    """The call is refused with a status; a submission is not accepted."""

    status: int = Field(ge=200, le=599)
    retry_after: int | str | None = None
    """Value of the ``Retry-After`` header: seconds, or a HTTP date."""
    body: str | None = None
    """Body of the answer; by default a problem document."""


class Status(Refusal):
    """So it is, whatever else there is."""

    kind: Literal["status"]


class RateLimit(Refusal):
    """Of the calls within some seconds, those beyond the limit are refused; a submission is not accepted."""

    kind: Literal["rate_limit"]
    limit: int = Field(ge=1)
    """Calls that are let pass."""
    seconds: float = Field(default=1.0, gt=0, le=86400)
    """Within so many."""
    status: int = Field(default=429, ge=200, le=599)
    count: int | None = Field(default=None, ge=1)
    _passed: deque[float] = PrivateAttr(default_factory=deque)

    def _lets_pass(self, now: float) -> bool:
        while self._passed and now - self._passed[0] >= self.seconds:
            self._passed.popleft()
        if len(self._passed) >= self.limit:
            return False
        self._passed.append(now)
        return True


class Delay(_Rule):
    """The call is answered later."""

    kind: Literal["delay"]
    seconds: float = Field(ge=0, le=86400)


class ResetBefore(_Rule):
    """The connection is reset once the request is read; nothing is done, a submission is not accepted."""

    kind: Literal["reset_before"]


class ResetAfter(_Rule):
    """The call is carried out, a submission accepted; then the connection is reset without an answer."""

    kind: Literal["reset_after"]


class Truncate(_Rule):
    """The call is carried out; of its answer only the first half arrives, under the full ``Content-Length``."""

    kind: Literal["truncate"]


class InClear(_Rule):
    """The call is carried out, a submission accepted; then come bytes that are neither TLS nor HTTP, and the end."""

    kind: Literal["in_clear"]


class WrongContentType(_Rule):
    """Something between client and service answers: 200 with a HTML page. The service never sees the call."""

    kind: Literal["wrong_content_type"]


class NotJson(_Rule):
    """The call is carried out; the answer says it is what it should be, but is neither JSON nor an id."""

    kind: Literal["not_json"]


class ExpireToken(_Rule):
    """The token that the call carries is good no longer: this call, and all others with it, get a 401."""

    kind: Literal["expire_token"]
    _token_calls: ClassVar[bool] = False


class UnknownTaskStatus(_Rule):
    """The answer carries a ``taskStatus`` that the protocol does not know. The job itself goes on."""

    kind: Literal["unknown_task_status"]
    task_status: str = "Suspended"
    _methods: ClassVar[frozenset[str]] = frozenset({"GET"})
    _token_calls: ClassVar[bool] = False


class StatusCode(_Rule):
    """The answer carries another ``responseStatusCode``; with one that says so, it has no results. The job goes on."""

    kind: Literal["response_status_code"]
    response_status_code: ResponseStatusCode = ResponseStatusCode.RESULT_DATA_LOST
    _methods: ClassVar[frozenset[str]] = frozenset({"GET"})
    _token_calls: ClassVar[bool] = False


class _JobRule(_Rule):
    """Decides about a job for good: a POST's when it is accepted, a GET's at once."""

    _methods: ClassVar[frozenset[str]] = frozenset({"GET", "POST"})
    _token_calls: ClassVar[bool] = False


class Error(_JobRule):
    """The job ends as ``Error``."""

    kind: Literal["error"]
    messages: list[str] = Field(default=["Injected error."], min_length=1)


class Warnings(_JobRule):
    """The job ends as ``Completed``, with notices."""

    kind: Literal["warnings"]
    warnings: list[str] = ["Injected warning."]
    messages: list[str] = []


class NotExist(_JobRule):
    """The job is lost: nobody knows of it any more."""

    kind: Literal["not_exist"]


FaultRule = Annotated[
    Status
    | RateLimit
    | Delay
    | ResetBefore
    | ResetAfter
    | Truncate
    | InClear
    | WrongContentType
    | NotJson
    | ExpireToken
    | UnknownTaskStatus
    | StatusCode
    | Error
    | Warnings
    | NotExist,
    Field(discriminator="kind"),
]

_RULES: TypeAdapter[list[FaultRule]] = TypeAdapter(list[FaultRule])


def parse_rules(rules: Sequence[Any]) -> list[FaultRule]:
    """
    Return typed rules.

    :param rules: mappings, or rules.
    :raises pydantic.ValidationError: where a rule is wrong.
    """
    return _RULES.validate_python(rules)


class Verdict(Value, frozen=True):
    """
    What is to happen to a call.

    :param delay: seconds to wait first.
    :param fault: what goes wrong then, if anything.
    """

    delay: float = 0.0
    fault: FaultRule | None = None


@dataclass(slots=True)
class FaultPlan:
    """
    The rules in force.

    :param clock: seconds from any start.
    """

    clock: Callable[[], float] = time.monotonic
    _rules: list[FaultRule] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, rules: Iterable[FaultRule]) -> None:
        """
        Put rules behind those in force.

        :param rules: each with its own count.
        """
        with self._lock:
            # Copies: rules count down, and the caller may add the same ones again.
            self._rules += [rule.model_copy(deep=True) for rule in rules]

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        with self._lock:
            self._rules.clear()

    def left(self) -> list[FaultRule]:
        """The rules that can still hit, with what is left of their counts."""
        with self._lock:
            return [rule.model_copy() for rule in self._rules]

    def judge(self, call: Call) -> Verdict:
        """
        Decide about a call, counting it.

        :param call: the call.
        """
        delay = 0.0
        fault: FaultRule | None = None
        now = self.clock()
        with self._lock:
            for rule in self._rules:
                if not rule.hits(call, now):
                    continue
                if isinstance(rule, Delay):
                    delay += rule.seconds
                else:
                    fault = rule
                    break
            self._rules = [rule for rule in self._rules if rule.count != 0]
        return Verdict(delay, fault)
