"""Texts of the service: short, printable, and without a secret of ours, wherever they go."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest

from airflow_provider_asposeocr.api.answers import TaskStatus
from airflow_provider_asposeocr.api.reading import TaskReader
from airflow_provider_asposeocr.api.texts import LONGEST_TEXT, MOST_TEXTS, keep_secret, service_text, service_texts
from airflow_provider_asposeocr.api.tokens import Credentials, TokenAnswer, TokenLease, TokenStore, token_store
from airflow_provider_asposeocr.exceptions import AsposeOcrError, AsposeOcrProtocolError
from tests.unit.api.exchanges import CALLS, Answer, Service, as_json, response_object

HEX = "0123456789abcdef0123456789abcdef"
ODD = "p+q/r s&t\"u\\v'w<x>=\u00fc"
CREDENTIALS = Credentials("https://api.aspose.cloud/connect/token", "an-id", HEX)


@pytest.fixture(autouse=True)
def secrets():
    """Two secrets of ours."""
    keep_secret(HEX)
    keep_secret(ODD)


def of_net(text):
    return "".join(c if (c.isalnum() and c.isascii()) or c in " /=" else f"\\u{ord(c):04X}" for c in text)


@pytest.mark.parametrize("secret", [HEX, ODD], ids=["hex", "odd"])
@pytest.mark.parametrize(
    "form",
    [
        lambda secret: secret,
        lambda secret: quote(secret, safe=""),
        lambda secret: quote_plus(secret),
        lambda secret: quote(secret, safe="").lower(),
        lambda secret: json.dumps(secret),
        lambda secret: json.dumps(secret, ensure_ascii=False),
        lambda secret: json.dumps(secret).replace("/", "\\/"),
        of_net,
        html.escape,
        lambda secret: base64.b64encode(secret.encode()).decode(),
        lambda secret: base64.b64encode(f"an-id:{secret}".encode()).decode(),
        lambda secret: base64.b64encode(f"x:{secret}\n".encode()).decode(),
        lambda secret: base64.urlsafe_b64encode(f"client_id=y&client_secret={secret}&a=b".encode()).decode(),
    ],
)
def test_a_secret_is_replaced_in_every_form(secret, form):
    text = service_text(f"wrong credentials <{form(secret)}> for an-id")
    assert "***" in text
    assert secret[:12] not in text
    assert text.startswith("wrong credentials <")
    assert text.endswith("> for an-id")


def test_a_secret_in_other_letters_is_replaced():
    assert HEX.upper() not in service_text(f"wrong: {HEX.upper()}")


@pytest.mark.parametrize("before", [0, 900, 990, 999, 1000, 65_000, 65_530, 66_000])
def test_no_cut_leaves_a_part_of_a_secret(before):
    text = service_text("a" * before + HEX + " after")
    assert HEX[:8] not in text
    many = service_text(f"{HEX} " * 5000)
    assert HEX[:4] not in many


def test_what_is_too_short_for_a_secret_is_not_looked_for():
    keep_secret("the")
    assert service_text("the end of the story") == "the end of the story"


def test_texts_are_capped():
    assert len(service_text("x" * 3_000_000)) <= LONGEST_TEXT + 3
    texts = service_texts([f"text {number}" for number in range(5000)])
    assert len(texts) == MOST_TEXTS
    assert texts[0] == "text 0"
    assert texts[-1] == "(and 4981 more, which are left out)"
    assert service_texts(["a", "", " \0 ", "b"]) == ("a", "b")
    assert len(service_texts(["x"] * MOST_TEXTS)) == MOST_TEXTS


@pytest.mark.parametrize("bad", ["\0", "\udfff", "\x1b[31m", "\u2028", "\r\n", "\x7f"])
def test_what_no_log_or_database_takes_is_left_out(bad):
    assert service_text(f"too{bad}dark") in ("too dark", "too [31mdark")


def read(answer):
    reader = TaskReader()
    reader.feed(answer if isinstance(answer, bytes) else as_json(answer))
    return reader.close()


@pytest.mark.parametrize("status", ["Error", "Completed"])
def test_all_that_an_answer_says_is_clean(status):
    """Messages, warnings, codes and types of an answer are clean, and few."""
    said = [f"wrong secret {HEX}\0", "x" * 1_500_000, *["more"] * 100]
    answer = response_object((f"Holo{HEX}\0", b"\1"), status=status, responseStatusCode=f"New{HEX}\0")
    answer["id"] = f"{HEX}\0"
    answer["error"] = {"messages": said, "warnings": said}
    task = read(answer)
    texts = [*task.messages, *task.warnings]
    assert len(texts) == MOST_TEXTS
    assert task.messages[0] == task.warnings[0] == "wrong secret ***"
    assert all(len(text) <= LONGEST_TEXT + 3 for text in texts)
    whole = f"{task} {task.notices} {[result.type for result in task.results]}"
    assert HEX not in whole
    assert "\0" not in "".join(task.notices) + task.id + task.results[0].type


def test_the_share_of_messages_and_warnings():
    """Where there are many of both, there are some of both; few of one leave room for the other."""
    task = read(response_object(error={"messages": ["m"] * 100, "warnings": ["w"] * 3}))
    assert (len(task.messages), len(task.warnings)) == (17, 3)
    task = read(response_object(error={"messages": ["m"] * 2, "warnings": ["w"] * 100}))
    assert (len(task.messages), len(task.warnings)) == (2, 18)


def test_unknown_status_is_told_without_a_secret():
    with pytest.raises(AsposeOcrProtocolError, match="taskStatus is") as caught:
        read(response_object(status=f"{HEX}\0"))
    assert HEX not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"taskStatus": "Error", "error": {"messages": ["bad \\ud800 image"]}}', "bad ? image"),
        (b'{"taskStatus": "Error", "error": {"messages": ["bad \xe4 image"]}}', "bad \N{REPLACEMENT CHARACTER} image"),
        (b'{"taskStatus": "Error", "error": {"messages": ["bad \\u0000 image"]}}', "bad image"),
        (b'{"taskStatus": "Error", "error": {"messages": [null, {"a": 1}, "bad image"]}}', '{"a": 1}; bad image'),
        (b'{"taskStatus": "Error", "error": {"messages": "bad image"}}', "bad image"),
        (b'{"taskStatus": "Error", "error": "bad image"}', "bad image"),
        (b'{"taskStatus": "Error", "error": ["bad", "image"]}', "bad; image"),
    ],
)
def test_no_oddity_of_a_text_makes_an_answer_unreadable(body, message):
    """The state of a paid job is not lost over the characters, or the shape, of what is said about it."""
    task = read(body)
    assert (task.status, "; ".join(task.messages)) == (TaskStatus.ERROR, message)


@pytest.mark.parametrize("name", ["submit", "task", "status", "cancel", "token"])
@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 429, 500, 503])
def test_a_refusal_tells_no_secret(name, status):
    """Whatever a refusal repeats, in its body or its Location: no error of ours tells it."""
    body = json.dumps({"title": f"no {HEX}", "detail": f"nor {ODD}", "echo": "z" * 3000 + HEX}).encode()
    headers = {"location": f"https://elsewhere.example.com/?client_secret={HEX}\0"}
    call = CALLS[name]()
    answer = Answer(status, body, headers)
    with pytest.raises(AsposeOcrError) as caught:
        Service(answer, answer).run(call)
    told = f"{caught.value!s} {caught.value!r} {vars(caught.value)}"
    assert HEX not in told
    assert ODD[:8] not in told


def test_credentials_and_tokens_are_learned():
    """Who makes credentials, or gets a token, need not say that they are secrets."""
    secret, token = "c" * 12 + "1", "t" * 12 + "1"
    credentials = Credentials("https://api.aspose.cloud/connect/token", "an-id", secret)
    assert secret not in service_text(f"wrong: {secret}")
    store = TokenStore()
    lease = store.claim(None, "me")
    assert isinstance(lease, TokenLease)
    with lease:
        lease.fulfil(TokenAnswer(access_token=token))
    assert token not in service_text(f"wrong: {token}")
    for number in range(100):
        keep_secret(f"another token {number}")
    token_store(credentials)
    assert secret not in service_text(f"wrong: {secret}")
