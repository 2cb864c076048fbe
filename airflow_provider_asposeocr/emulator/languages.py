"""
Which of the service's languages the emulator can read.

The emulator's engine knows the Latin alphabet with its diacritics (but not the stacked ones of Vietnamese, nor the dots
below of Yoruba) and Chinese. A language is in the table where the engine's alphabet holds its letters; of languages
with several scripts the Latin one is read. What the engine's alphabet holds besides (kana, Greek) nobody has tried, so
it is refused. Names in the service's own spelling.
"""

from __future__ import annotations

_LATIN = """
English German French Italian Spanish Portuguese Polish Slovene Slovak Netherlands Lithuanian Latvian Danish Norwegian
Finnish Croatian Czech Swedish Estonian Romanian Turkish Indonesian Javanese Albanian Latin Uzbek Azerbaijani Malay
Hausa Sundanese Swahili Tagalog Oromo Cebuano Dutch Kurdish Serbo_Croatian Malagasy Zhuang Turkmen Somali Hungarian
Chichewa Rwanda Zulu Ilocano Quechua Hiligaynon Hmong Shona Xhosa Betawi Catalan Afrikaans Minangkabau Sotho_Southern
Bikol Makua Kanuri Tswana Kikongo Luo Sukuma Tsonga Bosnian Bemba Nandi Palembang Umbundu Sotho_Northern Waray_Waray
Low_German Musi Kapampangan Bouyei Galician Ndebele Yao Sasak Swati Gusii Meru Wolaytta Dong Pangasinan Dimli Makassar
Tumbuka Serer_Sine Occitan Tonga Kiche Luguru
"""

# Written with Chinese characters.
_HAN = "Chinese Min_Bei Min_Dong Pu_Xian Wu Cantonese Min_Nan Xiang Hakka Gan"

READABLE_LANGUAGES: frozenset[str] = frozenset(f"{_LATIN} {_HAN}".split())
"""The languages a job of the emulator may ask for; any other ends as ``Error``."""
