"""
What a job can be asked for: settings, regions and languages, as pydantic models.

The models take the vendor's camelCase and Python's snake_case, know the allowed values, and write only what the user
set: the server's own defaults then apply, whatever the vendor changes them to. The defaults shown here are the ones
that the vendor documents. Sources: the tables of ``send-image-for-recognition``, ``send-image-for-region-detection``
and ``send-regions-for-recognition`` in the vendor's documentation, and the models of its Python client 24.11.0.
"""

from __future__ import annotations

import difflib
import enum
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from airflow_provider_asposeocr.api.endpoints import Endpoint, endpoint_named
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError


class DsrMode(enum.StrEnum):
    """Document structure analysis algorithm. Source: vendor's documentation, "Structure analysis"; its client."""

    REGIONS = "Regions"
    NO_DSR_NO_FILTER = "NoDsrNoFilter"
    DSR_NO_FILTER = "DsrNoFilter"
    DSR_AND_FILTER = "DsrAndFilter"
    TEXT_DETECTOR = "TextDetector"
    DSR_PLUS_DETECTOR = "DsrPlusDetector"
    POLYGONAL_TEXT_DETECTOR = "PolygonalTextDetector"
    LINE_DETECTOR = "LineDetector"

    @classmethod
    def _missing_(cls, value: object) -> DsrMode | None:
        # The documentation calls this one CraftPoly, the vendor's client and the server PolygonalTextDetector.
        return cls.POLYGONAL_TEXT_DETECTOR if value == "CraftPoly" else None


class DsrConfidence(enum.StrEnum):
    """Threshold for filtering content blocks; ``Default`` is ``Mid``. Source: vendor's documentation."""

    DEFAULT = "Default"
    LOW = "Low"
    LOW_MID = "LowMid"
    MID = "Mid"
    MID_HIGH = "MidHigh"
    HIGH = "High"
    ULTRA = "Ultra"
    ALL = "All"


class ResultType(enum.StrEnum):
    """Format of the result; combined ones give several entries. Source: vendor's documentation; its client."""

    TEXT = "Text"
    PDF = "Pdf"
    TEXT_AND_PDF = "TextAndPdf"
    HOCR = "Hocr"
    TEXT_AND_HOCR = "TextAndHocr"
    PDF_AND_HOCR = "PdfAndHocr"
    TEXT_AND_PDF_AND_HOCR = "TextAndPdfAndHocr"
    JSON = "JSON"
    IMAGE_PNG = "ImagePNG"

    @property
    def parts(self) -> tuple[str, ...]:
        """The types of the entries in ``results`` that this asks for."""
        return tuple(self.value.split("And"))


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


def _known_spelling(language: Any) -> Any:
    """Mend the case of a known name (``english``), and leave every other value as it is."""
    if isinstance(language, str):
        return next((name for name in LANGUAGES if name.lower() == language.strip().lower()), language.strip())
    return language


Language = Annotated[str, BeforeValidator(_known_spelling), Field(min_length=1, max_length=64)]


class _WireModel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class Rectangle(_WireModel):
    """An area of the image, in pixels of the image as sent. Source: send-regions-for-recognition."""

    top_left_x: int = Field(ge=0)
    """Left edge."""
    top_left_y: int = Field(ge=0)
    """Upper edge."""
    bottom_right_x: int = Field(ge=0)
    """Right edge, greater than the left one."""
    bottom_right_y: int = Field(ge=0)
    """Lower edge, greater than the upper one."""

    @model_validator(mode="before")
    @classmethod
    def _from_corners(cls, value: Any) -> Any:
        if isinstance(value, Sequence) and not isinstance(value, str | bytes):
            if len(value) != 4:
                raise ValueError(f"a rectangle has the four numbers [x1, y1, x2, y2], got {len(value)}")
            return dict(zip(("topLeftX", "topLeftY", "bottomRightX", "bottomRightY"), value, strict=True))
        return value

    @model_validator(mode="after")
    def _not_empty(self) -> Rectangle:
        if self.bottom_right_x <= self.top_left_x:
            raise ValueError(f"right edge {self.bottom_right_x} is not right of left edge {self.top_left_x}")
        if self.bottom_right_y <= self.top_left_y:
            raise ValueError(f"lower edge {self.bottom_right_y} is not below upper edge {self.top_left_y}")
        return self

    @property
    def corners(self) -> list[int]:
        """``[x1, y1, x2, y2]``, as DetectRegions returns it."""
        return [self.top_left_x, self.top_left_y, self.bottom_right_x, self.bottom_right_y]


class Region(_WireModel):
    """One region to recognize. Source: send-regions-for-recognition."""

    rect: Rectangle
    """Where it is."""
    order: int = 0
    """The higher the number, the further back its text stands in the result."""


class Settings(_WireModel):
    """What all jobs on an image can be told. Source: send-image-for-region-detection."""

    language: Language = "English"
    """Language of the text, by the service's English name (not an ISO code). Default: English."""
    make_skew_correct: bool = True
    """Correct a tilt of up to 15 degrees before recognition. Default: true."""
    rotate: int = Field(default=0, validation_alias=AliasChoices("rotate", "Rotate"))
    """Rotate the image by so many degrees; for images that are turned further, or upside down. Default: 0."""
    make_binarization: bool = False
    """Convert the image to black and white before recognition. Default: false."""
    make_contrast_correction: bool = True
    """Increase the contrast before recognition. Default: true (the vendor's own client sends false)."""
    make_upsampling: bool = False
    """Upscale the image, for small fonts and dense lines. Default: false."""
    dsr_mode: DsrMode = DsrMode.REGIONS
    """Document structure analysis algorithm. Default: Regions."""
    dsr_confidence: DsrConfidence = DsrConfidence.DEFAULT
    """Threshold for filtering detected content blocks. Default: Default (= Mid)."""

    @model_validator(mode="before")
    @classmethod
    def _none_is_not_set(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: setting for name, setting in value.items() if setting is not None}
        return value

    def to_wire(self) -> dict[str, Any]:
        """The ``settings`` of a request body: only what the user set, in the vendor's spelling."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)

    @property
    def result_parts(self) -> tuple[str, ...]:
        """The types of the entries in ``results`` that these settings ask for."""
        return ("Other",)

    @property
    def unknown_language(self) -> str | None:
        """A warning where the language is not on the list, with the nearest names, else ``None``."""
        if self.language in LANGUAGES:
            return None
        nearest = difflib.get_close_matches(self.language, LANGUAGES, n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(nearest)}?" if nearest else ""
        return (
            f"Language {self.language!r} is not among the {len(LANGUAGES)} names this provider knows for Aspose.OCR "
            f"Cloud (English names such as German, not ISO codes).{hint} It is sent as it is."
        )


class DetectionSettings(Settings):
    """Settings of DetectRegions. Source: send-image-for-region-detection."""


class RecognitionSettings(Settings):
    """Settings of RecognizeImage and RecognizeImageTrial. Source: send-image-for-recognition."""

    make_spell_check: bool = False
    """Replace commonly misspelled words, by the dictionary of ``language``. Default: false."""
    result_type: ResultType = ResultType.TEXT
    """Format of the result. Default: Text."""

    @property
    def result_parts(self) -> tuple[str, ...]:
        return self.result_type.parts


class RegionRecognitionSettings(RecognitionSettings):
    """Settings of RecognizeRegions. Source: send-regions-for-recognition."""

    regions: tuple[Region, ...]
    """The areas to recognize, at least one; all results are of the same type."""

    @field_validator("regions")
    @classmethod
    def _at_least_one(cls, regions: tuple[Region, ...]) -> tuple[Region, ...]:
        if not regions:
            raise ValueError("at least one region is needed")
        return regions

    @model_validator(mode="before")
    @classmethod
    def _order_by_position(cls, value: Any) -> Any:
        """Take bare rectangles as regions; the order defaults to the position."""
        if not isinstance(value, Mapping) or not isinstance(value.get("regions"), Sequence | Iterable):
            return value
        if isinstance(value["regions"], str | bytes | Mapping):
            return value
        return {**value, "regions": [_as_region(entry, at) for at, entry in enumerate(value["regions"])]}


def _as_region(entry: Any, position: int) -> Any:
    if isinstance(entry, Region):
        return entry if "order" in entry.model_fields_set else entry.model_copy(update={"order": position})
    if isinstance(entry, Mapping) and "rect" in entry:
        # The text that was found in it stands in our own XCom of such a job.
        entry = {name: value for name, value in entry.items() if name != "text"}
        return entry if entry.get("order") is not None else {**entry, "order": position}
    return {"rect": entry, "order": position}


SettingsT = TypeVar("SettingsT", bound=Settings)


def parse_settings(
    endpoint: str | Endpoint, settings: Settings | Mapping[str, Any] | str | None, regions: Any = None
) -> Settings:
    """
    Return the typed settings of a job, or say what is wrong with them.

    :param endpoint: the endpoint (name or row) they are for.
    :param settings: a mapping in the vendor's camelCase or in snake_case, a JSON object as a string (what a template
        renders to), a settings model, or ``None`` for the service's defaults.
    :param regions: for RecognizeRegions: ``[[x1, y1, x2, y2], ...]``, as DetectRegions returns them, or a list of
        ``{"rect": [..] | {"topLeftX": ..}, "order": n}``, or the JSON of either. Pixels.
    :raises AsposeOcrInputError: for an unknown setting or value, with the list of the right ones, and for regions that
        are missing, empty or upside down.
    """
    row = endpoint_named(endpoint)
    values = _as_mapping(settings)
    if regions is not None:
        if values.get("regions") is not None:
            raise AsposeOcrInputError("Regions are given twice: as `regions` and in `settings`. Give them once.")
        values["regions"] = _from_json(regions, "regions") if isinstance(regions, str) else regions
    takes_regions = "regions" in row.settings_model.model_fields
    if takes_regions and not _any_region(values.get("regions")):
        raise AsposeOcrInputError(
            f"{row.name} needs at least one region: pass `regions`, a list of [x1, y1, x2, y2] in pixels, such as the "
            '`regions` that DetectRegions returns (`regions=detect.output["regions"]`). For the whole image use '
            "RecognizeImage.",
            endpoint=row.name,
        )
    try:
        return row.settings_model.model_validate(values)
    except ValidationError as error:
        raise AsposeOcrInputError(_explain(row, error), endpoint=row.name) from None


def check_regions_inside(settings: Settings, width: int, height: int) -> None:
    """
    Refuse a region that lies outside the image.

    :param settings: the settings, with or without regions.
    :param width: of the image, in pixels.
    :param height: of the image, in pixels.
    :raises AsposeOcrInputError: naming the region and the size of the image.
    """
    if settings.rotate % 180:
        # The corners may then be meant in the turned image: no edge can lie beyond its diagonal.
        width = height = round((width**2 + height**2) ** 0.5)
    for position, region in enumerate(getattr(settings, "regions", ())):
        if region.rect.bottom_right_x > width or region.rect.bottom_right_y > height:
            raise AsposeOcrInputError(
                f"Region {position} {region.rect.corners} lies outside the image, which is {width} x {height} pixels. "
                "Regions are [x1, y1, x2, y2] in pixels of the image as it is sent."
            )


def _as_mapping(settings: Settings | Mapping[str, Any] | str | None) -> dict[str, Any]:
    if settings is None:
        return {}
    if isinstance(settings, Settings):
        return settings.to_wire()
    if isinstance(settings, str):
        settings = _from_json(settings, "settings")
    if not isinstance(settings, Mapping):
        raise AsposeOcrInputError(
            f"`settings` must be a mapping such as {{'language': 'German'}} or a settings model, "
            f"got {type(settings).__name__}."
        )
    return dict(settings)


def _from_json(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise AsposeOcrInputError(
            f"`{what}` is a string that is not JSON: {text!r:.120}. Pass the object itself, or set "
            "render_template_as_native_obj=True on the DAG where it comes from a template."
        ) from None


def _any_region(regions: Any) -> bool:
    return regions is not None and not (isinstance(regions, Sequence) and len(regions) == 0)


def _explain(row: Endpoint, error: ValidationError) -> str:
    """Say in plain words what pydantic found, naming what would be right."""
    allowed = [field.alias or name for name, field in row.settings_model.model_fields.items()]
    lines = []
    for found in error.errors(include_url=False):
        at = ".".join(str(part) for part in found["loc"]) or "settings"
        if found["type"] == "extra_forbidden" and len(found["loc"]) == 1:
            near = difflib.get_close_matches(str(at), allowed, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            lines.append(f"unknown setting {at!r}{hint}; allowed: {', '.join(allowed)}")
        elif found["type"] == "enum":
            enumeration = {"dsrMode": DsrMode, "dsrConfidence": DsrConfidence, "resultType": ResultType}[
                to_camel(str(found["loc"][0]))
            ]
            values = ", ".join(member.value for member in enumeration)
            lines.append(f"{at}: {found['input']!r} is not allowed; allowed: {values}")
        else:
            lines.append(f"{at}: {found['msg'].removeprefix('Value error, ')} (got {found['input']!r:.80})")
    return f"{row.name} cannot take these settings: {'; '.join(lines)}."
