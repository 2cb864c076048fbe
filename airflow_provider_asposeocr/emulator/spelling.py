"""``makeSpellCheck``: words of the language's dictionary in place of what nearly is one."""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Callable
from typing import Any

from airflow_provider_asposeocr.emulator.tools import tool

DICTIONARIES = {
    "English": "en",
    "HWT_ENG": "en",
    "German": "de",
    "French": "fr",
    "Italian": "it",
    "Spanish": "es",
    "Portuguese": "pt",
    "Dutch": "nl",
    "Netherlands": "nl",
    "Russian": "ru",
    "Latvian": "lv",
    "Arabic": "ar",
    "Persian": "fa",
}
_WORD = re.compile(r"(\W*)(\w+)(\W*)")
_SHORTEST = 4
_lock = threading.Lock()


def corrector(language: str) -> Callable[[str], str] | None:
    """
    Return what corrects a word, or ``None`` for a language without a dictionary.

    Words in lower case alone are corrected: a capital may begin a name, which no dictionary has.

    :param language: by the service's name.
    """
    code = DICTIONARIES.get(language)
    if code is None:
        return None
    with _lock:
        dictionary = _dictionary(code)

    def corrected(word: str) -> str:
        found = _WORD.fullmatch(word)
        if found is None or len(found[2]) < _SHORTEST or not (found[2].isalpha() and found[2].islower()):
            return word
        return f"{found[1]}{_corrected(dictionary, found[2])}{found[3]}"

    return corrected


@functools.cache
def _dictionary(code: str) -> Any:
    return tool("spellchecker", "pyspellchecker", "makeSpellCheck").SpellChecker(language=code, distance=1)


@functools.lru_cache(maxsize=4096)
def _corrected(dictionary: Any, word: str) -> str:
    return word if word in dictionary else dictionary.correction(word) or word
