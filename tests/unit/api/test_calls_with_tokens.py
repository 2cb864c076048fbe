"""A call whose token is refused, and the answers that bring a token."""

from __future__ import annotations

import pytest

from airflow_provider_asposeocr.exceptions import AsposeOcrAuthError, AsposeOcrProtocolError
from tests.unit.api.exchanges import (
    API,
    CALLS,
    GOOD_BODIES,
    IMAGE,
    NEXT_TOKEN,
    TOKEN,
    Answer,
    Service,
    answered,
    as_json,
    submission_body,
)

every_authorized_call = pytest.mark.parametrize("name", [name for name in CALLS if name != "token"])


@every_authorized_call
def test_401_is_answered_once_with_a_new_token(name):
    service = Service(Answer(401), Answer(200, GOOD_BODIES[name]))
    service.run(CALLS[name]())
    assert service.rejected == [None, TOKEN]
    assert [request.headers["Authorization"] for request in service.requests] == [
        f"Bearer {TOKEN}",
        f"Bearer {NEXT_TOKEN}",
    ]


@every_authorized_call
def test_a_second_401_is_final(name):
    problem = as_json({"type": "about:blank", "title": "Unauthorized", "status": 401, "detail": "Token is revoked"})
    service = Service(Answer(401, problem), Answer(401, problem))
    with pytest.raises(AsposeOcrAuthError, match=r"Token is revoked.*check login and password") as refused:
        service.run(CALLS[name]())
    # While polling that would be untrue; of a submission, the hook says it.
    assert "billed" not in str(refused.value)
    assert service.rejected == [None, TOKEN]


def test_the_document_is_sent_again_whole():
    body = submission_body(b"a scan")
    service = Service(Answer(401), Answer(200, GOOD_BODIES["submit"]))
    service.run(API.submit(IMAGE, body))
    assert [request.body for request in service.requests] == [body, body]
    assert body.is_complete


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"{}",
        b"<html>",
        as_json({"access_token": ""}),
        as_json({"access_token": None}),
        as_json({"access_token": ["x"]}),
        as_json({"access_token": "x", "expires_in": 0}),
        as_json({"access_token": "x", "expires_in": -1}),
        as_json({"access_token": "x", "expires_in": "soon"}),
        b'{"access_token": "x", "expires_in": NaN}',
        as_json({"access_token": "x\r\nHost: elsewhere.example"}),
        as_json({"access_token": "x y"}),
        as_json({"access_token": "schlüssel€"}),
        as_json({"access_token": "x\x00"}),
    ],
)
def test_answers_without_a_usable_token(said):
    """An answer without a usable token is refused, and names `token_url`."""
    with pytest.raises(AsposeOcrProtocolError, match="token_url"):
        answered(CALLS["token"](), 200, said)
