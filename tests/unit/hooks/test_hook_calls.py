"""Both hooks against the emulator: the calls, the token, the regions, the trial, the sentence of a bad connection."""

from __future__ import annotations

import socket
import ssl

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_asposeocr.api.results import TaskStatus, rectangles
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrAuthError,
    AsposeOcrError,
    AsposeOcrInputError,
    AsposeOcrRequestError,
    AsposeOcrTaskNotFoundError,
    AsposeOcrTimeoutError,
)
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrHook
from tests.unit.hooks.conftest import CLIENT_SECRET, JOB, TEXT, answer, sha256, task_answer, token_answer


def test_submit_wait_and_read(hook, emulator, png):
    job = hook.submit("RecognizeImage", png, {"language": "English"})
    task = hook.wait("RecognizeImage", job)
    assert (task.id, task.status, task.text) == (job, TaskStatus.COMPLETED, TEXT)
    assert hook.get_task("RecognizeImage", job).text == TEXT
    state = hook.get_status(job)
    assert (state.status, state.results) == (TaskStatus.COMPLETED, ())
    calls = emulator.calls()
    assert calls.token_calls == 1
    assert calls.accepted_by_image == {sha256(png): 1}
    assert hook.slept == []


def test_what_was_set_is_what_is_sent(sync_hook, emulator, png):
    job = sync_hook.submit("recognizeimage", png, {"resultType": "TextAndHocr", "make_skew_correct": False})
    task = sync_hook.wait("RecognizeImage", job)
    assert [result.type for result in task.results] == ["Text", "Hocr"]


def test_cancelled_job_is_unknown(hook, emulator, png):
    job = hook.submit("RecognizeImage", png)
    assert hook.cancel("RecognizeImage", job) is None
    with pytest.raises(AsposeOcrTaskNotFoundError, match=f"does not know RecognizeImage job {job}"):
        hook.wait("RecognizeImage", job)
    assert emulator.calls().count("DELETE", "RecognizeImage") == 1


def test_unknown_job(hook):
    assert hook.get_status(JOB).status is TaskStatus.NOT_EXIST
    with pytest.raises(AsposeOcrTaskNotFoundError, match="older than 24 hours") as caught:
        hook.wait("RecognizeImage", JOB)
    assert (caught.value.ocr_task_id, caught.value.endpoint) == (JOB, "RecognizeImage")


@pytest.mark.parametrize("job", ["", "../../x", "a b", "x" * 65, "a197aade-bba9&id=2", None])
def test_what_is_no_job_id_is_not_sent(hook, emulator, job):
    for call in (
        lambda: hook.get_task("RecognizeImage", job),
        lambda: hook.get_status(job),
        lambda: hook.cancel("RecognizeImage", job),
    ):
        with pytest.raises(AsposeOcrInputError, match="is not a job id"):
            call()
    assert (emulator.calls().total, emulator.calls().token_calls) == (0, 0)


def test_unknown_endpoint(hook, emulator, png):
    with pytest.raises(AsposeOcrInputError, match=r"Unknown endpoint 'RecogniseImage'. Allowed: RecognizeImage"):
        hook.submit("RecogniseImage", png)
    assert emulator.calls().total == 0


def test_job_that_does_not_end_in_time(hook, raw_server):
    server = raw_server(lambda _: task_answer("Processing"))
    with pytest.raises(AsposeOcrTimeoutError, match="did not end in time") as caught:
        hook.wait("RecognizeImage", JOB, timeout=0.05)
    assert caught.value.ocr_task_id == JOB
    # Never cancelled by itself.
    assert {received.method for received in server.requests} == {"GET"}


def test_wait_asks_for_nothing_more_once_the_job_ended(hook, flavour, emulator, png):
    job = hook.submit("RecognizeImage", png)
    while hook.get_status(job).status is not TaskStatus.COMPLETED:
        pass
    polls = emulator.calls().count("GET", "Utilities/GetTaskStatus")
    hook.wait("RecognizeImage", job)
    calls = emulator.calls()
    # Synchronously the last poll brings the result; a trigger asks for the state only.
    assert calls.count("GET", "RecognizeImage") == 1
    assert calls.count("GET", "Utilities/GetTaskStatus") - polls == (0 if flavour == "requests" else 1)


def test_detected_regions_are_recognized(hook, emulator, png):
    job = hook.submit("DetectRegions", png)
    found = rectangles(hook.wait("DetectRegions", job))
    assert found
    assert all(len(rectangle) == 4 for rectangle in found)
    job = hook.submit("RecognizeRegions", png, regions=found)
    task = hook.wait("RecognizeRegions", job)
    assert len(task.results) == len(found)
    assert TEXT in (task.text or "")


def test_regions_in_an_order_of_their_own(hook, raw_server, png):
    server = raw_server(lambda received: answer(200, JOB))
    hook.submit(
        "RecognizeRegions",
        png,
        regions=[{"rect": [0, 0, 5, 5], "order": 2}, {"rect": [5, 5, 9, 9], "order": 1}],
    )
    assert [b'"order": 2' in received.body() for received in server.requests] == [True]


class TestTrialConnection:
    @pytest.fixture
    def hook(self, emulator, define_connection, new_hook):
        define_connection(host=emulator.url, extra={"trial": True})
        return new_hook()

    def test_goes_to_the_trial_endpoint_without_a_token(self, hook, emulator, png):
        job = hook.submit("RecognizeImage", png)
        task = hook.wait("RecognizeImage", job)
        assert task.status is TaskStatus.COMPLETED
        assert hook.get_status(job).status is TaskStatus.COMPLETED
        hook.cancel("RecognizeImage", job)
        calls = emulator.calls()
        assert calls.token_calls == 0
        assert {name.split()[1] for name in calls.by_endpoint} == {"RecognizeImageTrial"}

    @pytest.mark.parametrize("endpoint", ["DetectRegions", "RecognizeRegions"])
    def test_others_have_none(self, hook, emulator, png, endpoint):
        with pytest.raises(AsposeOcrInputError, match=f"{endpoint} has no evaluation endpoint"):
            hook.submit(endpoint, png, regions=[[0, 0, 5, 5]] if endpoint == "RecognizeRegions" else None)
        assert emulator.calls().total == 0

    def test_connection_sentence(self, hook, emulator):
        assert hook.test_connection() == (True, f"The evaluation endpoint at {emulator.url} answers.")

    def test_connection_sentence_where_nothing_listens(self, define_connection, new_hook):
        define_connection(host=nobody_listens(), extra={"trial": True})
        hook = new_hook()
        works, sentence = hook.test_connection()
        assert not works
        assert "refused the connection" in sentence
        # A user waits for the sentence.
        assert hook.slept == []


def test_trial_endpoint_can_be_named_with_any_connection(hook, emulator, png):
    job = hook.submit("RecognizeImageTrial", png)
    assert hook.wait("RecognizeImageTrial", job).status is TaskStatus.COMPLETED
    assert hook.get_status(job, "RecognizeImageTrial").status is TaskStatus.COMPLETED
    assert emulator.calls().token_calls == 0


class TestToken:
    def test_is_kept_for_all_hooks_of_the_process(self, connection, new_hook, emulator):
        for _ in range(3):
            new_hook(connection).get_status(JOB)
        AsposeOcrHook(connection).get_status(JOB)
        assert emulator.calls().token_calls == 1

    def test_expired_on_the_way_is_refreshed_once(self, hook, emulator, png):
        job = hook.submit("RecognizeImage", png)
        emulator.add_faults([{"kind": "expire_token", "method": "GET"}])
        assert hook.wait("RecognizeImage", job).text == TEXT
        assert emulator.calls().token_calls == 2
        assert hook.slept == []

    def test_expired_at_the_submission_is_refreshed_and_nothing_doubled(self, hook, emulator, png):
        hook.get_status(JOB)
        emulator.add_faults([{"kind": "expire_token", "method": "POST"}])
        hook.submit("RecognizeImage", png)
        calls = emulator.calls()
        assert (calls.token_calls, calls.accepted, calls.count("POST", "RecognizeImage")) == (2, 1, 2)

    def test_refused_even_when_fresh(self, hook, emulator, png):
        emulator.add_faults([{"kind": "expire_token", "count": None}])
        for call in (lambda: hook.get_status(JOB), lambda: hook.submit("RecognizeImage", png)):
            with pytest.raises(AsposeOcrAuthError, match="HTTP 401") as caught:
                call()
            assert isinstance(caught.value, AirflowFailException)
        assert emulator.calls().accepted == 0
        assert hook.slept == []

    def test_short_lived_token_is_renewed_in_time(self, new_hook, raw_server):
        now_and_then = iter([token_answer("first", expires_in=0.1), token_answer("second")])

        def script(received):
            return next(now_and_then) if "token" in received.target else task_answer("Pending")

        server = raw_server(script, tokens=False)
        hook = new_hook()
        hook.get_status(JOB)
        while [received.headers.get("authorization") for received in server.requests][-1] != "Bearer second":
            hook.get_status(JOB)
        assert sum("token" in received.target for received in server.requests) == 2

    @pytest.mark.parametrize(
        ("reply", "says"),
        [
            (answer(200, "<html>"), "holds no access token"),
            (answer(200, {"access_token": ""}), "holds no access token"),
            (answer(200, {"token": "x"}), "holds no access token"),
            (answer(404, "no such page"), "HTTP 404"),
            (answer(302, "", location="https://login.example.com/?state=1"), "redirects to"),
        ],
    )
    def test_endpoint_that_gives_none(self, new_hook, raw_server, reply, says):
        raw_server(lambda _: reply, tokens=False)
        with pytest.raises(AsposeOcrError, match=says):
            new_hook(retry_limit=0).get_status(JOB)

    @pytest.mark.parametrize("status", [400, 401, 403])
    def test_endpoint_that_refuses(self, new_hook, raw_server, status):
        server = raw_server(lambda _: answer(status, {"error": "invalid_client"}), tokens=False)
        with pytest.raises(AsposeOcrAuthError, match="invalid_client"):
            new_hook().get_status(JOB)
        assert len(server.requests) == 1

    def test_request_is_the_documented_one(self, new_hook, raw_server):
        server = raw_server(
            lambda received: token_answer() if "token" in received.target else task_answer(), tokens=False
        )
        new_hook().get_status(JOB)
        token, status = server.requests
        assert (token.method, token.target) == ("POST", "/connect/token")
        assert token.headers["content-type"] == "application/x-www-form-urlencoded"
        assert "authorization" not in token.headers
        assert token.body() == (
            b"grant_type=client_credentials&client_id=test-client&client_secret=correct+horse+battery+staple"
        )
        assert (status.method, status.target) == ("GET", f"/v5.0/ocr/Utilities/GetTaskStatus?id={JOB}")
        assert status.headers["authorization"] == "Bearer a-token"


def nobody_listens() -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


class TestConnectionSentence:
    def test_good(self, hook, emulator):
        assert hook.test_connection() == (
            True,
            f"Aspose.OCR Cloud at {emulator.url} accepts the client id and secret.",
        )
        assert emulator.calls().total == 0  # nothing that is billed

    def test_does_not_trust_a_token_of_before(self, hook, emulator, define_connection):
        assert hook.test_connection()[0]
        assert hook.test_connection()[0]
        assert emulator.calls().token_calls == 2

    def test_wrong_secret(self, emulator, define_connection, new_hook):
        define_connection(host=emulator.url, login="test-client", password="not this one")
        works, sentence = new_hook().test_connection()
        assert not works
        assert "refused the client id or the client secret" in sentence
        assert "not this one" not in sentence
        with pytest.raises(AsposeOcrAuthError, match="check login and password"):
            new_hook().get_status(JOB)

    def test_wrong_path(self, emulator, define_connection, new_hook):
        define_connection(host=f"{emulator.url}/nowhere", login="test-client", password=CLIENT_SECRET)
        works, sentence = new_hook().test_connection()
        assert not works
        assert "The host answers, but not as Aspose.OCR Cloud: is the API root right?" in sentence
        assert "404" in sentence

    def test_nothing_listens(self, define_connection, new_hook):
        define_connection(host=nobody_listens(), login="test-client", password=CLIENT_SECRET)
        works, sentence = new_hook().test_connection()
        assert not works
        assert "refused the connection: is the service running there?" in sentence
        assert CLIENT_SECRET not in sentence

    def test_unknown_host(self, define_connection, new_hook):
        define_connection(host="https://nohost.invalid", login="test-client", password=CLIENT_SECRET)
        works, sentence = new_hook().test_connection()
        assert not works
        assert "The host of https://nohost.invalid is not known: is the network up" in sentence

    def test_no_answer_in_time(self, raw_server, new_hook):
        def script(received):
            received.body()
            received.peer.recv(1)  # until the client goes away

        raw_server(script, tokens=False, extra={"timeout": 0.1})
        works, sentence = new_hook().test_connection()
        assert not works
        assert "did not answer in time" in sentence

    def test_certificate_of_nobody(self, raw_server, new_hook, tls):
        raw_server(lambda _: None, tls.server)
        works, sentence = new_hook().test_connection()
        assert not works
        assert "The TLS certificate of https://127.0.0.1" in sentence
        assert "verify" in sentence

    def test_certificate_that_verify_names(self, raw_server, new_hook, tls):
        raw_server(lambda _: None, tls.server, extra={"verify": tls.path})
        assert new_hook().test_connection()[0]

    @pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
    def test_verify_off(self, raw_server, new_hook, tls):
        raw_server(lambda _: None, tls.server, extra={"verify": False})
        assert new_hook().test_connection()[0]

    def test_verify_names_a_file_that_holds_no_certificate(self, raw_server, new_hook, tls, tmp_path):
        bundle = tmp_path / "ca.pem"
        bundle.write_text("no certificate")
        raw_server(lambda _: None, tls.server, extra={"verify": str(bundle)})
        works, sentence = new_hook().test_connection()
        assert not works
        assert "verify" in sentence
        hook = new_hook(retry_limit=0)
        for _ in range(2):
            with pytest.raises(AsposeOcrError, match="verify"):
                hook.get_status(JOB)

    def test_missing_connection(self, new_hook):
        works, sentence = new_hook("no_such").test_connection()
        assert not works
        assert "'no_such' is not defined" in sentence


class _Tls:
    def __init__(self, folder):
        import datetime
        import ipaddress

        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
            .sign(key, hashes.SHA256())
        )
        (folder / "key.pem").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self.path = str(folder / "cert.pem")
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(self.path, folder / "key.pem")


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """A certificate that nobody knows."""
    pytest.importorskip("cryptography")
    return _Tls(tmp_path_factory.mktemp("tls"))


@pytest.mark.parametrize("status", [400, 403, 404, 405, 415])
def test_permanent_refusal_of_a_call(hook, emulator, png, status):
    for call in (
        lambda: hook.submit("RecognizeImage", png),
        lambda: hook.get_task("RecognizeImage", JOB),
        lambda: hook.cancel("RecognizeImage", JOB),
        lambda: hook.wait("RecognizeImage", JOB),
    ):
        emulator.clear_faults()
        fault = {"kind": "status", "status": status, "body": "not like this"}
        emulator.add_faults([{**fault, "path": "RecognizeImage"}, {**fault, "path": "Utilities/*"}])
        with pytest.raises(AsposeOcrRequestError, match=f"HTTP {status}: not like this") as caught:
            call()
        assert caught.value.status == status
        assert isinstance(caught.value, AirflowFailException)
    assert hook.slept == []
    assert emulator.calls().total == 4


def test_errors_name_what_they_are_about(hook, emulator, tmp_path, png):
    image = tmp_path / "scan.png"
    image.write_bytes(png)
    emulator.add_faults([{"kind": "status", "status": 403, "path": "RecognizeImage"}])
    with pytest.raises(AsposeOcrRequestError) as caught:
        hook.submit("RecognizeImage", str(image))
    assert (caught.value.image, caught.value.endpoint) == (str(image), "RecognizeImage")
    emulator.add_faults([{"kind": "status", "status": 403, "path": "RecognizeImage"}])
    with pytest.raises(AsposeOcrRequestError) as caught:
        hook.get_task("RecognizeImage", JOB)
    assert (caught.value.ocr_task_id, caught.value.endpoint) == (JOB, "RecognizeImage")
    assert JOB in str(caught.value)
