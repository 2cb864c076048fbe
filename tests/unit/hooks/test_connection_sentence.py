"""The sentence that says whether a connection works, and what is wrong with one that does not."""

from __future__ import annotations

import pytest

from airflow_provider_asposeocr.exceptions import (
    AsposeOcrAuthError,
    AsposeOcrError,
)
from tests.unit.raw_server import (
    CLIENT_SECRET,
    JOB,
    nobody_listens,
)


class TestConnectionSentence:
    def test_good(self, hook, emulator):
        """A good connection is said to be good, and nothing is billed."""
        assert hook.test_connection() == (
            True,
            f"Aspose.OCR Cloud at {emulator.url} accepts the client id and secret.",
        )
        assert emulator.calls().total == 0  # nothing that is billed

    def test_does_not_trust_a_token_of_before(self, hook, emulator, define_connection):
        """Each test fetches a token of its own."""
        assert hook.test_connection()[0]
        assert hook.test_connection()[0]
        assert emulator.calls().token_calls == 2

    def test_wrong_secret(self, emulator, define_connection, new_hook):
        """A wrong secret is said to be refused, and not told."""
        define_connection(host=emulator.url, login="test-client", password="not this one")
        works, sentence = new_hook().test_connection()
        assert not works
        assert "refused the client id or the client secret" in sentence
        assert "not this one" not in sentence
        with pytest.raises(AsposeOcrAuthError, match="check login and password"):
            new_hook().get_status("RecognizeImage", JOB)

    def test_wrong_path(self, emulator, define_connection, new_hook):
        """A host that answers as something else is asked whether its path is right."""
        define_connection(host=f"{emulator.url}/nowhere", login="test-client", password=CLIENT_SECRET)
        works, sentence = new_hook().test_connection()
        assert not works
        assert "The host answers, but not as Aspose.OCR Cloud: is the API root right?" in sentence
        assert "404" in sentence

    def test_nothing_listens(self, define_connection, new_hook):
        """A host at which nothing listens is said to refuse the connection."""
        define_connection(host=nobody_listens(), login="test-client", password=CLIENT_SECRET)
        works, sentence = new_hook().test_connection()
        assert not works
        assert "refused the connection: is the service running there?" in sentence
        assert CLIENT_SECRET not in sentence

    def test_unknown_host(self, define_connection, new_hook):
        """An unknown host is said to be unknown."""
        define_connection(host="https://nohost.invalid", login="test-client", password=CLIENT_SECRET)
        works, sentence = new_hook().test_connection()
        assert not works
        assert "The host of https://nohost.invalid is not known: is the network up" in sentence

    def test_no_answer_in_time(self, raw_server, new_hook):
        """A host that does not answer in time is said to be late."""

        def script(received):
            received.body()
            received.peer.recv(1)  # until the client goes away

        raw_server(script, tokens=False, extra={"timeout": 0.1})
        works, sentence = new_hook().test_connection()
        assert not works
        assert "did not answer in time" in sentence

    def test_certificate_of_nobody(self, raw_server, new_hook, tls):
        """A certificate that nobody knows is named, and `verify` with it."""
        raw_server(lambda _: None, tls.server())
        works, sentence = new_hook().test_connection()
        assert not works
        assert "The TLS certificate of https://127.0.0.1" in sentence
        assert "verify" in sentence

    def test_certificate_that_verify_names(self, raw_server, new_hook, tls):
        """A certificate that `verify` names is trusted."""
        raw_server(lambda _: None, tls.server(), extra={"verify": tls.authority})
        assert new_hook().test_connection()[0]

    @pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
    def test_verify_off(self, raw_server, new_hook, tls):
        """Without `verify` any certificate is trusted."""
        raw_server(lambda _: None, tls.server(), extra={"verify": False})
        assert new_hook().test_connection()[0]

    def test_verify_names_a_file_that_holds_no_certificate(self, raw_server, new_hook, tls, tmp_path):
        """A `verify` that names a file without a certificate is an error each time."""
        bundle = tmp_path / "ca.pem"
        bundle.write_text("no certificate")
        raw_server(lambda _: None, tls.server(), extra={"verify": str(bundle)})
        works, sentence = new_hook().test_connection()
        assert not works
        assert "verify" in sentence
        hook = new_hook(retry_limit=0)
        for _ in range(2):
            with pytest.raises(AsposeOcrError, match="verify"):
                hook.get_status("RecognizeImage", JOB)

    def test_missing_connection(self, new_hook):
        """A connection that is not defined is said to be missing."""
        works, sentence = new_hook("no_such").test_connection()
        assert not works
        assert "'no_such' is not defined" in sentence

    @pytest.mark.filterwarnings("ignore:Encountered .*JSON")  # of Airflow 2.11
    @pytest.mark.parametrize(
        ("fields", "says"),
        [
            ({"host": "https://a..b"}, "has an empty label"),
            ({"host": f"https://{'a' * 64}.example.com"}, "a label of it is over 63"),
            ({"host": "https://[::1"}, "its host or its port cannot be read"),
            ({"host": "https://[::x]"}, "its host is not an IPv6 address"),
            ({"host": "https://127.1"}, "its host is not an IPv4 address"),
            ({"host": "https://b\u00fccher.example.com"}, "xn--"),
            ({"host": "https://ocr.example.com:99999"}, "its port is not a number from 1 to 65535"),
            ({"host": "ocr.example.com", "port": 99999}, "its port is not a number from 1 to 65535"),
            ({"host": "ftp://ocr.example.com"}, "its scheme is neither https nor http"),
            ({"host": "HTTP://OCR.EXAMPLE.COM."}, "plain http to ocr.example.com"),
            ({"host": f"https://id:{CLIENT_SECRET}@ocr.example.com"}, "holds a user name or password"),
            ({"host": "https://ocr.example.com/?a=b"}, "holds a query"),
            ({"extra": ["timeout"]}, "must be a JSON object"),
            ({"extra": {"timeout": True}}, "must be seconds over 0"),
            ({"extra": {"verify": "/no/such/bundle.pem"}}, "the path of a CA bundle on this machine"),
        ],
    )
    def test_field_that_cannot_work(self, define_connection, new_hook, fields, says):
        """A field that cannot work is named, and the secret is not told."""
        define_connection(login="test-client", password=CLIENT_SECRET, **fields)
        works, sentence = new_hook().test_connection()
        assert not works
        assert says in sentence
        assert CLIENT_SECRET not in sentence
