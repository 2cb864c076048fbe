"""
Texts of the service, as they may stand in messages, logs, events and XComs.

Whatever the service says passes here once, where its answer becomes one of our values or errors: it may be megabytes
long, hold what no database takes, or repeat our own secret.
"""

from __future__ import annotations

import base64
import html
import itertools
import json
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from operator import itemgetter
from urllib.parse import quote, quote_plus

LONGEST_TEXT = 1000
"""Characters of one text."""
MOST_TEXTS = 20
"""Texts of one answer."""

_LEAST_SECRET = 8
"""Characters. What is shorter stands in many a text that tells nothing."""
_MOST_SECRETS = 32
_secrets: dict[str, int] = {}
"""And when each was learned last."""
_turns = itertools.count()

_WINDOW = 64 * 1024
_LONGEST_FORM = 16 * 1024


def keep_secret(secret: str) -> None:
    """
    Learn a secret of ours: no text of the service tells it from now on.

    :param secret: a client secret or an access token.
    """
    if len(secret) >= _LEAST_SECRET:
        # Never absent in between: other threads may look. A process that runs for weeks sees many a token.
        _secrets[secret] = next(_turns)
        while len(_secrets) > _MOST_SECRETS:
            _secrets.pop(min(list(_secrets.items()), key=itemgetter(1))[0], None)


def without_secrets(text: str) -> str:
    """
    Return a text with ``***`` for each secret of ours, also where that stands URL-, JSON-, HTML- or Base64-encoded.

    :param text: any.
    """
    for secret in list(_secrets):
        for form in _forms(secret):
            if form in text:
                text = text.replace(form, "***")
    return text


def service_text(text: str, length: int = LONGEST_TEXT) -> str:
    """
    Return a text of the service as it may stand anywhere: short, printable, and without a secret of ours.

    :param text: what the service said.
    :param length: how many characters at most.
    """
    clean = without_secrets(text[:_WINDOW])
    if len(text) > _WINDOW:
        # What was cut there may have been the start of a secret.
        clean = clean[:-_LONGEST_FORM]
    return printable(clean, length)


def service_texts(texts: Sequence[str], most: int = MOST_TEXTS) -> tuple[str, ...]:
    """
    Return texts of the service that say something, each as :func:`service_text` has it.

    :param texts: what the service said.
    :param most: how many at most, with the one that says how many more there were.
    """
    some = tuple(clean for text in texts[:most] if (clean := service_text(text)))
    if len(texts) <= most:
        return some
    return (*some[: most - 1], f"(and {len(texts) - most + 1} more, which are left out)")


def printable(text: str, length: int) -> str:
    """
    Return a text in one line, without what no log or database takes: NUL, lone surrogates, other controls.

    :param text: any.
    :param length: how many characters at most, but for the dots of what is left out.
    """
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= length else line[:length] + "..."


@lru_cache(maxsize=_MOST_SECRETS)
def _forms(secret: str) -> tuple[str, ...]:
    """How a secret may stand in a text, the longest first."""
    urls = {quote(secret, safe=""), quote_plus(secret)}
    forms = {
        secret,
        secret.lower(),
        secret.upper(),
        *urls,
        *(re.sub("%..", lambda escape: escape[0].lower(), url) for url in urls),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        json.dumps(secret)[1:-1].replace("/", "\\/"),
        # As .NET's System.Text.Json has it by default.
        re.sub("[^ -~]|[\"&'+<>\\\\`]", lambda special: f"\\u{ord(special[0]):04X}", secret),
        html.escape(secret),
        *_in_base64(secret.encode()),
    }
    return tuple(sorted((form for form in forms if len(form) >= _LEAST_SECRET), key=len, reverse=True))


def _in_base64(secret: bytes) -> Iterator[str]:
    """What of it stands in Base64 whatever comes before and after: such as a user name and a colon."""
    for before, start in ((0, 0), (1, 2), (2, 3)):
        end = (before + len(secret)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(bytes(before) + secret).decode()[start:end]
