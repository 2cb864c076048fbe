"""The languages that the service reads, by the names it takes."""

from __future__ import annotations

import difflib
import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

LANGUAGES: tuple[str, ...] = tuple(
    """
English German French Italian Spanish Portuguese Polish Slovene Slovak Netherlands Lithuanian Latvian Danish
Norwegian Finnish Serbian Croatian Czech Swedish Estonian Romanian Chinese Russian Arabic Hindi Ukrainan Bengali
Tibetan Thai Urdu Turkish Korean Indonesian Hebrew Javanese Greek Japanese Persian Albanian Latin Vietnamese
Uzbek Georgian Bulgarian Azerbaijani Kazah Macedonian Belorussian Malay Hausa Sundanese Swahili Tagalog Yoruba
Oromo Cebuano Dutch Kurdish Serbo_Croatian Malagasy Zhuang Turkmen Somali Hungarian Chichewa Rwanda Min_Bei Zulu
Ilocano Min_Dong Quechua Hiligaynon Hmong Shona Xhosa Betawi Catalan Afrikaans Minangkabau Sotho_Southern Bikol
Makua Kanuri Tswana Kikongo Luo Sukuma Tsonga Bosnian Bemba Nandi Palembang Umbundu Sotho_Northern Waray_Waray
Lamani Low_German Gilaki Musi HWT_ENG Pu_Xian Kapampangan Bouyei Galician Ndebele Yao Sasak Swati Gusii Meru
Wolaytta Dong Pangasinan Dimli Makassar Tumbuka Serer_Sine Occitan Tonga Muong Kiche Luguru Wu Cantonese Min_Nan
Xiang Hakka Gan Chechen Kabardian Marathi Bhojpuri Maithili Awadhi Nepali Marwari Magahi Haryanvi Chattisgarhi
Dhundari Konkani Kanauji Mewati Rajbanshi Garhwali Kumauni Wagdi Malvi Mewari Uyghur Telugu Kannada Tamil
Devanagari
    """.split()  # noqa: SIM905
)
"""
The 154 names the service is known to take, odd spellings included. Source: ``Language`` of the vendor's client 24.11.0.
A name this list lacks may still be new on the server: it is sent, with a warning.
"""

_CODES: dict[str, str] = dict(
    pair.split("=")
    for pair in """
en=English eng=English de=German deu=German ger=German fr=French fra=French fre=French it=Italian ita=Italian
es=Spanish spa=Spanish pt=Portuguese por=Portuguese pl=Polish pol=Polish sl=Slovene slv=Slovene sk=Slovak slk=Slovak
slo=Slovak lt=Lithuanian lit=Lithuanian lv=Latvian lav=Latvian da=Danish dan=Danish no=Norwegian nb=Norwegian
nn=Norwegian nor=Norwegian nob=Norwegian nno=Norwegian fi=Finnish fin=Finnish sr=Serbian srp=Serbian hr=Croatian
hrv=Croatian cs=Czech ces=Czech cze=Czech sv=Swedish swe=Swedish et=Estonian est=Estonian ro=Romanian ron=Romanian
rum=Romanian zh=Chinese zho=Chinese chi=Chinese cmn=Chinese ru=Russian rus=Russian ar=Arabic ara=Arabic hi=Hindi
hin=Hindi uk=Ukrainan ukr=Ukrainan bn=Bengali ben=Bengali bo=Tibetan bod=Tibetan tib=Tibetan th=Thai tha=Thai ur=Urdu
urd=Urdu tr=Turkish tur=Turkish ko=Korean kor=Korean id=Indonesian ind=Indonesian he=Hebrew iw=Hebrew heb=Hebrew
jv=Javanese jav=Javanese el=Greek ell=Greek gre=Greek ja=Japanese jpn=Japanese fa=Persian fas=Persian per=Persian
sq=Albanian sqi=Albanian alb=Albanian la=Latin lat=Latin vi=Vietnamese vie=Vietnamese uz=Uzbek uzb=Uzbek ka=Georgian
kat=Georgian geo=Georgian bg=Bulgarian bul=Bulgarian az=Azerbaijani aze=Azerbaijani kk=Kazah kaz=Kazah mk=Macedonian
mkd=Macedonian mac=Macedonian be=Belorussian bel=Belorussian ms=Malay msa=Malay may=Malay ha=Hausa hau=Hausa
su=Sundanese sun=Sundanese sw=Swahili swa=Swahili tl=Tagalog tgl=Tagalog fil=Tagalog yo=Yoruba yor=Yoruba om=Oromo
orm=Oromo ceb=Cebuano ku=Kurdish kur=Kurdish sh=Serbo_Croatian hbs=Serbo_Croatian mg=Malagasy mlg=Malagasy za=Zhuang
zha=Zhuang tk=Turkmen tuk=Turkmen so=Somali som=Somali hu=Hungarian hun=Hungarian ny=Chichewa nya=Chichewa rw=Rwanda
kin=Rwanda mnp=Min_Bei zu=Zulu zul=Zulu ilo=Ilocano cdo=Min_Dong qu=Quechua que=Quechua hil=Hiligaynon hmn=Hmong
sn=Shona sna=Shona xh=Xhosa xho=Xhosa bew=Betawi ca=Catalan cat=Catalan af=Afrikaans afr=Afrikaans
st=Sotho_Southern sot=Sotho_Southern bik=Bikol vmw=Makua kr=Kanuri kau=Kanuri tn=Tswana tsn=Tswana kg=Kikongo
kon=Kikongo suk=Sukuma ts=Tsonga tso=Tsonga bs=Bosnian bos=Bosnian bem=Bemba niq=Nandi umb=Umbundu nso=Sotho_Northern
war=Waray_Waray lmn=Lamani nds=Low_German glk=Gilaki mui=Musi cpx=Pu_Xian pam=Kapampangan pcc=Bouyei gl=Galician
glg=Galician nd=Ndebele nde=Ndebele nr=Ndebele nbl=Ndebele sas=Sasak ss=Swati ssw=Swati guz=Gusii mer=Meru wal=Wolaytta
pag=Pangasinan diq=Dimli mak=Makassar tum=Tumbuka srr=Serer_Sine oc=Occitan oci=Occitan mtq=Muong quc=Kiche ruf=Luguru
wuu=Wu yue=Cantonese nan=Min_Nan hsn=Xiang hak=Hakka ce=Chechen che=Chechen kbd=Kabardian mr=Marathi mar=Marathi
bho=Bhojpuri mai=Maithili awa=Awadhi ne=Nepali nep=Nepali mwr=Marwari mag=Magahi bgc=Haryanvi hne=Chattisgarhi
dhd=Dhundari kok=Konkani bjj=Kanauji wtm=Mewati rjs=Rajbanshi gbm=Garhwali kfy=Kumauni wbr=Wagdi mup=Malvi mtr=Mewari
ug=Uyghur uig=Uyghur te=Telugu tel=Telugu kn=Kannada kan=Kannada ta=Tamil tam=Tamil
""".split()  # noqa: SIM905
)
"""
ISO 639 codes that stand for one name of the service, and for one only. (`min` is not among them: a user who writes
Min-Nan does not mean Minangkabau.)
"""
_TWO_NAMES = dict.fromkeys(("nl", "nld", "dut"), ("Dutch", "Netherlands"))
_TAG = re.compile(r"([a-z]{2,3})(?:[-_](?:[a-z]{2}|[a-z]{4}|[0-9]{3}|[a-z0-9]{5,8}))*", re.IGNORECASE | re.ASCII)
"""A BCP 47 tag, such as ``pt-BR``, as far as it matters: the language is its first part."""


def _known_spelling(language: Any) -> Any:
    """Mend white space and the case of a known name (``english``), translate a code, and leave all else as it is."""
    if not isinstance(language, str):
        return language
    language = language.strip()
    for name in LANGUAGES:
        if name.lower() == language.lower():
            return name
    tag = _TAG.fullmatch(language)
    return _CODES.get(tag[1].lower(), language) if tag else language


Language = Annotated[str, BeforeValidator(_known_spelling), Field(min_length=1, max_length=64)]
OnlyEnglish = Annotated[Literal["English"], BeforeValidator(_known_spelling)]


def unknown_language(language: str) -> str | None:
    """
    Return a warning for a language that is not on the list, with the nearest names, else ``None``.

    :param language: a name.
    """
    if language in LANGUAGES:
        return None
    tag = _TAG.fullmatch(language)
    two_names = _TWO_NAMES.get(tag[1].lower()) if tag else None
    nearest = two_names or difflib.get_close_matches(language, LANGUAGES, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(nearest)}?" if nearest else ""
    return (
        f"Language {language!r} is not among the {len(LANGUAGES)} names this provider knows for Aspose.OCR "
        f"Cloud (English names such as German, or a code for one of them).{hint} It is sent as it is."
    )
