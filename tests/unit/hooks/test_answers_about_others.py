"""Whose answer it is: a cache or a gateway that mixes up its connections must not hand over another job's text."""

from __future__ import annotations

import pytest

from airflow_provider_asposeocr.exceptions import AsposeOcrProtocolError
from tests.unit.hooks.faults import ENDPOINT
from tests.unit.raw_server import JOB, answer, task_answer

OTHER = "b0a9c8d7-bba9-4c7a-92c7-46851b3dceaa"
TEXT = [{"type": "Text", "data": "d2hhbGU="}]


def test_the_answer_about_another_job_is_none(hook, raw_server):
    raw_server(lambda received: task_answer(id=OTHER, results=TEXT))
    hook.hook.retry_limit = 0
    for ask in (hook.get_task, hook.get_status):
        with pytest.raises(AsposeOcrProtocolError, match=f"about another job, {OTHER}") as caught:
            ask(ENDPOINT, JOB)
        assert caught.value.ocr_task_id == JOB


def test_it_is_asked_again(hook, raw_server):
    """A poll that was answered so is one that failed."""
    server = raw_server(lambda received: task_answer(id=OTHER if len(server.requests) < 3 else JOB, results=TEXT))
    assert hook.wait(ENDPOINT, JOB).text == "whale"


@pytest.mark.parametrize("said", [JOB.upper(), None, "", "00000000-0000-0000-0000-000000000000", "the job"])
def test_an_answer_that_names_no_other_job_is_about_the_one_asked_for(hook, raw_server, said):
    """And bears its id."""
    raw_server(lambda received: answer(200, {"id": said, "taskStatus": "Completed", "results": TEXT}))
    task = hook.get_task(ENDPOINT, JOB)
    assert (task.id, task.text) == (JOB, "whale")


def test_the_prefix_of_an_id_tells_no_job_from_another(hook, raw_server):
    raw_server(lambda received: task_answer(id=JOB, results=TEXT))
    assert hook.get_task(ENDPOINT, f"TTS-{JOB}").id == f"TTS-{JOB}"
