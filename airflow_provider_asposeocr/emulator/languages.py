"""
Which of the service's languages the emulator can read, and with what.

The engine knows the Latin alphabet with its diacritics (but not the stacked ones of Vietnamese, nor the dots below of
Yoruba), Chinese and Japanese. Of languages with several scripts the Latin one is read. The others are read by Tesseract
where Debian's package of the language is installed. Names in the service's own spelling.
"""

from __future__ import annotations

from types import MappingProxyType

_LATIN = """
English HWT_ENG German French Italian Spanish Portuguese Polish Slovene Slovak Netherlands Lithuanian Latvian Danish
Norwegian Finnish Croatian Czech Swedish Estonian Romanian Turkish Indonesian Javanese Albanian Latin Uzbek Azerbaijani
Malay Hausa Sundanese Swahili Tagalog Oromo Cebuano Dutch Kurdish Serbo_Croatian Malagasy Zhuang Turkmen Somali
Hungarian Chichewa Rwanda Zulu Ilocano Quechua Hiligaynon Hmong Shona Xhosa Betawi Catalan Afrikaans Minangkabau
Sotho_Southern Bikol Makua Kanuri Tswana Kikongo Luo Sukuma Tsonga Bosnian Bemba Nandi Palembang Umbundu Sotho_Northern
Waray_Waray Low_German Musi Kapampangan Bouyei Galician Ndebele Yao Sasak Swati Gusii Meru Wolaytta Dong Pangasinan
Dimli Makassar Tumbuka Serer_Sine Occitan Tonga Kiche Luguru
"""

# Written with Chinese characters; Japanese also with kana, which the engine knows.
_HAN = "Chinese Min_Bei Min_Dong Pu_Xian Wu Cantonese Min_Nan Xiang Hakka Gan Japanese"

READABLE_LANGUAGES: frozenset[str] = frozenset(f"{_LATIN} {_HAN}".split())
"""The languages that the engine reads."""

_TESSERACT = """
Russian=rus Ukrainan=ukr Belorussian=bel Bulgarian=bul Serbian=srp Macedonian=mkd Kazah=kaz Greek=ell Hebrew=heb
Hindi=hin Marathi=mar Nepali=nep Devanagari=hin Arabic=ara Persian=fas Urdu=urd Uyghur=uig Thai=tha Korean=kor
Georgian=kat Bengali=ben Tamil=tam Telugu=tel Kannada=kan Vietnamese=vie Tibetan=bod Yoruba=yor
"""
TESSERACT_LANGUAGES = MappingProxyType(dict(pair.split("=") for pair in _TESSERACT.split()))
"""The languages that Tesseract reads, with the names of its data: that of Debian's package ``tesseract-ocr-...``."""
