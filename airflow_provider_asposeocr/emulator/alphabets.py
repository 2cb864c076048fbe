# ruff: noqa: RUF001 - the letters are meant
"""
The letters of languages: the engine knows those of all Latin scripts at once, and takes one for another.

Text that is said to be English has no ``İ``. A letter that the language does not have becomes the one it looks like;
digits, signs and whatever looks like no letter of the language stay as they are.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

_LOAN = "éèêëïôçñâàü"  # of words that English took as they were
_LETTERS: dict[str, str] = {
    "English": _LOAN,
    "HWT_ENG": "",
    "German": "äöüßÄÖÜẞé",
    "French": "àâæçéèêëîïôœùûüÿÀÂÆÇÉÈÊËÎÏÔŒÙÛÜŸ",
    "Italian": "àèéìíîòóùúÀÈÉÌÍÎÒÓÙÚ",
    "Spanish": "áéíóúüñÁÉÍÓÚÜÑ",
    "Portuguese": "ãáàâçéêíóôõúüÃÁÀÂÇÉÊÍÓÔÕÚÜ",
    "Polish": "ąćęłńóśźżĄĆĘŁŃÓŚŹŻ",
    "Slovene": "čšžćđČŠŽĆĐ",
    "Croatian": "čćđšžČĆĐŠŽ",
    "Bosnian": "čćđšžČĆĐŠŽ",
    "Serbo_Croatian": "čćđšžČĆĐŠŽ",
    "Slovak": "áäčďéíĺľňóôŕšťúýžÁÄČĎÉÍĹĽŇÓÔŔŠŤÚÝŽ",
    "Czech": "áčďéěíňóřšťúůýžÁČĎÉĚÍŇÓŘŠŤÚŮÝŽ",
    "Dutch": "áäéëèïíóöúüÁÄÉËÈÏÍÓÖÚÜ",
    "Netherlands": "áäéëèïíóöúüÁÄÉËÈÏÍÓÖÚÜ",
    "Lithuanian": "ąčęėįšųūžĄČĘĖĮŠŲŪŽ",
    "Latvian": "āčēģīķļņšūžĀČĒĢĪĶĻŅŠŪŽ",
    "Danish": "æøåéÆØÅÉ",
    "Norwegian": "æøåéòôÆØÅÉÒÔ",
    "Finnish": "åäöšžÅÄÖŠŽ",
    "Swedish": "åäöéÅÄÖÉ",
    "Estonian": "äõöüšžÄÕÖÜŠŽ",
    "Romanian": "ăâîșțşţĂÂÎȘȚŞŢ",
    "Turkish": "çğıöşüâîûÇĞİÖŞÜÂÎÛ",
    "Azerbaijani": "çəğıöşüÇƏĞİÖŞÜ",
    "Hungarian": "áéíóöőúüűÁÉÍÓÖŐÚÜŰ",
    "Albanian": "çëÇË",
    "Catalan": "àçèéíïòóúüÀÇÈÉÍÏÒÓÚÜ",
    "Galician": "áéíóúüñÁÉÍÓÚÜÑ",
    "Indonesian": "éÉ",
    "Malay": "éÉ",
    "Swahili": "",
    "Somali": "",
    "Zulu": "",
    "Xhosa": "",
    "Afrikaans": "áäéëèêïîíóôöúûüÁÄÉËÈÊÏÎÍÓÔÖÚÛÜ",
}
_LOOKS_LIKE = str.maketrans(
    {
        **dict(zip("ıłøđðþəŁØĐÐƏ", "ilodđpeLODDE", strict=True)),
        "đ": "d",
        "æ": "ae",
        "Æ": "AE",
        "œ": "oe",
        "Œ": "OE",
        **dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧοντυ", "ABEZHIKMNOPTYXovtu", strict=True)),
        **dict(zip("АВЕКМНОРСТХаеорсху", "ABEKMHOPCTXaeopcxy", strict=True)),
        "。": ".",
        "、": ",",
        "《": '"',
        "》": '"',
    }
)


def kept_to_alphabet(text: str, language: str) -> str:
    """
    Return a text with the letters of a language alone.

    :param text: as the engine read it.
    :param language: by the service's name. Of one whose letters are not listed here, the text stays as it is.
    """
    letters = _LETTERS.get(language)
    if letters is None or text.isascii():
        return text
    return "".join(character if character.isascii() else _of(character, letters) for character in text)


@lru_cache(maxsize=4096)
def _of(character: str, letters: str) -> str:
    if character in letters:
        return character
    plain = unicodedata.normalize("NFKC", character)
    base = unicodedata.normalize("NFKD", plain.translate(_LOOKS_LIKE))
    bare = "".join(mark for mark in base if not unicodedata.combining(mark))
    # Signs (a dash, a euro, a quote) have no letter to become.
    return bare if bare and bare.isascii() else character
