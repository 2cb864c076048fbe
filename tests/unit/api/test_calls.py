"""What is sent, and what each answer means: for a submission, for a question, for a token."""

from __future__ import annotations

import codecs
import io
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import parse_qs

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_asposeocr.api.checks import checked_ocr_task_id, endpoint_named
from airflow_provider_asposeocr.api.exchanges import MAX_SHORT_ANSWER
from airflow_provider_asposeocr.api.polling import is_transient
from airflow_provider_asposeocr.api.refusals import excerpt, transport_failure
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrAmbiguousSubmissionError,
    AsposeOcrAuthError,
    AsposeOcrInputError,
    AsposeOcrProtocolError,
    AsposeOcrRateLimitError,
    AsposeOcrRequestError,
    AsposeOcrServiceError,
)
from tests.unit.api.exchanges import (
    API,
    CALLS,
    CREDENTIALS,
    GOOD_BODIES,
    IMAGE,
    JOB,
    REGIONS,
    TOKEN,
    TRIAL,
    Answer,
    Service,
    answered,
    as_json,
    submission_body,
)

QUESTIONS = ["task", "status", "cancel"]
every_call = pytest.mark.parametrize("name", CALLS)
every_authorized_call = pytest.mark.parametrize("name", [name for name in CALLS if name != "token"])
Auth, Request, Limit, Unwell, Ambiguous = (
    AsposeOcrAuthError,
    AsposeOcrRequestError,
    AsposeOcrRateLimitError,
    AsposeOcrServiceError,
    AsposeOcrAmbiguousSubmissionError,
)


class TestRequests:
    @pytest.mark.parametrize(
        ("name", "method", "path"),
        [
            ("submit", "POST", "v5.0/ocr/RecognizeImage"),
            ("task", "GET", f"v5.0/ocr/RecognizeImage?id={JOB}"),
            ("status", "GET", f"v5.0/ocr/Utilities/GetTaskStatus?id={JOB}"),
            ("cancel", "DELETE", f"v5.0/ocr/RecognizeImage?id={JOB}"),
            ("token", "POST", "connect/token"),
        ],
    )
    def test_method_and_url(self, name, method, path):
        """Each call has the documented method and URL, and only a POST has a body."""
        request = CALLS[name]().request
        assert (request.method, request.url) == (method, f"https://api.aspose.cloud/{path}")
        assert (request.body is None) == (method != "POST")
        assert request.is_submission == (name == "submit")

    @every_authorized_call
    def test_bearer_token(self, name):
        """Each authorized call carries the token it was given."""
        service = Service(Answer(200, GOOD_BODIES[name]))
        service.run(CALLS[name]())
        assert [request.headers["Authorization"] for request in service.requests] == [f"Bearer {TOKEN}"]
        assert service.rejected == [None]

    @pytest.mark.parametrize(
        ("call", "body"),
        [
            (lambda: API.submit(TRIAL, submission_body()), GOOD_BODIES["submit"]),
            (lambda: API.task(TRIAL, JOB, io.BytesIO), GOOD_BODIES["task"]),
            (lambda: API.status(TRIAL, JOB), GOOD_BODIES["status"]),
            (lambda: API.cancel(TRIAL, JOB), b""),
        ],
    )
    @pytest.mark.parametrize("status", [200, 401])
    def test_trial_sends_no_authorization(self, call, body, status):
        """It never asks for a token, not even after a 401, and polls its own path."""
        service = Service(Answer(status, body), tokens=())
        if status == 200:
            service.run(call())
        else:
            with pytest.raises(AsposeOcrAuthError) as refused:
                service.run(call())
            assert "login and password" not in str(refused.value)
        (request,) = service.requests
        assert request.url.partition("?")[0] == "https://api.aspose.cloud/v5.0/ocr/RecognizeImageTrial"
        assert "Authorization" not in request.headers
        assert service.rejected == []

    def test_token_request(self):
        """The token is asked for by a form with the client id and secret."""
        service = Service(Answer(200, GOOD_BODIES["token"]), tokens=())
        answer = service.run(CALLS["token"]())
        (request,) = service.requests
        assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
        assert "Authorization" not in request.headers
        assert parse_qs(request.body.decode(), strict_parsing=True) == {
            "grant_type": ["client_credentials"],
            "client_id": [CREDENTIALS.client_id],
            "client_secret": [CREDENTIALS.client_secret],
        }
        assert (answer.access_token.get_secret_value(), answer.expires_in) == (TOKEN, 3600)

    @every_call
    def test_secrets_stand_in_no_url_and_no_repr(self, name):
        service = Service(Answer(200, GOOD_BODIES[name]))
        value = service.run(CALLS[name]())
        shown = "".join(map(repr, [*service.requests, CALLS[name](), CREDENTIALS, value]))
        assert CREDENTIALS.client_secret not in shown
        assert TOKEN not in shown

    @pytest.mark.parametrize(
        "bad",
        ["", " ", "short", "../Utilities", f"{JOB}&x=1", f"{JOB}\n{JOB}", "a" * 65, "ünïcode-id", f"-{JOB}", None, 7],
    )
    @pytest.mark.parametrize("ask", [API.status, API.cancel, lambda row, job: API.task(row, job, io.BytesIO)])
    def test_ids_are_checked_before_they_enter_a_url(self, ask, bad):
        with pytest.raises(AsposeOcrInputError, match="not a job id"):
            ask(IMAGE, bad)

    @pytest.mark.parametrize("good", [JOB, JOB.upper(), f"  {JOB}\n", f"TTS{JOB}"])
    def test_ids_of_the_service(self, good):
        """Ids as the service gives them are taken, without blanks around them."""
        assert checked_ocr_task_id(good) == good.strip()
        assert API.status(REGIONS, good).request.url.endswith(f"?id={good.strip()}")

    @pytest.mark.parametrize("name", ["RecognizeRegions", "recognizeregions", REGIONS])
    def test_endpoints_by_name(self, name):
        """An endpoint is found by its name in any case, or is given itself."""
        assert endpoint_named(name) is REGIONS


class TestGoodAnswers:
    @pytest.mark.parametrize("said", [JOB, f'"{JOB}"', f"\r\n {JOB} \n", f' "{JOB}"\n'])
    @pytest.mark.parametrize("status", [200, 201, 202])
    def test_id_of_a_submission(self, said, status):
        """The id of a submission is read bare or quoted, with any 2xx status."""
        assert answered(CALLS["submit"](), status, said.encode()) == JOB

    @pytest.mark.parametrize("status", [200, 204])
    def test_cancel(self, status):
        """A cancelled job is answered by nothing."""
        assert answered(CALLS["cancel"](), status) is None

    def test_token_defaults(self):
        """A token without a lifetime is good for an hour."""
        assert answered(CALLS["token"](), 200, as_json({"access_token": TOKEN})).expires_in == 3600


class TestRefusals:
    """Status by status: the class of the error, whether Airflow retries it, and what it says of the bill."""

    @pytest.mark.parametrize(
        ("status", "of_submission", "of_question", "of_token"),
        [
            (101, Ambiguous, Request, Request),
            (300, Request, Request, Request),
            (302, Request, Request, Request),
            (304, Request, Request, Request),
            (308, Request, Request, Request),
            (400, Request, Request, Auth),
            (401, Auth, Auth, Auth),
            (403, Request, Request, Auth),
            (404, Request, Request, Request),
            (408, Ambiguous, Unwell, Unwell),
            (413, Request, Request, Request),
            (429, Limit, Limit, Limit),
            (500, Ambiguous, Unwell, Unwell),
            (502, Ambiguous, Unwell, Unwell),
            (503, Unwell, Unwell, Unwell),
            (504, Ambiguous, Unwell, Unwell),
        ],
    )
    def test_meaning_of_a_status(self, status, of_submission, of_question, of_token):
        """A status means the same error every time, by what was asked."""
        meanings = {"submit": of_submission, **dict.fromkeys(QUESTIONS, of_question), "token": of_token}
        for name, meaning in meanings.items():
            with pytest.raises(meaning, match=f"HTTP {status}") as refused:
                answered(CALLS[name](), status, b"so it is")
            error = refused.value
            assert type(error) is meaning
            assert isinstance(error, AirflowFailException) == (meaning in (Auth, Request, Ambiguous))
            assert is_transient(error) == (meaning in (Limit, Unwell))
            # The body of a redirect is not even read.
            assert ("so it is" in str(error)) == (not 300 <= status < 400)
            assert getattr(error, "status", status) == status

    @pytest.mark.parametrize(
        ("status", "certain"), [(429, True), (503, True), (500, False), (502, False), (408, False)]
    )
    def test_certainly_not_accepted(self, status, certain):
        """Only 429 and 503 say that nothing was accepted."""
        with pytest.raises(AsposeOcrServiceError) as refused:
            answered(CALLS["task"](), status)
        assert refused.value.certainly_not_accepted is certain

    def test_ambiguity_says_what_may_be_billed_and_how_to_go_on(self):
        with pytest.raises(Ambiguous, match=r"may have accepted and billed.*resubmit_on_ambiguity"):
            answered(CALLS["submit"](), 500)

    def test_redirects_are_named_and_not_followed(self):
        with pytest.raises(Request, match=r"redirects to 'https://elsewhere.example/'.*connection's host"):
            answered(CALLS["submit"](), 301, headers={"location": "https://elsewhere.example/"})

    @pytest.mark.parametrize("status", [429, 503, 502])
    @pytest.mark.parametrize(
        ("header", "seconds"),
        [
            ("7", 7),
            (" 2.5 ", 2.5),
            ("7\x1f", 7),
            ("0", 0),
            ("999999999", 86400),
            ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
            ("Wed, 21 Oct 2015 07:28:00 -0000", 0),
            ("Fri, 31 Dec 9998 23:59:59 GMT", 86400),
            ("soon", None),
            ("", None),
            ("-5", None),
            ("٣", None),
            ("1" * 5000, None),
            ("Wed, 21 Oct 99999999999 07:28:00 GMT", None),
            ("Wed, 21 Oct 2015 07:28:00 +99999999999999999999", None),
        ],
    )
    def test_retry_after(self, status, header, seconds):
        """`Retry-After` is read in seconds or as a date, a day at most, and not read where it is neither."""
        with pytest.raises(AsposeOcrServiceError) as refused:
            answered(CALLS["task"](), status, headers={"retry-after": header})
        assert refused.value.retry_after == seconds

    def test_retry_after_as_a_date(self):
        """`Retry-After` as a date is the time until then."""
        at = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
        with pytest.raises(AsposeOcrRateLimitError) as refused:
            answered(CALLS["task"](), 429, headers={"retry-after": at})
        assert 3000 < refused.value.retry_after <= 3600

    @given(st.text(max_size=40) | st.from_regex(r"\w{3}, \d{1,12} \w{3} \d{1,12} \d+:\d+:\d+ [+-]\d+", fullmatch=True))
    def test_retry_after_of_any_kind(self, header):
        """No `Retry-After` breaks anything, or asks for more than a day."""
        with pytest.raises(AsposeOcrRateLimitError) as refused:
            answered(CALLS["task"](), 429, headers={"retry-after": header})
        assert refused.value.retry_after is None or 0 <= refused.value.retry_after <= 86400


@pytest.mark.parametrize("name", GOOD_BODIES)
def test_a_byte_order_mark_before_an_answer_is_left_away(name):
    """Of a job's id above all: what is not understood there is lost."""
    assert repr(answered(CALLS[name](), 200, codecs.BOM_UTF8 + GOOD_BODIES[name])) == repr(
        answered(CALLS[name](), 200, GOOD_BODIES[name])
    )


@pytest.mark.parametrize("said", ["\ufeff{}", " \ufeff {} ", '\ufeff"{}"', '"\ufeff{}"'])
def test_a_byte_order_mark_anywhere_around_an_id_is_left_away(said):
    assert answered(CALLS["submit"](), 200, said.format(JOB).encode()) == JOB


class TestTooLongAnswers:
    LONG = b"word " * (MAX_SHORT_ANSWER // 5 + 1)

    def test_to_a_submission_leaves_it_ambiguous(self):
        """It was answered with a 2xx: the document may be accepted, and must not be sent again."""
        with pytest.raises(AsposeOcrAmbiguousSubmissionError):
            answered(CALLS["submit"](), 200, self.LONG)

    @pytest.mark.parametrize("name", ["cancel", "token"])
    def test_to_a_question(self, name):
        """Too long an answer to a question is a protocol error."""
        with pytest.raises(AsposeOcrProtocolError, match=f"over {MAX_SHORT_ANSWER} bytes"):
            answered(CALLS[name](), 200, self.LONG)

    @every_call
    @pytest.mark.parametrize("status", [400, 429, 500])
    def test_an_error_means_the_same_however_long_it_is(self, name, status):
        with pytest.raises((Request, Auth, Limit, Unwell, Ambiguous), match=f"HTTP {status}") as refused:
            answered(CALLS[name](), status, self.LONG)
        assert len(str(refused.value)) < 1000

    @every_authorized_call
    def test_a_long_401_is_a_401(self, name):
        service = Service(Answer(401, self.LONG), Answer(200, GOOD_BODIES[name]))
        service.run(CALLS[name]())
        assert service.rejected == [None, TOKEN]


class TestBrokenExchanges:
    @pytest.mark.parametrize(
        ("sent", "meaning"),
        [("all", Ambiguous), ("some", Unwell), ("none", Unwell)],
    )
    def test_of_a_submission(self, sent, meaning):
        """A submission is ambiguous only where its whole body went out."""
        body = submission_body(b"a scan")
        iteration = iter(body)
        if sent == "all":
            list(iteration)
        elif sent == "some":
            next(iteration)
        error = transport_failure(API.submit(IMAGE, body).request, "It broke")
        assert type(error) is meaning
        if meaning is Unwell:
            assert error.certainly_not_accepted
            assert "not accepted and not billed" in str(error)

    @pytest.mark.parametrize("name", [*QUESTIONS, "token"])
    def test_of_a_question_is_transient(self, name):
        """A question that broke is transient."""
        error = transport_failure(CALLS[name]().request, "It broke")
        assert is_transient(error)
        assert str(error) == "It broke."


class TestExcerpt:
    @pytest.mark.parametrize(
        ("body", "shown"),
        [
            (b"", ""),
            (b"Bad\r\n\t request\x00 \x1b[31m", "Bad request [31m"),
            (b"<html><body><h1>502</h1>\nBad gateway</body></html>", "502 Bad gateway"),
            ("größe \ud7ff".encode(), "größe"),
            (b"\xff\xfe broken", "\ufffd\ufffd broken"),
            (b'{"type": "Text", "data": "QQ==", "n": 1}', '{"type": "Text", "data": "...", "n": 1}'),
            (b'{"data" : "QWxs\\/IG1l bGl2ZQ=="}', '{"data" : "..."}'),
            (b'{"data":"QWxsIG1lbiBsaXZl', '{"data":"...'),
            (f"token {TOKEN} is bad".encode(), "token ... is bad"),
            (b"Authorization: Bearer short.one.here", "Authorization: Bearer ..."),
            (b'{"access_token": "short", "expires_in": 1}', '{"access_token": "...", "expires_in": 1}'),
            (b"client_id=me&client_secret=0123456789abcdef&x=1", "client_id=me&client_secret=...&x=1"),
        ],
    )
    def test_redaction(self, body, shown):
        """An excerpt shows neither markup, nor data, nor secrets."""
        assert excerpt(body) == shown

    def test_length(self):
        """An excerpt is cut at its length."""
        assert excerpt(b"ab " * 1000, 10) == "ab ab ab a..."

    @given(
        st.text(" \n<>ab", max_size=40), st.sampled_from([" ", "\n", "<b>"]), st.integers(0, 3000), st.integers(5, 400)
    )
    def test_no_piece_of_a_token_or_of_data_at_any_place(self, before, blank, many, length):
        """No piece of a token or of data is shown, wherever the excerpt is cut."""
        for secret in (TOKEN, TOKEN * 20, json.dumps({"data": "QWxsIG1lbg==" * 3}), json.dumps({"data": "QWxs" * 900})):
            shown = excerpt(f"{before}{blank * many} {secret} after".encode(), length)
            assert "eyJh" not in shown
            assert "QWxs" not in shown
