"""What an Airflow connection says of the service: every field, and what none can be."""

from __future__ import annotations

import json
import traceback

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_asposeocr.exceptions import AsposeOcrInputError
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrAsyncHook, AsposeOcrHook
from tests.unit.connections import SECRET, extra

AIRFLOW_2_WARNS = pytest.mark.filterwarnings("ignore:Encountered .*JSON")


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
        ({"host": "127.0.0.1:8090", "schema": "HTTP"}, "http://127.0.0.1:8090"),
        ({"host": "https://api.aspose.cloud/v5.0"}, "https://api.aspose.cloud"),
        ({"host": "https://api.aspose.cloud/v5.0/"}, "https://api.aspose.cloud"),
        ({"host": "https://api.aspose.cloud/v5.0/ocr//"}, "https://api.aspose.cloud"),
        ({"host": "https://api.aspose.cloud/V5.0/OCR"}, "https://api.aspose.cloud"),
        (
            {"host": "https://ocr.example.com/gateway/v6.0", **extra(api_version="v6.0")},
            "https://ocr.example.com/gateway",
        ),
        ({"host": "https://ocr.example.com/v1"}, "https://ocr.example.com/v1"),
        ({"host": "HTTPS://OCR.Example.Com/Gateway"}, "https://ocr.example.com/Gateway"),
        ({"host": "https://ocr.example.com."}, "https://ocr.example.com"),
        ({"host": "ocr.example.com.:8443"}, "https://ocr.example.com:8443"),
        ({"host": "::1", "port": 8090, "schema": "http"}, "http://[::1]:8090"),
        ({"host": "2001:DB8::0:1"}, "https://[2001:db8::1]"),
        ({"host": "https://[2001:db8::1]:8443/gateway/"}, "https://[2001:db8::1]:8443/gateway"),
        ({"host": "https://ocr_gateway-1.example.com"}, "https://ocr_gateway-1.example.com"),
        ({"host": f"https://{'a' * 63}.example.com"}, f"https://{'a' * 63}.example.com"),
        ({"host": "  "}, "https://api.aspose.cloud"),
        ({"host": "https://ocr.example.com", "port": 0}, "https://ocr.example.com"),
    ],
)
def test_host(read, fields, host):
    """Every way to name a host makes the address that is meant."""
    connection = read(**fields)
    assert connection.host == host
    assert connection.api_root.url == f"{host}/{connection.api_version}/ocr"
    assert connection.token_url == f"{host}/connect/token"


def test_version_in_the_host_is_the_version(read):
    """An API root with another version than the vendor's is understood where the extra names none, or the same."""
    for more in ({}, extra(api_version="v6.0")):
        connection = read(host="https://ocr.example.com/v6.0/ocr", **more)
        assert connection.api_root.url == "https://ocr.example.com/v6.0/ocr"
    with pytest.raises(AsposeOcrInputError, match=r"host of connection .* ends in v6.0, .* api_version is v5.0"):
        read(host="https://ocr.example.com/v6.0/ocr", **extra(api_version="v5.0"))


@pytest.mark.parametrize("value", ["v5.0/ocr", "..", "v5 0", "v5.0?a", True, ["v5.0"], {"v": 5}])
def test_version_that_is_none(read, value):
    """A version that is no segment of a path is refused."""
    with pytest.raises(AsposeOcrInputError, match="api_version of connection 'aspose_ocr_default' must be"):
        read(**extra(api_version=value))


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
        "http://[2001:db8::1]:8090",
        "http://[::ffff:192.168.1.5]",
        "http://evil.localhost",
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
        "https://a..b",
        "https://.example.com",
        "https://ocr.example.com..",
        f"https://{'a' * 64}.example.com",
        f"https://{'a.' * 130}com",
        "https://b\u00fccher.example.com",
        "https://ocr example.com",
        "https://ocr.exam\nple.com",
        "https://ocr.example.com\\.elsewhere.example.com",
        "https://ocr.example.com/a b",
        "https://ocr.example.com/100%/b",
        "https://ocr,example.com",
        "https://ocr%2eexample.com",
        "https://ocr.example.com?",
        "https://ocr.example.com#",
        "https://ocr.example.com:0",
        "https://ocr.example.com:-1",
        "https://127.1",
        "https://2130706433",
        "https://0x7f000001",
        "https://256.0.0.1",
        "https://[fe80::1%25eth0]",
        "https://[::1]extra",
        "https://[v1.a]",
        "https://::1",
        "//ocr.example.com",
        "https:ocr.example.com://",
    ],
)
@pytest.mark.parametrize("port", [None, 443])
def test_no_address(read, host, port):
    """What is no address is refused, as host and as token URL."""
    with pytest.raises(AsposeOcrInputError, match=r"is not an address such as https://api.aspose.cloud"):
        read(host=host, port=port)
    with pytest.raises(AsposeOcrInputError, match="token_url of connection 'aspose_ocr_default' is not an address"):
        read(**extra(token_url=host))


@pytest.mark.parametrize("port", [70000, -1])
def test_port_that_is_none(read, port):
    """A port that is none is refused."""
    with pytest.raises(AsposeOcrInputError, match=r"host of connection .* its .*port"):
        read(host="ocr.example.com", port=port)


def test_a_secret_in_place_of_the_port_is_not_told(read):
    with pytest.raises(AsposeOcrInputError, match="port cannot be read") as caught:
        read(host=f"https://an-id:{SECRET}")
    assert SECRET not in "".join(traceback.format_exception(caught.value))


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
    """All extra fields are read, also as strings."""
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
    """`verify` is read as a truth value in every spelling."""
    assert read(**extra(verify=value)).verify is verify


def test_verify_as_a_path(read, tmp_path):
    """`verify` may be the path of a file or a folder."""
    bundle = tmp_path / "ca.pem"
    bundle.write_text("")
    assert read(**extra(verify=str(bundle))).verify == str(bundle)
    assert read(**extra(verify=str(tmp_path))).verify == str(tmp_path)


def test_verify_as_a_path_that_is_not_there(read, tmp_path):
    """A `verify` whose path is not there is refused."""
    with pytest.raises(AsposeOcrInputError, match=r"The verify of connection 'aspose_ocr_default'.*no-ca.pem"):
        read(**extra(verify=str(tmp_path / "no-ca.pem")))


@pytest.mark.parametrize(
    "value", [0, -1, "soon", "nan", "inf", [1], True, False, 1e12, pytest.param(10**400, id="huge")]
)
def test_timeout_that_is_none(read, value):
    """A time-out that is no number of seconds is refused."""
    with pytest.raises(AsposeOcrInputError, match="must be seconds over 0, at most a day"):
        read(**extra(timeout=value))


@pytest.mark.parametrize("value", [{"https": "http://proxy:1"}, '{"https": "http://proxy:1"}'])
def test_proxies(read, value):
    """Proxies are read as an object, and as JSON."""
    assert read(**extra(proxies=value)).proxies == (("https", "http://proxy:1"),)


@pytest.mark.parametrize("value", ["http://proxy:1", "[1]", '["http://proxy:1"]', '{"https": 1}', {"https": None}, 5])
def test_proxies_that_are_none(read, value):
    """Proxies that are no object of URLs are refused."""
    with pytest.raises(AsposeOcrInputError, match="proxies of connection 'aspose_ocr_default' must be a JSON object"):
        read(**extra(proxies=value))


def test_a_proxy_that_stands_where_its_scheme_should_is_not_quoted(read):
    """It may hold a password."""
    with pytest.raises(AsposeOcrInputError, match="neither a scheme") as raised:
        read(**extra(proxies={"http://me:secret-of-proxy@proxy": "https"}))
    assert "secret-of-proxy" not in str(raised.value)


def test_trial_that_is_neither_true_nor_false(read):
    """A `trial` that is neither true nor false is refused."""
    with pytest.raises(AsposeOcrInputError, match="trial of connection 'aspose_ocr_default' must be true or false"):
        read(**extra(trial="perhaps"))


def test_connection_as_a_uri(monkeypatch):
    """A connection is read from a URI."""
    monkeypatch.setenv(
        "AIRFLOW_CONN_ASPOSE_OCR_DEFAULT", f"aspose-ocr://an-id:{SECRET}@127.0.0.1:8090/http?timeout=7&trial=false"
    )
    connection = AsposeOcrHook().connection
    assert connection.host == "http://127.0.0.1:8090"
    assert (connection.client_id, connection.client_secret) == ("an-id", SECRET)
    assert (connection.timeout, connection.trial) == (7, False)


def test_connection_as_a_uri_with_the_whole_address_for_host(monkeypatch):
    """The host of a URI may be a whole address."""
    monkeypatch.setenv(
        "AIRFLOW_CONN_ASPOSE_OCR_DEFAULT", f"aspose-ocr://an-id:{SECRET}@https%3A%2F%2Focr.example.com%2Fgateway"
    )
    assert AsposeOcrHook().connection.host == "https://ocr.example.com/gateway"


def test_connection_whose_extra_is_a_json_string(read):
    """The extra may be a JSON string."""
    assert read(extra=json.dumps({"timeout": 7})).timeout == 7


@AIRFLOW_2_WARNS
@pytest.mark.parametrize("given", [["timeout", 7], "timeout", 5, "[]", '"timeout"', "5", '{"timeout": 7', "null!"])
async def test_an_extra_that_is_no_object_is_refused(read, given):
    """An extra that is no JSON object is refused by both hooks: Airflow itself would go on without it."""
    with pytest.raises(AsposeOcrInputError, match=r"extra of connection 'aspose_ocr_default' must be a JSON object"):
        read(extra=given)
    with pytest.raises(AsposeOcrInputError, match=r"extra of connection 'aspose_ocr_default' must be a JSON object"):
        await AsposeOcrAsyncHook().get_service_connection()


@AIRFLOW_2_WARNS
@pytest.mark.parametrize("given", [None, "", " ", "{}", "null", {}])
def test_an_extra_that_is_empty_is_none(read, given):
    """An extra that is empty is none."""
    assert read(extra=given) == read()
