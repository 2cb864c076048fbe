"""The connection of both hooks: looked up once, refused where it lacks something, and silent about the secret."""

from __future__ import annotations

import pytest

from airflow_provider_asposeocr.api.calls import token_call
from airflow_provider_asposeocr.api.conversations import SecretLearned, conversation
from airflow_provider_asposeocr.api.exchanges import HttpRequest
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrAsyncHook, AsposeOcrHook
from tests.unit.api.exchanges import TokensFromTheDriver
from tests.unit.connections import SECRET, extra


async def test_async_hook_reads_the_same(read):
    sync = read(host="https://ocr.example.com", **extra(timeout=7, proxies={"https": "http://proxy:1"}))
    assert await AsposeOcrAsyncHook().get_service_connection() == sync


def test_missing_connection(new_hook):
    """A connection that is not defined is refused with the way to define it, before anything is sent."""
    with pytest.raises(AsposeOcrInputError, match=r"'no_such' is not defined.*--conn-type aspose_ocr") as caught:
        new_hook("no_such").get_status("RecognizeImage", "a197aade-bba9-4c7a-92c7-46851b3dceaa")
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
    """A connection without client id or secret is refused, before anything is sent."""
    define_connection(host=emulator.url, **fields)
    hook = new_hook()
    with pytest.raises(AsposeOcrInputError, match=lacks):
        hook.submit("RecognizeImage", png)
    with pytest.raises(AsposeOcrInputError, match=lacks) as caught:
        hook.get_status("RecognizeImage", "a197aade-bba9-4c7a-92c7-46851b3dceaa")
    assert "trial" in str(caught.value)
    assert (hook.test_connection()[0], emulator.calls().total, emulator.calls().token_calls) == (False, 0, 0)


async def test_the_secret_is_in_no_text(read, png):
    connection = read(**extra(proxies={"https": f"http://user:{SECRET}@proxy:1"}))
    hook = AsposeOcrHook()
    async_hook = AsposeOcrAsyncHook()
    await async_hook.get_service_connection()
    requests: list[HttpRequest] = []
    talk = conversation(token_call(connection.credentials), TokensFromTheDriver())
    requests.append(next(talk))
    status = connection.api_root.status(
        hook.prepare("RecognizeImage", png).endpoint, "a197aade-bba9-4c7a-92c7-46851b3dceaa"
    )
    talk = conversation(status, TokensFromTheDriver())
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
        SecretLearned(SECRET),
        *requests,
    ]
    for thing in things:
        assert SECRET not in repr(thing)
        assert SECRET not in str(thing)
    assert all(SECRET not in request.url for request in requests)


def test_one_lookup_per_hook(read, define_connection):
    """A hook looks its connection up once."""
    read()
    hook = AsposeOcrHook()
    first = hook.connection
    define_connection(login="another", password=SECRET)
    assert hook.connection is first
