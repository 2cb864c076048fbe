"""Every kind of fault does what it says, to the calls it is meant for, as often as it is meant to."""

from __future__ import annotations

import pytest
import requests
from pydantic import ValidationError

RECOGNIZE = "RecognizeImage"


def add(client, *rules):
    response = client.call("POST", "/emulator/faults", json=list(rules))
    assert response.status_code == 200, response.text
    return response.json()


def test_status_with_retry_after_refuses_a_submission(client, emulator, image):
    add(client, {"kind": "status", "status": 503, "retry_after": 7, "method": "POST", "path": RECOGNIZE, "count": 2})
    for _ in range(2):
        response = client.post(RECOGNIZE, image)
        assert (response.status_code, response.headers["Retry-After"]) == (503, "7")
    assert client.post(RECOGNIZE, image).status_code == 200
    assert (emulator.calls().count("POST", RECOGNIZE), emulator.calls().accepted) == (3, 1)


def test_status_with_its_own_body(client):
    """A status is answered with the body that the rule gives."""
    add(client, {"kind": "status", "status": 429, "body": "slow down", "path": "connect/token"})
    response = client.token()
    assert (response.status_code, response.text) == (429, "slow down")


def test_delay_lets_the_next_rule_act(client, image):
    add(client, {"kind": "delay", "seconds": 0.05}, {"kind": "status", "status": 500})
    response = client.post(RECOGNIZE, image)
    assert response.status_code == 500
    assert response.elapsed.total_seconds() >= 0.05


@pytest.mark.parametrize(("kind", "accepted"), [("reset_before", 0), ("reset_after", 1)])
def test_connection_is_reset_before_or_after_acceptance(client, emulator, image, kind, accepted):
    add(client, {"kind": kind, "method": "POST"})
    with pytest.raises(requests.ConnectionError) as caught:
        client.post(RECOGNIZE, image)
    assert "reset" in str(caught.value).lower()
    assert emulator.calls().accepted == accepted
    assert client.post(RECOGNIZE, image).status_code == 200  # the emulator goes on


def test_an_answer_in_clear_is_no_http_and_comes_after_acceptance(client, emulator, image):
    add(client, {"kind": "in_clear", "method": "POST"})
    with pytest.raises(requests.ConnectionError, match="BadStatusLine"):
        client.post(RECOGNIZE, image)
    assert emulator.calls().accepted == 1
    assert client.post(RECOGNIZE, image).status_code == 200


def test_truncated_answer_announces_its_full_length(client, image):
    job_id = client.submit(RECOGNIZE, image)
    add(client, {"kind": "truncate", "method": "GET"})
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        client.get(RECOGNIZE, job_id)
    assert client.get(RECOGNIZE, job_id).json()["id"] == job_id


def test_wrong_content_type_is_a_web_page_and_the_service_sees_nothing(client, emulator, image):
    add(client, {"kind": "wrong_content_type", "method": "POST"})
    response = client.post(RECOGNIZE, image)
    assert (response.status_code, response.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert emulator.calls().accepted == 0


def test_not_json_pretends_to_be_json(client, image):
    job_id = client.submit(RECOGNIZE, image)
    add(client, {"kind": "not_json"})
    response = client.get(RECOGNIZE, job_id)
    assert response.headers["Content-Type"] == "application/json"
    with pytest.raises(requests.exceptions.JSONDecodeError):
        response.json()


def test_expired_token_stays_expired(client, image):
    job_id = client.submit(RECOGNIZE, image)
    add(client, {"kind": "expire_token"})
    assert client.token().status_code == 200  # no token is used to get one
    assert client.get(RECOGNIZE, job_id).status_code == 401
    assert client.get(RECOGNIZE, job_id).status_code == 401
    assert client.authorize().get(RECOGNIZE, job_id).status_code == 200


def test_unknown_task_status_is_in_one_answer_only(client, image):
    job_id = client.submit(RECOGNIZE, image)
    add(client, {"kind": "unknown_task_status", "task_status": "Dreaming"})
    assert client.get(RECOGNIZE, job_id).json()["taskStatus"] == "Dreaming"
    assert client.get(RECOGNIZE, job_id).json()["taskStatus"] == "Pending"


def test_a_rule_can_set_the_response_status_code(client, clock, image):
    """Every documented code can be had; one that says so takes the results with it."""
    job_id = client.submit(RECOGNIZE, image)
    clock.now += 10
    client.answer(RECOGNIZE, job_id)
    for code, results in (("ResultDataLost", None), ("PartiallyNotFound", 1), ("NoAnyResultData", None)):
        add(client, {"kind": "response_status_code", "response_status_code": code, "method": "GET"})
        answer = client.get(RECOGNIZE, job_id).json()
        assert (answer["taskStatus"], answer["responseStatusCode"]) == ("Completed", code)
        assert (answer["results"] and len(answer["results"])) == results
    assert client.get(RECOGNIZE, job_id).json()["responseStatusCode"] == "Ok"


def test_error_ends_the_asked_job_at_once_and_for_good(client, image):
    job_id = client.submit(RECOGNIZE, image)
    add(client, {"kind": "error", "messages": ["Too blurred."], "method": "GET"})
    for _ in range(2):
        answer = client.get(RECOGNIZE, job_id).json()
        assert (answer["taskStatus"], answer["error"]["messages"]) == ("Error", ["Too blurred."])


def test_error_awaits_the_submitted_job_at_its_end(client, clock, image):
    add(client, {"kind": "error", "messages": ["Too blurred."], "method": "POST"})
    job_id = client.submit(RECOGNIZE, image)
    assert client.get(RECOGNIZE, job_id).json()["taskStatus"] == "Pending"
    clock.now += 10
    assert client.answer(RECOGNIZE, job_id)["error"]["messages"] == ["Too blurred."]


def test_warnings_come_with_a_completed_job(client, clock, image):
    add(client, {"kind": "warnings", "warnings": ["Low contrast."], "messages": ["Noted."]})
    job_id = client.submit(RECOGNIZE, image)
    clock.now += 10
    answer = client.answer(RECOGNIZE, job_id)
    assert (answer["taskStatus"], len(answer["results"])) == ("Completed", 1)
    assert answer["error"] == {"messages": ["Noted."], "warnings": ["Low contrast."]}


def test_lost_job_does_not_exist_any_more(client, image):
    job_id = client.submit(RECOGNIZE, image)
    add(client, {"kind": "not_exist"})
    assert client.get(RECOGNIZE, job_id).json()["taskStatus"] == "NotExist"
    assert client.get(RECOGNIZE, job_id).json()["taskStatus"] == "NotExist"


def test_after_path_and_method_choose_the_calls(client, emulator, image):
    add(client, {"kind": "status", "status": 500, "method": ["GET"], "path": "*/recognize*", "after": 1})
    job_id = client.submit(RECOGNIZE, image)
    statuses = [client.get(RECOGNIZE, job_id).status_code for _ in range(2)]
    assert client.get("Utilities/GetTaskStatus", job_id).status_code == 200
    assert statuses == [200, 500]
    assert emulator.faults() == []


def test_rate_hits_a_reproducible_share(client, emulator):
    def statuses():
        emulator.clear_faults()
        add(client, {"kind": "status", "status": 500, "rate": 0.1, "seed": 4, "count": None})
        return [client.get(RECOGNIZE, "00000000").status_code for _ in range(200)]

    first = statuses()
    assert 8 <= first.count(500) <= 35
    assert statuses() == first
    assert client.call("GET", "/emulator/faults").json()[0]["count"] is None


def test_counts_left_are_shown_and_cleared(client):
    add(client, {"kind": "status", "status": 500, "count": 3})
    client.get(RECOGNIZE, "00000000")
    (rule,) = client.call("GET", "/emulator/faults").json()
    assert (rule["kind"], rule["count"]) == ("status", 2)
    assert client.call("DELETE", "/emulator/faults").status_code == 204
    assert client.get(RECOGNIZE, "00000000").status_code == 200


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ({"kind": "earthquake"}, "reset_before"),
        ({"kind": "status"}, "status"),
        ({"kind": "status", "status": 99}, "greater than or equal to 200"),
        ({"kind": "delay", "seconds": -1}, "seconds"),
        ({"kind": "truncate", "cuont": 2}, "cuont"),
        ({"kind": "truncate", "method": "PATCH"}, "POST"),
        ({"kind": "truncate", "rate": 2}, "rate"),
    ],
)
def test_wrong_rules_are_refused_with_a_reason(client, emulator, rule, says):
    response = client.call("POST", "/emulator/faults", json=[rule])
    assert response.status_code == 422
    assert says in response.text
    with pytest.raises(ValidationError):
        emulator.add_faults([rule])
    assert emulator.faults() == []


def test_a_rate_limit_refuses_what_is_beyond_it_until_its_second_is_over(client, emulator, clock, image):
    add(client, {"kind": "rate_limit", "limit": 2, "retry_after": 1, "method": "POST", "path": RECOGNIZE})
    answers = [client.post(RECOGNIZE, image) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[-1].headers["Retry-After"] == "1"
    clock.now += 0.9
    assert client.post(RECOGNIZE, image).status_code == 429
    clock.now += 0.2
    assert client.post(RECOGNIZE, image).status_code == 200
    assert emulator.calls().accepted == 3


def test_a_rate_limit_may_be_per_minute_and_ends_with_its_count(client, emulator, clock, image):
    add(client, {"kind": "rate_limit", "limit": 1, "seconds": 60, "count": 1, "method": "POST"})
    assert [client.post(RECOGNIZE, image).status_code for _ in range(3)] == [200, 429, 200]
    assert emulator.faults() == []
