"""What breaks in a storage comes out as one of our errors, whichever call it breaks in: before the bill, or after."""

from __future__ import annotations

import uuid

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowNotFoundException, ObjectStoragePath

from airflow_provider_asposeocr.exceptions import (
    AsposeOcrDeliveryError,
    AsposeOcrError,
    AsposeOcrInputError,
    AsposeOcrStorageError,
)
from airflow_provider_asposeocr.storage.documents import document, storage_path
from airflow_provider_asposeocr.storage.failures import before_sending, delivering
from tests.unit.storage.outputs import IMAGE, JOB, QUIET, files_in, give, task
from tests.unit.storage.storages import ClientError

pytestmark = QUIET

FAULTS = [
    (PermissionError("AccessDenied"), AsposeOcrInputError),
    (ClientError("SlowDown"), AsposeOcrStorageError),
    (OSError("the disk is gone"), AsposeOcrStorageError),
]


class TestBeforeSending:
    @pytest.mark.parametrize("call", ["info", "open", "read"])
    @pytest.mark.parametrize(("error", "kind"), FAULTS)
    def test_document_that_cannot_be_read(self, moody, png, call, error, kind):
        """A document whose storage fails is refused: for good where its owner must act, else for a retry."""
        moody.put("scan.png", png)
        moody.fails[call] = error
        with pytest.raises(
            AsposeOcrError, match=r"moody://.*scan.png cannot be (opened|read): .*Nothing was (sent|submitted)"
        ) as it:
            document(str(moody.path("scan.png"))).facts()
        assert (type(it.value), it.value.__cause__, it.value.image) == (kind, error, str(moody.path("scan.png")))

    def test_document_that_breaks_while_it_is_sent(self, emulator, sync_hook, moody, png):
        """A document whose storage fails while it is sent is no broken exchange: nothing is repeated or accepted."""
        moody.put("scan.png", png)
        submission = sync_hook.prepare("RecognizeImage", str(moody.path("scan.png")))
        moody.fails["read"] = OSError("the disk is gone")
        with pytest.raises(AsposeOcrStorageError, match="the disk is gone") as caught:
            sync_hook.send(submission)
        assert caught.value.image == str(moody.path("scan.png"))
        assert emulator.calls().accepted == 0

    def test_images_are_not_quoted(self, png):
        """Bytes in a list, as of a mapped task, are not quoted."""
        with pytest.raises(AsposeOcrInputError, match="got a list") as caught:
            document([png])
        assert "PNG" not in str(caught.value)

    @pytest.mark.parametrize("error", [AirflowNotFoundException("no connection"), ValueError(""), ImportError("s3fs")])
    def test_what_a_retry_finds_again(self, error):
        """What a retry would find again is permanent."""
        with pytest.raises(AirflowFailException), before_sending("It cannot be read"):
            raise error


class TestAfterTheBill:
    @pytest.mark.parametrize("call", ["mkdir", "open", "mv", "exists"])
    @pytest.mark.parametrize("error", [error for error, _ in FAULTS])
    def test_storage_that_fails(self, moody, call, error):
        """A result whose storage fails is an error that names the job, and that a retry mends."""
        files = files_in(f"moody://{uuid.uuid4().hex}")
        moody.fails[call] = error
        with pytest.raises(AsposeOcrDeliveryError, match="a retry fetches it, and nothing is billed again") as caught:
            give(task(("Text", "words")), files)
        assert (caught.value.ocr_task_id, caught.value.endpoint) == (JOB, "RecognizeImage")
        assert caught.value.__cause__ is error
        assert not isinstance(caught.value, AirflowFailException)
        assert str(error) in str(caught.value)
        moody.fails.clear()
        (uri,) = give(task(("Text", "words")), files)["files"]
        assert uri.endswith("page 1.txt")
        assert ObjectStoragePath(uri).read_bytes() == b"words"

    def test_bad_input_of_a_paid_job(self):
        """What was bad input before is an error that a retry can mend once the job is paid for."""
        with pytest.raises(AsposeOcrDeliveryError) as caught, delivering("RecognizeImage", JOB, IMAGE):
            storage_path("nosuch://bucket/")
        assert "Nothing was sent" not in str(caught.value)
        assert (caught.value.image, caught.value.ocr_task_id) == (IMAGE, JOB)

    def test_long_errors_are_cut(self):
        """What a storage says is told in one line of bounded length."""
        with pytest.raises(AsposeOcrDeliveryError) as caught, delivering("RecognizeImage", JOB):
            raise ClientError("<Error>\n\0" + "x" * 5_000_000)
        assert len(str(caught.value)) < 1500
        assert "\n" not in str(caught.value)
        assert "\0" not in str(caught.value)

    def test_no_error_is_its_own_cause(self):
        """An error that is ours already is not its own cause."""
        given = AsposeOcrDeliveryError("It broke.")
        with pytest.raises(AsposeOcrDeliveryError) as caught, delivering("RecognizeImage", JOB):
            raise given
        assert caught.value is given
        assert given.__cause__ is None
