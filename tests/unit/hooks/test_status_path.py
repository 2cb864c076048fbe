"""Where a gateway does not know ``Utilities/GetTaskStatus``, a job is asked for on its own path."""

from __future__ import annotations

import pytest

from airflow_provider_asposeocr.api.answers import TaskStatus
from airflow_provider_asposeocr.exceptions import AsposeOcrRequestError, AsposeOcrServiceError
from tests.unit.hooks.faults import ENDPOINT
from tests.unit.raw_server import JOB, answer, task_answer

RESULTS = [{"type": "Text", "data": "d2hhbGU="}]


@pytest.fixture
def gateway(raw_server):
    """Starts a gateway: what it says on the path of states, and on the job's own."""

    def start(of_state, of_job):
        return raw_server(lambda received: of_state if "GetTaskStatus" in received.target else of_job)

    return start


def paths(server):
    return ["state" if "GetTaskStatus" in received.target else "job" for received in server.requests]


def test_it_is_learned_once_for_all_hooks_of_a_connection(new_hook, gateway, logged):
    server = gateway(answer(404, "no such route"), task_answer(results=RESULTS))
    for _ in range(3):
        task = new_hook().get_status(ENDPOINT, JOB)
        assert (task.status, task.results) == (TaskStatus.COMPLETED, ())
    assert paths(server) == ["state", "job", "job", "job"]
    assert "has no Utilities/GetTaskStatus" in logged()


def test_a_job_that_is_unknown_on_its_own_path_too_teaches_nothing(new_hook, gateway):
    server = gateway(answer(404, {"taskStatus": "NotExist"}), task_answer("NotExist"))
    for _ in range(2):
        assert new_hook().get_status(ENDPOINT, JOB).status is TaskStatus.NOT_EXIST
    assert paths(server) == ["state", "job"] * 2


def test_a_job_that_is_not_found_on_its_own_path_either_teaches_nothing(new_hook, gateway):
    server = gateway(answer(404), answer(404))
    for _ in range(2):
        with pytest.raises(AsposeOcrRequestError, match="HTTP 404"):
            new_hook().get_status(ENDPOINT, JOB)
    assert paths(server) == ["state", "job"] * 2


@pytest.mark.parametrize(("status", "error"), [(403, AsposeOcrRequestError), (503, AsposeOcrServiceError)])
def test_other_refusals_are_no_missing_path(new_hook, gateway, status, error):
    server = gateway(answer(status), task_answer())
    with pytest.raises(error):
        new_hook(retry_limit=0).get_status(ENDPOINT, JOB)
    assert paths(server) == ["state"]


def test_a_wait_goes_on_there(new_hook, gateway):
    server = gateway(answer(404), task_answer(results=RESULTS))
    assert new_hook().wait(ENDPOINT, JOB).text == "whale"
    assert paths(server)[-1] == "job"
