"""
What broke in a storage, said as one of our errors: before anything is sent, or after the bill.

A storage may raise anything: ``OSError``, or whatever the client of its vendor has. None of it comes through as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowNotFoundException

from airflow_provider_asposeocr.exceptions import (
    AsposeOcrBatchError,
    AsposeOcrDeliveryError,
    AsposeOcrError,
    AsposeOcrInputError,
    AsposeOcrStorageError,
)

NOTHING_SENT = "Nothing was sent."
NOTHING_SUBMITTED = "Nothing was submitted or billed."
PAID = (
    "The job is completed and billed; its result stays at the service for 24 hours: a retry fetches it, and nothing is "
    "billed again."
)
KEPT = "What is done and what runs is kept: a retry submits only the others."
_LONGEST_SAYING = 500
# What a retry finds as it is: the path, the rights, the connection or what is installed must be changed.
_PERMANENT = (
    FileNotFoundError,
    FileExistsError,
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
    ValueError,
    ImportError,
    AirflowNotFoundException,
)


def what_broke(error: BaseException) -> str:
    """
    Say what an error of others says, in one line of bounded length.

    :param error: of a storage.
    """
    text = " ".join(str(error).replace("\0", " ").split())
    return f"{type(error).__name__}: {text[:_LONGEST_SAYING]}" if text else type(error).__name__


@contextmanager
def before_sending(what: str, image: str | None = None, *, so: str = NOTHING_SENT) -> Iterator[None]:
    """
    Make what breaks inside one of our errors, where nothing has been sent yet.

    :param what: cannot be done, as the start of a sentence, such as ``scan.png cannot be read``.
    :param image: the document.
    :param so: what follows of it.
    :raises AsposeOcrInputError: where a retry would find the same.
    :raises AsposeOcrStorageError: where the storage may be well again later.
    """
    try:
        yield
    except AsposeOcrError:
        raise
    except Exception as error:
        kind = AsposeOcrInputError if isinstance(error, _PERMANENT) else AsposeOcrStorageError
        raise kind(f"{what}: {what_broke(error)}. {so}", image=image) from error


@contextmanager
def remembering(what: str) -> Iterator[None]:
    """
    Make what breaks inside an error that a retry can mend, where a batch keeps what it has come to.

    Jobs may be paid for, and are found again by what was kept before.

    :param what: cannot be done, as the start of a sentence.
    :raises AsposeOcrBatchError: that could not be read or written.
    """
    try:
        yield
    except AsposeOcrError:
        raise
    except Exception as error:
        raise AsposeOcrBatchError(f"{what}: {what_broke(error)}. {KEPT}") from error


@contextmanager
def delivering(endpoint: str, ocr_task_id: str, image: str | None = None) -> Iterator[None]:
    """
    Make what breaks inside an error that a retry can mend and that names the job: it is paid for.

    :param endpoint: where it was submitted.
    :param ocr_task_id: its id.
    :param image: the document, where it is known.
    :raises AsposeOcrDeliveryError: the result could not be delivered.
    :raises AsposeOcrError: a transient one of ours, with the job's id.
    """
    try:
        yield
    except AsposeOcrError as error:
        error.about(image=image, endpoint=endpoint, ocr_task_id=ocr_task_id)
        # One of a storage says that nothing was sent.
        if not isinstance(error, AirflowFailException | AsposeOcrStorageError):
            raise
        raise AsposeOcrDeliveryError(
            f"{error.message.removesuffix(NOTHING_SENT).strip()} {PAID}",
            image=error.image,
            endpoint=endpoint,
            ocr_task_id=ocr_task_id,
        ) from error
    except Exception as error:
        raise AsposeOcrDeliveryError(
            f"The result of {endpoint} job {ocr_task_id} could not be delivered: {what_broke(error)}. {PAID}",
            image=image,
            endpoint=endpoint,
            ocr_task_id=ocr_task_id,
        ) from error
