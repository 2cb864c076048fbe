"""Which proxy a call goes through: the same on both transports, and none for this machine."""

from __future__ import annotations

import base64
import re

import pytest

from airflow_provider_asposeocr.api.answers import TaskStatus
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError, AsposeOcrServiceError
from tests.certificates import PROXIED_HOST
from tests.unit.raw_server import CLIENT_ID, CLIENT_SECRET, JOB, answer, task_answer, token_answer

VARIABLES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
SERVICE = f"https://{PROXIED_HOST}"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """An environment without proxies."""
    for name in (*VARIABLES, "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def proxy(raw_server):
    """A proxy that refuses everybody, and tells who asked."""
    return raw_server(lambda received: answer(502, connection="close"), tokens=False)


@pytest.fixture
def connect(define_connection):
    """Defines a connection to the service."""

    def to(host=SERVICE, **extra):
        define_connection(host=host, login=CLIENT_ID, password=CLIENT_SECRET, extra=extra)

    return to


def calls_of(hook, png):
    return (lambda: hook.get_status("RecognizeImage", JOB), lambda: hook.submit("RecognizeImage", png))


def asked(proxy, hook):
    """What the proxy was asked for by one call."""
    before = len(proxy.requests)
    with pytest.raises(AsposeOcrServiceError, match=rf"The proxy to {SERVICE} did not answer"):
        hook.get_status("RecognizeImage", JOB)
    return [(received.method, received.target) for received in proxy.requests[before:]]


@pytest.fixture
def tunnel(raw_server, tls):
    """A proxy that is the service, too, at the far end of its tunnel."""

    def script(received):
        received.peer.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with tls.server().wrap_socket(received.peer, server_side=True) as peer:
            head, _, body = peer.recv(65536).partition(b"\r\n\r\n")
            length = int(re.search(rb"(?i)content-length: (\d+)|$", head)[1] or 0)
            while len(body) < length:
                body += peer.recv(65536)
            reply = token_answer() if b"/connect/token" in head else task_answer("Pending")
            peer.sendall(reply.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))

    return raw_server(script, tokens=False)


def test_a_call_is_made_through_the_tunnel_of_a_proxy(new_hook, tunnel, tls, connect):
    connect(proxies={"https": tunnel.url}, verify=tls.authority)
    assert new_hook().get_status("RecognizeImage", JOB).status is TaskStatus.PENDING
    assert {(received.method, received.target) for received in tunnel.requests} == {("CONNECT", f"{PROXIED_HOST}:443")}


@pytest.mark.parametrize("key", ["https", "all", SERVICE, f"all://{PROXIED_HOST}", "HTTPS"])
@pytest.mark.parametrize("scheme", ["http://", ""], ids=["with scheme", "without scheme"])
def test_proxy_of_the_connection_is_used(new_hook, proxy, connect, key, scheme):
    connect(proxies={key: proxy.url.replace("http://", scheme)})
    assert asked(proxy, new_hook(retry_limit=0)) == [("CONNECT", f"{PROXIED_HOST}:443")]


@pytest.mark.parametrize(
    ("user", "says"),
    [
        ("user:hush", "user:hush"),
        ("us%20er:p%40s%3As%2F%25", "us er:p@s:s/%"),
        ("user:%C3%BC", "user:\u00fc"),
        ("user", "user:"),
    ],
)
def test_user_and_password_of_a_proxy_are_told_to_it(new_hook, proxy, connect, user, says):
    connect(proxies={"https": proxy.url.replace("//", f"//{user}@")})
    assert asked(proxy, new_hook(retry_limit=0))
    scheme, _, told = proxy.requests[0].headers["proxy-authorization"].partition(" ")
    assert (scheme, base64.b64decode(told).decode("latin-1")) == ("Basic", says)


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("scheme", ["http://", "//", ""], ids=["with scheme", "slashes", "without scheme"])
def test_proxy_of_the_environment_is_used_where_the_connection_has_none(
    new_hook, proxy, connect, monkeypatch, name, scheme
):
    monkeypatch.setenv(name, proxy.url.replace("http://", f"{scheme}user:hush@"))
    connect()
    hook = new_hook(retry_limit=0)
    assert asked(proxy, hook) == [("CONNECT", f"{PROXIED_HOST}:443")]
    assert proxy.requests[0].headers["proxy-authorization"].startswith("Basic ")
    monkeypatch.setenv("NO_PROXY", "example.com")
    with pytest.raises(AsposeOcrServiceError, match="is not known"):
        new_hook(retry_limit=0).get_status("RecognizeImage", JOB)
    assert len(proxy.requests) == 1


@pytest.mark.parametrize("no_proxy", [None, "*"])
def test_with_proxies_in_the_extra_the_environment_is_not_asked(
    new_hook, proxy, raw_server, connect, monkeypatch, no_proxy
):
    other = raw_server(lambda received: answer(502, connection="close"), tokens=False)
    for name in VARIABLES:
        monkeypatch.setenv(name, other.url)
    if no_proxy:
        monkeypatch.setenv("NO_PROXY", no_proxy)
    connect(proxies={"https": proxy.url})
    assert asked(proxy, new_hook(retry_limit=0))
    connect(proxies={"http": proxy.url})
    with pytest.raises(AsposeOcrServiceError, match="is not known"):
        new_hook(retry_limit=0).get_status("RecognizeImage", JOB)
    connect(proxies={"https": ""})
    with pytest.raises(AsposeOcrServiceError, match="is not known"):
        new_hook(retry_limit=0).get_status("RecognizeImage", JOB)
    assert other.connections == 0


@pytest.mark.parametrize("keys", [(), ("https://elsewhere.example.com",), ("http",), ("all", "https")])
def test_this_machine_is_never_reached_through_a_proxy(new_hook, proxy, raw_server, monkeypatch, png, keys):
    """Plain http is allowed to this machine because it stays here: no extra and no environment sends it elsewhere."""
    for name in VARIABLES:
        monkeypatch.setenv(name, proxy.url)
    server = raw_server(
        lambda received: answer(200, JOB) if received.method == "POST" else task_answer("Pending"),
        extra={"proxies": dict.fromkeys(keys, proxy.url)},
    )
    hook = new_hook()
    hook.submit("RecognizeImage", png)
    hook.get_status("RecognizeImage", JOB)
    assert (proxy.connections, len(server.requests), server.token_calls) == (0, 2, 1)


def test_proxy_that_is_not_there(new_hook, connect, png):
    """A proxy that is not there is named in the error, without its password."""
    connect(proxies={"https": "http://user:hush@127.0.0.1:9"})
    hook = new_hook(retry_limit=0)
    with pytest.raises(AsposeOcrServiceError, match=rf"The proxy to {SERVICE} did not answer") as caught:
        hook.get_status("RecognizeImage", JOB)
    assert "hush" not in str(caught.value)
    with pytest.raises(AsposeOcrServiceError, match=rf"The proxy to {SERVICE} did not answer"):
        hook.submit("RecognizeImage", png)


BAD = [
    "nonsense://user:hush@proxy:1",
    "socks5://user:hush@proxy:1",
    "http://",
    "://",
    "http://user:hush@proxy:port",
    "http://:hush@proxy:1",
]


@pytest.mark.parametrize("url", [*BAD, "http://user:hush@pro xy:1", "http://a..b:1"])
def test_proxy_of_the_connection_that_cannot_be_one(new_hook, connect, png, url):
    """A proxy that cannot be one is an input error on both transports, in the connection's test too, and no secret."""
    connect(proxies={"https": url})
    for call in (
        lambda: new_hook().get_status("RecognizeImage", JOB),
        lambda: new_hook().submit("RecognizeImage", png),
    ):
        with pytest.raises(AsposeOcrInputError, match=r"proxies of connection 'aspose_ocr_default'") as caught:
            call()
        assert "hush" not in str(caught.value)
    works, sentence = new_hook().test_connection()
    assert not works
    assert "http://proxy.example.com:3128" in sentence


@pytest.mark.parametrize("url", BAD)
def test_proxy_of_the_environment_that_cannot_be_one(new_hook, connect, monkeypatch, png, url):
    """A proxy of the environment that cannot be one is an input error on both transports, before anything is sent."""
    monkeypatch.setenv("https_proxy", url)
    connect()
    for call in (
        lambda: new_hook().get_status("RecognizeImage", JOB),
        lambda: new_hook().submit("RecognizeImage", png),
    ):
        with pytest.raises(AsposeOcrInputError, match=r"proxy .*environment") as caught:
            call()
        assert "hush" not in str(caught.value)


@pytest.mark.parametrize("key", ["htps", "no_proxy", "", "https:/ocr.example.com"])
def test_proxies_for_what_is_no_scheme_are_refused(read, key):
    """A key that no call would ever look for is a mistake: the calls would go directly, unnoticed."""
    with pytest.raises(AsposeOcrInputError, match=r"proxies of connection 'aspose_ocr_default'.*by scheme"):
        read(extra={"proxies": {key: "http://proxy:1"}})
