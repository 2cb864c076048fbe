"""What a submission tells its journal, whatever cuts in."""

from __future__ import annotations

import itertools

import pytest
from airflow.providers.common.compat.sdk import AirflowTaskTimeout
from requests.adapters import HTTPAdapter

from airflow_provider_asposeocr.exceptions import (
    AsposeOcrAmbiguousSubmissionError,
    AsposeOcrAuthError,
    AsposeOcrError,
    AsposeOcrRequestError,
    AsposeOcrServiceError,
)
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrHook
from tests.unit.hooks.faults import ENDPOINT, named


class Journal:
    """Notes what it is told."""

    def __init__(self):
        self.told = []

    def about_to_send(self):
        self.told.append("sends")

    def certainly_not_accepted(self):
        self.told.append("refused")


class TestJournal:
    """A POST is noted right before it goes out, and taken back where it certainly was not accepted."""

    @pytest.fixture
    def told(self, connection, png):
        """What a submission told the journal, and how it ended."""

        def submit(**kwargs):
            hook = AsposeOcrHook(connection, sleep=lambda seconds: None)
            journal = Journal()
            try:
                hook.send(hook.prepare(ENDPOINT, png), journal=journal, **kwargs)
            except (AsposeOcrError, AirflowTaskTimeout, KeyboardInterrupt) as error:
                return [*journal.told, type(error)]
            return journal.told

        return submit

    @pytest.fixture
    def adapted(self, connection):
        """Lets something see each submission before it goes out over the connection's session."""
        session = AsposeOcrHook(connection).get_conn()
        usual = session.get_adapter("http://")

        class SeesSubmissions(HTTPAdapter):
            def send(self, request, *args, **kwargs):
                if request.method == "POST" and ENDPOINT in request.url:
                    self.see(request)
                return super().send(request, *args, **kwargs)

        def adapt(see):
            adapter = SeesSubmissions()
            adapter.see = see
            session.mount("http://", adapter)

        yield adapt
        session.mount("http://", usual)

    def test_accepted(self, told):
        """A submission that is accepted at once is noted once."""
        assert told() == ["sends"]

    @pytest.mark.parametrize(
        "fault",
        [{"kind": "status", "status": 503}, {"kind": "status", "status": 429}, {"kind": "expire_token"}],
        ids=named,
    )
    def test_refused_and_accepted(self, told, emulator, fault):
        """A submission that is refused and repeated is noted, taken back, and noted again."""
        emulator.add_faults([{**fault, "method": "POST", "path": ENDPOINT}])
        assert told() == ["sends", "refused", "sends"]

    @pytest.mark.parametrize("status", [400, 404, 302])
    def test_refused(self, told, emulator, status):
        """A submission that is refused for good is taken back."""
        emulator.add_faults([{"kind": "status", "status": status, "method": "POST", "path": ENDPOINT}])
        assert told() == ["sends", "refused", AsposeOcrRequestError]

    @pytest.mark.parametrize("fault", [{"kind": "reset_after"}, {"kind": "status", "status": 500}], ids=named)
    def test_maybe_accepted(self, told, emulator, fault):
        """A submission that may have been accepted is not taken back."""
        emulator.add_faults([{**fault, "method": "POST", "path": ENDPOINT}])
        assert told() == ["sends", AsposeOcrAmbiguousSubmissionError]
        emulator.add_faults([{**fault, "method": "POST", "path": ENDPOINT}])
        assert told(resubmit_on_ambiguity=True) == ["sends", "sends"]

    def test_no_token(self, told, emulator):
        """Where no token comes, nothing is noted."""
        emulator.add_faults([{"kind": "status", "status": 401, "path": "connect/token"}])
        assert told() == [AsposeOcrAuthError]

    def test_no_connection(self, define_connection, png):
        """Where no connection comes about, every submission is taken back."""
        define_connection(host="http://127.0.0.1:9", login="a", password="b", extra='{"trial": true}')
        hook = AsposeOcrHook(sleep=lambda seconds: None, retry_limit=1)
        journal = Journal()
        with pytest.raises(AsposeOcrServiceError):
            hook.send(hook.prepare("RecognizeImageTrial", png), journal=journal)
        assert journal.told == ["sends", "refused"] * 2

    @pytest.mark.parametrize("interruption", [AirflowTaskTimeout, KeyboardInterrupt])
    @pytest.mark.parametrize(
        ("parts", "end"),
        [
            pytest.param(None, ["sends"], id="the whole body is out"),
            pytest.param(2, ["sends", "refused"], id="the prefix and the one chunk of the document are out"),
            pytest.param(3, ["sends"], id="the end is out"),
        ],
    )
    def test_interrupted(self, told, adapted, interruption, parts, end):
        """Airflow's `execution_timeout` cuts in anywhere."""

        def interrupted(request):
            for _ in itertools.islice(request.body, parts):
                pass
            raise interruption

        adapted(interrupted)
        assert told() == [*end, interruption]

    def test_interrupted_before_it_connects_after_one_that_was_refused(self, told, adapted, emulator):
        """One that is interrupted before it connects is taken back, also after one that was refused."""
        emulator.add_faults([{"kind": "status", "status": 503, "method": "POST", "path": ENDPOINT}])
        posts = 0

        def interrupted_at_the_second(request):
            nonlocal posts
            posts += 1
            if posts == 2:
                raise KeyboardInterrupt

        adapted(interrupted_at_the_second)
        assert told() == ["sends", "refused", "sends", "refused", KeyboardInterrupt]
