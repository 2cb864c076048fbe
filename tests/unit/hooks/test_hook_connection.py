"""An Airflow connection, in every form a user may give it, and those that are refused before anything is sent."""

from __future__ import annotations

import json
import traceback
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_asposeocr.api.calls import HttpRequest, TokenNeeded, conversation, token_call
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrAsyncHook, AsposeOcrHook

SECRET = "s3cr3t-and-sound"


@pytest.fixture
def read(define_connection) -> Any:
    """Defines a connection and returns what the hook makes of it."""

    def connection_of(**fields: Any) -> Any:
        define_connection(**{"login": "an-id", "password": SECRET, **fields})
        return AsposeOcrHook().connection

    return connection_of


def extra(**values: Any) -> dict[str, Any]:
    return {"extra": values}


def test_defaults_are_the_vendors(read):
    connection = read()
    assert connection.host == "https://api.aspose.cloud"
    assert connection.api_root.url == "https://api.aspose.cloud/v5.0/ocr"
    assert connection.token_url == "https://api.aspose.cloud/connect/token"
    assert (connection.timeout, connection.verify, connection.proxies, connection.trial) == (60, True, (), False)
    assert (connection.client_id, connection.client_secret) == ("an-id", SECRET)


@pytest.mark.parametrize(
    ("fields", "host"),
    [
        ({"host": "https://ocr.example.com"}, "https://ocr.example.com"),
        ({"host": "https://ocr.example.com/"}, "https://ocr.example.com"),
        ({"host": " ocr.example.com "}, "https://ocr.example.com"),
        ({"host": "ocr.example.com", "port": 8443}, "https://ocr.example.com:8443"),
        ({"host": "https://ocr.example.com", "port": 8443}, "https://ocr.example.com:8443"),
        ({"host": "https://ocr.example.com:9443", "port": 8443}, "https://ocr.example.com:9443"),
        ({"host": "https://ocr.example.com/gateway", "port": 8443}, "https://ocr.example.com:8443/gateway"),
        ({"host": "https://ocr.example.com/gateway/v5.0/ocr/"}, "https://ocr.example.com/gateway"),
        ({"host": "https://api.aspose.cloud/v5.0/ocr"}, "https://api.aspose.cloud"),
        ({"host": "api.aspose.cloud/v6.0/ocr", **extra(api_version="v6.0")}, "https://api.aspose.cloud"),
        ({"host": "127.0.0.1:8090", "schema": "http"}, "http://127.0.0.1:8090"),
        ({"host": "[::1]", "port": 8090, "schema": "http"}, "http://[::1]:8090"),
        ({"host": "https://ocr.example.com", "schema": "http"}, "https://ocr.example.com"),
    ],
)
def test_host(read, fields, host):
    connection = read(**fields)
    assert connection.host == host
    assert connection.api_root.url == f"{host}/{connection.api_version}/ocr"
    assert connection.token_url == f"{host}/connect/token"


@pytest.mark.parametrize("host", ["http://127.0.0.1:8090", "http://[::1]:8090", "http://localhost", "http://127.8.9.1"])
def test_plain_http_to_this_machine_is_fine(read, host):
    assert read(host=host).host == host
    assert read(**extra(token_url=f"{host}/token")).token_url == f"{host}/token"


@pytest.mark.parametrize(
    "host",
    [
        "http://api.aspose.cloud",
        "http://192.168.1.5:8090",
        "http://0.0.0.0:8090",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "HTTP://example.com",
    ],
)
@pytest.mark.parametrize("what", ["host", "token_url"])
def test_plain_http_to_another_machine_is_refused(read, host, what):
    with pytest.raises(AsposeOcrInputError, match=f"{what} of connection 'aspose_ocr_default' is plain http") as caught:
        read(**({"host": host} if what == "host" else extra(token_url=host)))
    assert "https" in str(caught.value)
    assert isinstance(caught.value, AirflowFailException)


def test_plain_http_by_schema_is_refused_too(read):
    with pytest.raises(AsposeOcrInputError, match="plain http"):
        read(host="ocr.example.com", schema="http")


@pytest.mark.parametrize(
    "host",
    [
        "ftp://ocr.example.com",
        "file:///etc/passwd",
        "https://",
        "https://ocr.example.com/?a=b",
        "https://ocr.example.com/#a",
        "https://ocr.example.com:port",
        "https://ocr.example.com:99999",
        "https://[::1",
    ],
)
@pytest.mark.parametrize("port", [None, 443])
def test_no_address(read, host, port):
    with pytest.raises(AsposeOcrInputError, match=r"is not an address such as https://api.aspose.cloud"):
        read(host=host, port=port)
    with pytest.raises(AsposeOcrInputError, match="token_url of connection 'aspose_ocr_default' is not an address"):
        read(**extra(token_url=host))


@pytest.mark.parametrize(
    "host",
    [
        f"https://an-id:{SECRET}@ocr.example.com",
        f"https://{SECRET}@ocr.example.com",
        f"an-id:{SECRET}@ocr.example.com",
        f"https://an-id:{SECRET}@ocr.example.com/?a=b",
        f"https://an-id:{SECRET}@ocr.example.com:port",
        f"ftp://an-id:{SECRET}@ocr.example.com",
        f"https://an-id:{SECRET}@[::1",
    ],
)
@pytest.mark.parametrize("what", ["host", "token_url"])
def test_user_and_password_in_the_address_are_refused_and_not_told(read, host, what):
    if what == "token_url" and "://" not in host:
        pytest.skip("a token URL has a scheme")
    with pytest.raises(AsposeOcrInputError, match=f"{what} of connection") as caught:
        read(**({"host": host} if what == "host" else extra(token_url=host)))
    assert SECRET not in "".join(traceback.format_exception_only(caught.value))


def test_extra_fields(read):
    connection = read(
        host="https://ocr.example.com",
        **extra(
            api_version="/v6.0/",
            token_url="https://login.example.com/token",
            timeout="2.5",
            verify="false",
            proxies='{"https": "http://proxy.example.com:3128"}',
            trial="true",
        ),
    )
    assert connection.api_root.url == "https://ocr.example.com/v6.0/ocr"
    assert connection.token_url == "https://login.example.com/token"
    assert (connection.timeout, connection.verify, connection.trial) == (2.5, False, True)
    assert connection.proxies == (("https", "http://proxy.example.com:3128"),)


def test_empty_extra_fields_are_the_defaults(read):
    # What Airflow's form sends for fields that were left empty.
    empty = dict.fromkeys(("api_version", "token_url", "timeout", "verify", "proxies", "trial"))
    default = read()
    assert read(**extra(**empty)) == default
    assert read(**extra(**dict.fromkeys(empty, ""))) == default


@pytest.mark.parametrize(
    ("value", "verify"),
    [(True, True), (False, False), ("true", True), ("False", False), ("0", False), ("yes", True), (" true ", True)],
)
def test_verify(read, value, verify):
    assert read(**extra(verify=value)).verify is verify


def test_verify_as_a_path(read, tmp_path):
    bundle = tmp_path / "ca.pem"
    bundle.write_text("")
    assert read(**extra(verify=str(bundle))).verify == str(bundle)
    assert read(**extra(verify=str(tmp_path))).verify == str(tmp_path)


def test_verify_as_a_path_that_is_not_there(read, tmp_path):
    with pytest.raises(AsposeOcrInputError, match=r"The verify of connection 'aspose_ocr_default'.*no-ca.pem"):
        read(**extra(verify=str(tmp_path / "no-ca.pem")))


@pytest.mark.parametrize("value", [0, -1, "soon", "nan", "inf", [1]])
def test_timeout_that_is_none(read, value):
    with pytest.raises(AsposeOcrInputError, match="timeout of connection 'aspose_ocr_default' must be seconds over 0"):
        read(**extra(timeout=value))


@pytest.mark.parametrize("value", [{"https": "http://proxy:1"}, '{"https": "http://proxy:1"}'])
def test_proxies(read, value):
    assert read(**extra(proxies=value)).proxies == (("https", "http://proxy:1"),)


@pytest.mark.parametrize("value", ["http://proxy:1", "[1]", '["http://proxy:1"]', '{"https": 1}', {"https": None}, 5])
def test_proxies_that_are_none(read, value):
    with pytest.raises(AsposeOcrInputError, match="proxies of connection 'aspose_ocr_default' must be a JSON object"):
        read(**extra(proxies=value))


def test_trial_that_is_neither_true_nor_false(read):
    with pytest.raises(AsposeOcrInputError, match="trial of connection 'aspose_ocr_default' must be true or false"):
        read(**extra(trial="perhaps"))


def test_connection_as_a_uri(monkeypatch):
    monkeypatch.setenv(
        "AIRFLOW_CONN_ASPOSE_OCR_DEFAULT", f"aspose-ocr://an-id:{SECRET}@127.0.0.1:8090/http?timeout=7&trial=false"
    )
    connection = AsposeOcrHook().connection
    assert connection.host == "http://127.0.0.1:8090"
    assert (connection.client_id, connection.client_secret) == ("an-id", SECRET)
    assert (connection.timeout, connection.trial) == (7, False)


def test_connection_as_a_uri_with_the_whole_address_for_host(monkeypatch):
    monkeypatch.setenv(
        "AIRFLOW_CONN_ASPOSE_OCR_DEFAULT", f"aspose-ocr://an-id:{SECRET}@https%3A%2F%2Focr.example.com%2Fgateway"
    )
    assert AsposeOcrHook().connection.host == "https://ocr.example.com/gateway"


def test_connection_whose_extra_is_a_json_string(read):
    assert read(extra=json.dumps({"timeout": 7})).timeout == 7


async def test_async_hook_reads_the_same(read):
    sync = read(host="https://ocr.example.com", **extra(timeout=7, proxies={"https": "http://proxy:1"}))
    assert await AsposeOcrAsyncHook().get_service_connection() == sync


def test_missing_connection(new_hook):
    with pytest.raises(AsposeOcrInputError, match=r"'no_such' is not defined.*--conn-type aspose_ocr") as caught:
        new_hook("no_such").get_status("a197aade-bba9-4c7a-92c7-46851b3dceaa")
    assert "Nothing was sent" in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "lacks"),
    [
        ({"login": "an-id"}, "lacks the client secret"),
        ({"password": SECRET}, "lacks the client id"),
        ({"login": " ", "password": ""}, "lacks the client id .* and the client secret"),
    ],
)
def test_missing_id_or_secret(emulator, define_connection, new_hook, png, fields, lacks):
    define_connection(host=emulator.url, **fields)
    hook = new_hook()
    with pytest.raises(AsposeOcrInputError, match=lacks):
        hook.submit("RecognizeImage", png)
    with pytest.raises(AsposeOcrInputError, match=lacks) as caught:
        hook.get_status("a197aade-bba9-4c7a-92c7-46851b3dceaa")
    assert "trial" in str(caught.value)
    assert (hook.test_connection()[0], emulator.calls().total, emulator.calls().token_calls) == (False, 0, 0)


async def test_the_secret_is_in_no_text(read, png):
    connection = read(**extra(proxies={"https": f"http://user:{SECRET}@proxy:1"}))
    hook = AsposeOcrHook()
    async_hook = AsposeOcrAsyncHook()
    await async_hook.get_service_connection()
    requests: list[HttpRequest] = []
    talk = conversation(token_call(connection.credentials))
    requests.append(next(talk))
    status = connection.api_root.status(
        hook.prepare("RecognizeImage", png).endpoint, "a197aade-bba9-4c7a-92c7-46851b3dceaa"
    )
    talk = conversation(status)
    next(talk)
    requests.append(talk.send(SECRET))
    things = [
        connection,
        connection.credentials,
        connection.credentials.key,
        hook,
        hook.connection,
        hook.prepare("RecognizeImage", png),
        async_hook,
        status,
        token_call(connection.credentials),
        TokenNeeded(SECRET),
        *requests,
    ]
    for thing in things:
        assert SECRET not in repr(thing)
        assert SECRET not in str(thing)
    assert all(SECRET not in request.url for request in requests)


def test_one_lookup_per_hook(read, define_connection):
    read()
    hook = AsposeOcrHook()
    first = hook.connection
    define_connection(login="another", password=SECRET)
    assert hook.connection is first
