"""Where a result finds no room on this machine, that is said once, and the job stays to be fetched."""

from __future__ import annotations

import base64
import tempfile

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_asposeocr.exceptions import AsposeOcrDeliveryError
from tests.unit.hooks.faults import ENDPOINT
from tests.unit.raw_server import JOB, task_answer

LARGE = base64.b64encode(bytes(1024 * 1024)).decode()


@pytest.mark.parametrize("call", ["get_task", "wait"])
def test_no_folder_for_temporary_files(new_hook, flavour, raw_server, monkeypatch, tmp_path, call):
    """It is no broken exchange: nothing is downloaded again, and a retry may mend it."""
    server = raw_server(lambda received: task_answer(results=[{"type": "Pdf", "data": LARGE}]))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    hook = new_hook()
    with pytest.raises(AsposeOcrDeliveryError, match=r"TMPDIR.*nothing is billed again") as caught:
        getattr(hook, call)(ENDPOINT, JOB)
    assert not isinstance(caught.value, AirflowFailException)
    assert caught.value.ocr_task_id == JOB
    downloads = [received for received in server.requests if "GetTaskStatus" not in received.target]
    assert len(downloads) == 1
