"""What goes over the wire, and where it never goes: redirects, .netrc, proxies, content encodings."""

from __future__ import annotations

import base64
import gzip
import json
import zlib

import pytest

from airflow_provider_asposeocr.api.answers import TaskStatus
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrProtocolError,
    AsposeOcrRequestError,
    AsposeOcrServiceError,
)
from tests.unit.raw_server import (
    JOB,
    RawServer,
    answer,
    task_answer,
    token_answer,
)


def test_submission_on_the_wire(new_hook, raw_server, png):
    """A submission is one POST of JSON, of a length that is told before."""
    server = raw_server(lambda received: answer(200, f' "{JOB}"\r\n'))
    assert new_hook().submit("RecognizeImage", png, {"language": "German"}) == JOB
    (post,) = server.requests
    assert (post.method, post.target) == ("POST", "/v5.0/ocr/RecognizeImage")
    assert "transfer-encoding" not in post.headers
    assert int(post.headers["content-length"]) == len(post.body())
    assert post.headers["content-type"] == "application/json"
    assert post.headers["accept"] == "text/plain"
    assert post.headers["authorization"] == "Bearer token-1"
    assert json.loads(post.body()) == {
        "image": base64.b64encode(png).decode(),
        "settings": {"language": "German"},
    }


@pytest.mark.parametrize("length", [0, 1, 2, 48 * 1024 - 1, 48 * 1024, 48 * 1024 + 1])
def test_length_is_right_for_every_size(new_hook, raw_server, png, length):
    server = raw_server(lambda received: answer(200, JOB))
    image = png + b"\1" * length
    new_hook().submit("RecognizeImage", image)
    (post,) = server.requests
    assert base64.b64decode(json.loads(post.body())["image"]) == image


def test_body_is_whole_again_after_a_401(new_hook, raw_server, png):
    replies = iter([answer(401), answer(200, JOB)])
    server = raw_server(lambda received: next(replies))
    new_hook().submit("RecognizeImage", png)
    first, second = server.requests
    assert first.body() == second.body()
    assert (first.headers["authorization"], second.headers["authorization"]) == ("Bearer token-1", "Bearer token-2")


def test_other_calls_on_the_wire(new_hook, raw_server):
    """All other calls have no body, and the documented targets."""
    server = raw_server(lambda received: task_answer("Pending") if received.method == "GET" else answer(200))
    hook = new_hook()
    hook.get_task("RecognizeImage", f" {JOB} ")
    hook.get_status("RecognizeImage", JOB)
    hook.cancel("RecognizeImage", JOB)
    assert [(received.method, received.target) for received in server.requests] == [
        ("GET", f"/v5.0/ocr/RecognizeImage?id={JOB}"),
        ("GET", f"/v5.0/ocr/Utilities/GetTaskStatus?id={JOB}"),
        ("DELETE", f"/v5.0/ocr/RecognizeImage?id={JOB}"),
    ]
    assert all("application/json" in received.headers["accept"] for received in server.requests[:2])
    assert all(received.body() == b"" for received in server.requests)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(new_hook, raw_server, define_connection, png, status):
    elsewhere = raw_server(lambda received: answer(200, JOB))
    server = raw_server(lambda received: answer(status, location=f"{elsewhere.url}/v5.0/ocr/RecognizeImage"))
    hook = new_hook()
    for call in (
        lambda: hook.submit("RecognizeImage", png),
        lambda: hook.get_task("RecognizeImage", JOB),
        lambda: hook.cancel("RecognizeImage", JOB),
    ):
        with pytest.raises(AsposeOcrRequestError, match="set the connection's host to the right address") as caught:
            call()
        assert caught.value.status == status
        assert elsewhere.url in str(caught.value)
    assert len(server.requests) == 3
    assert elsewhere.connections == 0


def test_redirected_token_request_tells_nobody_the_secret(new_hook, raw_server):
    elsewhere = raw_server(lambda received: token_answer())
    raw_server(lambda received: answer(307, location=f"{elsewhere.url}/connect/token"), tokens=False)
    hook = new_hook()
    with pytest.raises(AsposeOcrRequestError, match="redirects"):
        hook.get_status("RecognizeImage", JOB)
    assert not hook.test_connection()[0]
    assert elsewhere.connections == 0


@pytest.fixture
def netrc(tmp_path, monkeypatch):
    """A .netrc file that knows this machine."""
    file = tmp_path / "netrc"
    file.write_text("machine 127.0.0.1 login somebody password else\ndefault login somebody password else\n")
    file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))


def test_netrc_replaces_no_token(netrc, new_hook, raw_server, png):
    server = raw_server(lambda received: answer(200, JOB) if received.method == "POST" else task_answer())
    hook = new_hook()
    hook.submit("RecognizeImage", png)
    hook.get_status("RecognizeImage", JOB)
    assert [received.headers["authorization"] for received in server.requests] == ["Bearer token-1"] * 2


def test_netrc_adds_no_authorization_where_none_belongs(netrc, new_hook, raw_server, png):
    def script(received):
        if "token" in received.target:
            return token_answer()
        return answer(200, JOB) if received.method == "POST" else task_answer()

    server = raw_server(script, tokens=False)
    new_hook().get_status("RecognizeImage", JOB)
    trial = new_hook()
    trial.submit("RecognizeImageTrial", png)
    trial.get_status("RecognizeImageTrial", JOB)
    assert [received.headers.get("authorization") for received in server.requests] == [
        None,
        "Bearer a-token",
        None,
        None,
    ]


@pytest.mark.parametrize(("encoding", "encode"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_encoded_answers_are_decoded(new_hook, raw_server, encoding, encode):
    results = [{"type": "Text", "data": base64.b64encode(b"alpha " * 5000).decode()}]
    body = json.dumps({"id": JOB, "taskStatus": "Completed", "results": results}).encode()
    server = raw_server(lambda received: answer(200, encode(body), content_encoding=encoding))
    assert new_hook().get_task("RecognizeImage", JOB).text == "alpha " * 5000
    assert encoding in server.requests[0].headers["accept-encoding"]


def test_answer_that_is_not_encoded_as_it_says(new_hook, raw_server):
    """An answer that is not encoded as it says is an error of the service."""
    raw_server(lambda received: answer(200, b"not gzip", content_encoding="gzip"))
    with pytest.raises(AsposeOcrServiceError):
        new_hook(retry_limit=0).get_status("RecognizeImage", JOB)


def test_chunked_answer(new_hook, raw_server):
    """A chunked answer is read."""
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (b'{"taskSta', b'tus": "Pending"}')) + b"0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    raw_server(lambda received: head + body)
    assert new_hook().get_status("RecognizeImage", JOB).status is TaskStatus.PENDING


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"no http at all\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\nConnection: close\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
    ],
    ids=["nothing", "no http", "no status", "cut", "bad chunk", "bad length", "long header"],
)
def test_answer_that_is_no_http(new_hook, raw_server, reply):
    """An answer that is no HTTP is an error of the service."""

    def script(received):
        received.body()
        received.peer.sendall(reply)

    raw_server(script)
    with pytest.raises((AsposeOcrServiceError, AsposeOcrProtocolError)):
        new_hook(retry_limit=0).get_status("RecognizeImage", JOB)


def test_large_result_arrives_whole(new_hook, raw_server):
    content = bytes(range(256)) * 8192
    results = [{"type": "Pdf", "data": base64.b64encode(content).decode()}]
    raw_server(lambda received: task_answer(results=results))
    task = new_hook().get_task("RecognizeImage", JOB)
    assert (task.results[0].size, task.results[0].read()) == (len(content), content)
    task.results[0].content.close()


def test_raw_server_is_what_it_says():
    server = RawServer(lambda received: None)
    server.close()
    assert server.connections == 0
