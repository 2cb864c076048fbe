"""The emulator behind https: who gets in, and what is refused."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
import requests

from airflow_provider_asposeocr.emulator import EmulatorServer
from airflow_provider_asposeocr.emulator.__main__ import main
from airflow_provider_asposeocr.emulator.server import CertificateError
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrHook
from tests.certificates import Authority
from tests.conftest import CLIENT_ID, CLIENT_SECRET
from tests.unit.either_hook import OneLineReader


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.found(tmp_path_factory.mktemp("tls"))


def test_a_client_that_trusts_its_authority_reads_over_https(tls, define_connection, scans):
    with EmulatorServer(reader=OneLineReader(), certificate=tls.certificate, key=tls.key) as emulator:
        assert emulator.url.startswith("https://127.0.0.1:")
        define_connection(host=emulator.url, login=CLIENT_ID, password=CLIENT_SECRET, extra={"verify": tls.authority})
        hook = AsposeOcrHook()
        job = hook.submit("RecognizeImage", scans / "letters" / "01-apples.jpg")
        assert hook.wait("RecognizeImage", job).text


def test_a_client_that_does_not_trust_its_authority_sends_nothing(tls):
    with EmulatorServer(certificate=tls.certificate, key=tls.key) as emulator:
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(f"{emulator.url}/emulator/calls", timeout=10)
        assert emulator.calls().total == 0


@pytest.mark.parametrize(
    ("fault", "broken"),
    [("reset_before", requests.ConnectionError), ("truncate", requests.exceptions.ChunkedEncodingError)],
)
def test_connection_faults_act_over_https(tls, fault, broken):
    with EmulatorServer(certificate=tls.certificate, key=tls.key) as emulator:
        emulator.add_faults([{"kind": fault, "path": "connect/token"}])
        form = {"grant_type": "client_credentials", "client_id": "any", "client_secret": "any"}
        with pytest.raises(broken):
            requests.post(f"{emulator.url}/connect/token", data=form, verify=tls.authority, timeout=10)
        answer = requests.post(f"{emulator.url}/connect/token", data=form, verify=tls.authority, timeout=10)
        assert answer.status_code == 200


def test_an_answer_in_clear_comes_after_acceptance_and_is_an_error_of_tls(tls, image):
    with EmulatorServer(reader=OneLineReader(), certificate=tls.certificate, key=tls.key) as emulator:
        url = f"{emulator.url}/v5.0/ocr/RecognizeImageTrial"
        emulator.add_faults([{"kind": "in_clear", "method": "POST"}])
        submission = {"image": base64.b64encode(image).decode()}
        with pytest.raises(requests.exceptions.SSLError):
            requests.post(url, json=submission, verify=tls.authority, timeout=10)
        assert emulator.calls().accepted == 1


def test_a_key_in_the_certificates_own_file_is_found(tls, tmp_path):
    both = tmp_path / "both.pem"
    both.write_text(Path(tls.certificate).read_text() + Path(tls.key).read_text())
    with EmulatorServer(certificate=str(both)) as emulator:
        answer = requests.get(f"{emulator.url}/emulator/calls", verify=tls.authority, timeout=10)
        assert answer.json()["total"] == 0


def test_a_certificate_that_cannot_be_used_is_refused_at_once(tls, tmp_path):
    with pytest.raises(CertificateError, match=r"No certificate with its private key \(PEM\) in .*authority\.pem"):
        EmulatorServer(certificate=tls.authority)
    with pytest.raises(CertificateError, match="name the certificate, too"):
        EmulatorServer(key=tls.key)
    with pytest.raises(CertificateError, match=r"missing\.pem"):
        EmulatorServer(certificate=str(tmp_path / "missing.pem"))


def test_the_command_says_which_certificate_it_cannot_use(tmp_path, capsys):
    assert main(["--port", "0", "--certificate", str(tmp_path / "missing.pem")]) == 2
    assert "missing.pem" in capsys.readouterr().err
