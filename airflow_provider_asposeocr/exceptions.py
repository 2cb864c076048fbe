"""
The one tree of errors of this provider.

::

    AsposeOcrError (AirflowException)
    ├── AsposeOcrInputError             bad file, settings, regions, connection      permanent
    │   └── AsposeOcrConnectionNotFoundError    Airflow has no such connection       permanent
    ├── AsposeOcrAuthError              client id or secret refused                  permanent
    ├── AsposeOcrRequestError           HTTP 4xx: status, excerpt of the body        permanent
    ├── AsposeOcrServiceError           HTTP 5xx, network                            transient
    │   └── AsposeOcrRateLimitError     HTTP 429: retry_after                        transient
    ├── AsposeOcrAmbiguousSubmissionError   a POST that may have been accepted       permanent
    ├── AsposeOcrProtocolError          an answer that breaks the contract           transient
    ├── AsposeOcrTaskError              the job ended as ``Error``                   submit again
    │   └── AsposeOcrTaskRefusedError   and so did the one before it                 permanent
    ├── AsposeOcrTaskNotFoundError      the job is unknown, or older than 24 hours   submit again
    ├── AsposeOcrStorageError           a storage failed before anything was sent    transient
    ├── AsposeOcrDeliveryError          a paid result could not be delivered         transient
    ├── AsposeOcrBatchError             some documents of a batch failed             transient
    │   ├── AsposeOcrBatchRefusedError  and would fail again                         permanent
    │   └── AsposeOcrBatchPausedError   the service wants no more now: retry_after   transient
    ├── AsposeOcrCancelledError         the user ended the task                      permanent
    ├── AsposeOcrInterruptedError       the worker was shut down                     transient
    └── AsposeOcrTimeoutError           the job did not end in time                  transient
        └── AsposeOcrSensorTimeoutError the same, as ``AirflowSensorTimeout``        permanent

Permanent ones are also ``AirflowFailException``: a retry cannot help, and might be billed again. (A sensor's time-out
is not, but Airflow does not retry an ``AirflowSensorTimeout`` either.) This module alone takes Airflow's base classes,
so that an error raised in the deepest layer already means the right thing to Airflow (fail, retry, ``soft_fail``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict, TypeVar, Unpack

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSensorTimeout

E = TypeVar("E", bound=BaseException)


class About(TypedDict, total=False):
    """What an error is about."""

    image: str | None
    endpoint: str | None
    ocr_task_id: str | None


class AsposeOcrError(AirflowException):
    """
    Base of all errors of this provider.

    :param message: what happened, whether it was billed and what a retry will do.
    :param image: the path or URI of the document, where there is one.
    :param endpoint: the endpoint's name, such as ``RecognizeImage``.
    :param ocr_task_id: the id of the job at the service: what was paid for can be fetched again by it for 24 hours.
    """

    def __init__(
        self,
        message: str = "",
        *,
        image: str | None = None,
        endpoint: str | None = None,
        ocr_task_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.image = image
        self.endpoint = endpoint
        self.ocr_task_id = ocr_task_id
        self.is_counted = False
        """Whether it stands among the failures of the metrics already."""

    def about(
        self, *, image: str | None = None, endpoint: str | None = None, ocr_task_id: str | None = None
    ) -> AsposeOcrError:
        """
        Add what a deeper layer could not know, and return the same error.

        :param image: the path or URI of the document.
        :param endpoint: the endpoint's name.
        :param ocr_task_id: the id of the job at the service.
        """
        self.image = self.image or image
        self.endpoint = self.endpoint or endpoint
        self.ocr_task_id = self.ocr_task_id or ocr_task_id
        return self

    def __str__(self) -> str:
        facts = (("image", self.image), ("endpoint", self.endpoint), ("ocr_task_id", self.ocr_task_id))
        known = ", ".join(f"{name}={value}" for name, value in facts if value and value not in self.message)
        return f"{self.message} [{known}]" if known else self.message


class AsposeOcrInputError(AsposeOcrError, AirflowFailException):
    """The file, the settings, the regions or the connection cannot work. Raised before anything is sent or billed."""


class AsposeOcrConnectionNotFoundError(AsposeOcrInputError):
    """
    Airflow knows no such connection, or could not read it: it tells an outage of a secrets backend in the same way.

    Permanent before a document is billed. Of a job that is paid for, it ends a try, and a retry goes on.
    """


class AsposeOcrAuthError(AsposeOcrError, AirflowFailException):
    """The service refused the client id and secret, or a fresh token."""


class AsposeOcrRequestError(AsposeOcrError, AirflowFailException):
    """
    The service refused the request (HTTP 4xx, or an answer no client can go on with, such as a redirect).

    :param message: what happened.
    :param status: the HTTP status code.
    :param body_excerpt: the start of the answer's body, without Base64 runs.
    """

    def __init__(self, message: str = "", *, status: int = 0, body_excerpt: str = "", **about: Unpack[About]) -> None:
        super().__init__(message, **about)
        self.status = status
        self.body_excerpt = body_excerpt


class AsposeOcrServiceError(AsposeOcrError):
    """
    The service is not there, or not well (HTTP 5xx, network). Transient: asking again later can help.

    :param message: what happened.
    :param status: the HTTP status code, ``None`` where no answer came.
    :param retry_after: how many seconds the service asked to wait, if it did.
    :param certainly_not_accepted: whether the request certainly had no effect (refused connection, unknown host,
        incomplete body, 429 or 503), so that even a submission may be repeated at once.
    """

    def __init__(
        self,
        message: str = "",
        *,
        status: int | None = None,
        retry_after: float | None = None,
        certainly_not_accepted: bool = False,
        **about: Unpack[About],
    ) -> None:
        super().__init__(message, **about)
        self.status = status
        self.retry_after = retry_after
        self.certainly_not_accepted = certainly_not_accepted


class AsposeOcrRateLimitError(AsposeOcrServiceError):
    """HTTP 429: too many requests, or the plan's quota is used up. ``retry_after`` says when to come back."""


class AsposeOcrAmbiguousSubmissionError(AsposeOcrError, AirflowFailException):
    """A submission got no usable answer: the document may have been accepted and billed, and its job id is unknown."""


class AsposeOcrProtocolError(AsposeOcrError):
    """An answer breaks the wire contract. The message holds an excerpt without any recognized text."""


class AsposeOcrTaskError(AsposeOcrError):
    """
    The job ended as ``Error``.

    :param message: what happened.
    :param messages: the service's own messages.
    :param resubmits: whether a retry submits the document again.
    """

    def __init__(
        self, message: str = "", *, messages: tuple[str, ...] = (), resubmits: bool = True, **about: Unpack[About]
    ) -> None:
        super().__init__(message, **about)
        self.messages = messages
        self.resubmits = resubmits


class AsposeOcrTaskRefusedError(AsposeOcrTaskError, AirflowFailException):
    """A second job of the same document ended as ``Error`` too: it would be billed a third time in vain."""


class AsposeOcrStorageError(AsposeOcrError):
    """A storage is not there, or not well, and nothing has been sent or billed yet. Transient: a retry can help."""


class AsposeOcrDeliveryError(AsposeOcrError):
    """
    The job is completed and billed, but its result could not be written or read where it was to go.

    Transient: the result stays at the service for 24 hours, a retry fetches it, and nothing is billed again.
    """


class AsposeOcrBatchError(AsposeOcrError):
    """Some documents of a batch failed; what is done and what runs is kept, a retry submits only the others."""


class AsposeOcrBatchRefusedError(AsposeOcrBatchError, AirflowFailException):
    """Some documents of a batch failed, and all of them would fail again: bad files, or submissions in doubt."""


class AsposeOcrBatchPausedError(AsposeOcrBatchError, AsposeOcrServiceError):
    """
    The service is away or wants no more for so long that waiting is not worth a worker's slot.

    No document has failed for that: a retry, after ``retry_after`` seconds, goes on.
    """


class AsposeOcrTaskNotFoundError(AsposeOcrError):
    """
    The service does not know the job: a wrong id, a job of another endpoint or account, or older than 24 hours.

    :param message: what happened.
    :param resubmits: whether a retry submits the document again; a sensor's does not.
    """

    def __init__(self, message: str = "", *, resubmits: bool = True, **about: Unpack[About]) -> None:
        super().__init__(message, **about)
        self.resubmits = resubmits


class AsposeOcrCancelledError(AsposeOcrError, AirflowFailException):
    """The user ended the Airflow task, and the job was cancelled with it."""


class AsposeOcrInterruptedError(AsposeOcrError):
    """The task's process was told to end, but not by a user: the job goes on, and the next try goes on with it."""


class AsposeOcrTimeoutError(AsposeOcrError):
    """The job did not end within ``timeout`` seconds. The message says what became of it."""


class AsposeOcrSensorTimeoutError(AsposeOcrTimeoutError, AirflowSensorTimeout):
    """The same for a sensor, so that Airflow treats it as any sensor's time-out."""


_REFUSALS: Mapping[str, type[AsposeOcrError]] = {
    kind.__name__: kind
    for kind in (AsposeOcrInputError, AsposeOcrConnectionNotFoundError, AsposeOcrAuthError, AsposeOcrRequestError)
}


def because_of(error: E, cause: BaseException | None) -> E:
    """
    Return an error with its cause, as ``raise error from cause`` would set it.

    An error that is its own cause, or its cause's cause, is left as it is: Airflow 3.0 to 3.2 follow such a ring for
    ever when they log it, and the task never ends.

    :param error: what is to be raised.
    :param cause: what led to it.
    """
    seen, at = set(), cause
    while at is not None and id(at) not in seen:
        if at is error:
            return error
        seen.add(id(at))
        at = at.__cause__
    error.__cause__ = cause
    return error


def refusal_named(name: str) -> type[AsposeOcrError]:
    """
    Return the class of a permanent fault by its name, as a trigger's event brings it.

    :param name: of one of ours; any other is an :class:`AsposeOcrRequestError`.
    """
    return _REFUSALS.get(name, AsposeOcrRequestError)
