"""
What a job can be asked for: settings and regions, as pydantic models.

The models take the vendor's camelCase and Python's snake_case, know the allowed values, and write only what the user
set: the server's own defaults then apply, whatever the vendor changes them to. The defaults shown here are the ones
that the vendor documents. Sources: the tables of "Sending image for recognition"
(docs.aspose.cloud/ocr/send-image-for-recognition/), "Detecting image regions"
(docs.aspose.cloud/ocr/send-for-detection/) and "Sending image regions for recognition"
(docs.aspose.cloud/ocr/send-image-regions-for-recognition/), and the models of the vendor's Python client 24.11.0.

The emulator shares them, and Airflow is not loaded with them: what is wrong is said by ``ValueError``, and told to a
user by :mod:`airflow_provider_asposeocr.api.checks`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, field_validator, model_validator

from airflow_provider_asposeocr.api.languages import Language, unknown_language
from airflow_provider_asposeocr.api.wire_names import wire_name


class DsrMode(enum.StrEnum):
    """
    Document structure analysis algorithm.

    Source: "Structure analysis", docs.aspose.cloud/ocr/structure-analysis/, and the vendor's client.
    """

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
    """
    Threshold for filtering content blocks; ``Default`` is ``Mid``.

    Source: "DSR confidence", docs.aspose.cloud/ocr/dsr-confidence/.
    """

    DEFAULT = "Default"
    LOW = "Low"
    LOW_MID = "LowMid"
    MID = "Mid"
    MID_HIGH = "MidHigh"
    HIGH = "High"
    ULTRA = "Ultra"
    ALL = "All"


class ResultType(enum.StrEnum):
    """
    Format of the result; combined ones give several entries.

    Source: "Result format", docs.aspose.cloud/ocr/result-format/, and the vendor's client.
    """

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


class _WireModel(BaseModel):
    model_config = ConfigDict(
        alias_generator=wire_name, populate_by_name=True, extra="forbid", frozen=True, defer_build=True
    )


class Rectangle(_WireModel):
    """
    An area of the image, in pixels of the image as sent. It may reach beyond the image, as what DetectRegions finds at
    its edge does; what is sent does not.

    Source: "Sending image regions for recognition", docs.aspose.cloud/ocr/send-image-regions-for-recognition/.
    """

    top_left_x: int
    """Left edge."""
    top_left_y: int
    """Upper edge."""
    bottom_right_x: int
    """Right edge, greater than the left one."""
    bottom_right_y: int
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
    """
    One region to recognize.

    Source: "Sending image regions for recognition", docs.aspose.cloud/ocr/send-image-regions-for-recognition/.
    """

    rect: Rectangle
    """Where it is."""
    order: int = 0
    """The higher the number, the further back its text stands in the result."""


class Settings(_WireModel):
    """What the settings of all endpoints have in common. By itself: of an endpoint that takes none."""

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
        """A warning where the language is not on the list, else ``None``."""
        language = getattr(self, "language", None)
        return None if language is None else unknown_language(language)


class StraightenedSettings(Settings):
    """What every endpoint that reads takes: a language, and the filters for tilted and for small print."""

    language: Language = "English"
    """Language of the text, by the service's English name; a code such as ``pt-BR`` is translated. Default: English."""
    make_skew_correct: bool = True
    """Correct a tilt of up to 15 degrees before recognition. Default: true."""
    make_upsampling: bool = False
    """Upscale the image, for small fonts and dense lines. Default: false."""


class TurnedSettings(StraightenedSettings):
    """What all that read whole pages take besides: a turn, and black and white."""

    rotate: int = Field(default=0, validation_alias=AliasChoices("rotate", "Rotate"))
    """Rotate the image by so many degrees; for images that are turned further, or upside down. Default: 0."""
    make_binarization: bool = False
    """Convert the image to black and white before recognition. Default: false."""


class FilteredSettings(TurnedSettings):
    """All filters that there are."""

    make_contrast_correction: bool = True
    """Increase the contrast before recognition. Default: true (the vendor's own client sends false)."""


class SpellCheckedSettings(Settings):
    """Of the endpoints that can mend what they have read."""

    make_spell_check: bool = False
    """Replace commonly misspelled words, by the dictionary of ``language``. Default: false."""


class TextResultSettings(Settings):
    """Of the endpoints whose results are of any type that a text can have."""

    result_type: ResultType = ResultType.TEXT
    """Format of the result. Default: Text."""

    @property
    def result_parts(self) -> tuple[str, ...]:
        """Those of ``resultType``."""
        return self.result_type.parts


class DetectionSettings(FilteredSettings):
    """
    Settings of DetectRegions.

    Source: "Detecting image regions", docs.aspose.cloud/ocr/send-for-detection/.
    """

    dsr_mode: DsrMode = DsrMode.REGIONS
    """Document structure analysis algorithm. Default: Regions."""
    dsr_confidence: DsrConfidence = DsrConfidence.DEFAULT
    """Threshold for filtering detected content blocks. Default: Default (= Mid)."""


class RecognitionSettings(TextResultSettings, SpellCheckedSettings, DetectionSettings):
    """
    Settings of RecognizeImage and RecognizeImageTrial.

    Source: "Sending image for recognition", docs.aspose.cloud/ocr/send-image-for-recognition/.
    """


class RegionRecognitionSettings(RecognitionSettings):
    """
    Settings of RecognizeRegions.

    Source: "Sending image regions for recognition", docs.aspose.cloud/ocr/send-image-regions-for-recognition/.
    """

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
