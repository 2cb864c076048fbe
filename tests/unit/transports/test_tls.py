"""Whom a call trusts: the same on both transports, whatever names the certificates."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_asposeocr.api.answers import TaskStatus
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError, AsposeOcrServiceError
from tests.unit.raw_server import JOB, answer, task_answer

VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """An environment that names no certificates."""
    for name in (*VARIABLES, "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server(raw_server, tls):
    """Starts a server with a certificate that nobody knows, with this extra in the connection."""

    def start(**extra):
        return raw_server(
            lambda received: answer(200, JOB) if received.method == "POST" else task_answer("Pending"),
            tls.server(),
            extra=extra,
        )

    return start


def works(hook, png):
    assert hook.submit("RecognizeImage", png) == JOB
    assert hook.get_status("RecognizeImage", JOB).status is TaskStatus.PENDING


def fails(hook, png, error, match):
    for call in (lambda: hook.get_status("RecognizeImage", JOB), lambda: hook.submit("RecognizeImage", png)):
        with pytest.raises(error, match=match):
            call()


@pytest.mark.parametrize("verify", [None, True, "true"])
@pytest.mark.parametrize("name", VARIABLES)
def test_bundle_of_the_environment_is_trusted_where_verify_names_none(
    new_hook, server, tls, monkeypatch, png, name, verify
):
    monkeypatch.setenv(name, tls.authority)
    server(verify=verify)
    works(new_hook(), png)


@pytest.mark.parametrize("name", [*VARIABLES, "SSL_CERT_FILE"])
def test_bundle_that_verify_names_goes_before_that_of_the_environment(
    new_hook, server, tls, monkeypatch, png, tmp_path, name
):
    monkeypatch.setenv(name, str(tmp_path / "none.pem"))
    server(verify=tls.authority)
    works(new_hook(), png)


def test_only_whom_the_bundle_names_is_trusted(new_hook, server, tls, monkeypatch, png):
    """A variable of OpenSSL's own adds nobody, on neither transport."""
    monkeypatch.setenv("SSL_CERT_FILE", tls.authority)
    server()
    fails(new_hook(retry_limit=0), png, AsposeOcrServiceError, r"TLS certificate of .* was not accepted")


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("name", VARIABLES)
def test_without_verify_no_bundle_is_looked_for(new_hook, server, monkeypatch, png, tmp_path, name):
    monkeypatch.setenv(name, str(tmp_path / "none.pem"))
    server(verify=False)
    works(new_hook(), png)


@pytest.fixture(params=["text", "empty", "key", "gone", "unreadable name"])
def no_bundle(request, tmp_path, tls):
    """The path of what is no bundle."""
    path = tmp_path / "ca.pem"
    if request.param == "text":
        path.write_text("no certificate")
    elif request.param == "empty":
        path.write_text("")
    elif request.param == "key":
        path.write_bytes(Path(tls.key).read_bytes())
    elif request.param == "unreadable name":
        return str(tmp_path / ("x" * 300))
    return str(path)


def test_verify_that_names_no_bundle_is_an_input_error(new_hook, server, png, no_bundle):
    raw = server(verify=no_bundle)
    fails(new_hook(), png, AsposeOcrInputError, "verify of connection 'aspose_ocr_default'")
    good, sentence = new_hook().test_connection()
    assert not good
    assert "verify" in sentence
    assert raw.connections == 0


@pytest.mark.parametrize("name", VARIABLES)
def test_variable_that_names_no_bundle_is_an_input_error(new_hook, server, monkeypatch, png, no_bundle, name):
    monkeypatch.setenv(name, no_bundle)
    raw = server()
    fails(new_hook(), png, AsposeOcrInputError, name)
    assert raw.connections == 0


def test_bundle_that_goes_while_the_hook_lives_is_an_input_error(new_hook, flavour, server, png, tmp_path, tls):
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(Path(tls.authority).read_bytes())
    raw = server(verify=str(bundle))
    hook = new_hook()
    assert hook.get_service_connection() if flavour == "aiohttp" else hook.hook.connection
    bundle.unlink()
    fails(hook, png, AsposeOcrInputError, "verify of connection 'aspose_ocr_default'")
    assert raw.connections == 0
