"""Settings, languages and regions: what is taken, what is sent, and what is refused with which words."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_asposeocr.api.checks import parse_settings
from airflow_provider_asposeocr.api.languages import LANGUAGES
from airflow_provider_asposeocr.api.settings import (
    DetectionSettings,
    DsrConfidence,
    DsrMode,
    RecognitionSettings,
    Rectangle,
    Region,
    RegionRecognitionSettings,
    ResultType,
)
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError

COMMON = {
    "language": ("German", "language"),
    "makeSkewCorrect": (False, "make_skew_correct"),
    "rotate": (180, "rotate"),
    "makeBinarization": (True, "make_binarization"),
    "makeContrastCorrection": (False, "make_contrast_correction"),
    "makeUpsampling": (True, "make_upsampling"),
    "dsrMode": ("TextDetector", "dsr_mode"),
    "dsrConfidence": ("High", "dsr_confidence"),
}
RECOGNITION = {**COMMON, "makeSpellCheck": (True, "make_spell_check"), "resultType": ("TextAndPdf", "result_type")}
ENDPOINT_SETTINGS = [
    (endpoint, name, *setting)
    for endpoint, settings in (
        ("RecognizeImage", RECOGNITION),
        ("RecognizeImageTrial", RECOGNITION),
        ("DetectRegions", COMMON),
    )
    for name, setting in settings.items()
]
RECT = {"topLeftX": 1, "topLeftY": 2, "bottomRightX": 30, "bottomRightY": 40}


def regions_of(regions, settings=None):
    return parse_settings("RecognizeRegions", settings, regions).to_wire()["regions"]


@pytest.mark.parametrize(("endpoint", "camel", "value", "snake"), ENDPOINT_SETTINGS)
def test_one_setting_in_both_spellings(endpoint, camel, value, snake):
    """Only what was set is sent, in the vendor's spelling."""
    for spelling in (camel, snake):
        assert parse_settings(endpoint, {spelling: value}).to_wire() == {camel: value}


@pytest.mark.parametrize("nothing", [None, {}, "{}", {"language": None}, RecognitionSettings()])
def test_nothing_set_is_nothing_sent(nothing):
    assert parse_settings("RecognizeImage", nothing).to_wire() == {}


def test_a_default_that_is_set_is_sent():
    assert parse_settings("RecognizeImage", {"rotate": 0, "language": "English"}).to_wire() == {
        "rotate": 0,
        "language": "English",
    }


@pytest.mark.parametrize("endpoint", ["RecognizeImage", "DetectRegions"])
def test_typed_model(endpoint):
    """A typed model is taken by each endpoint that has its settings."""
    model = DetectionSettings(language="German", dsr_mode=DsrMode.TEXT_DETECTOR, rotate=90)
    assert parse_settings(endpoint, model).to_wire() == {"language": "German", "dsrMode": "TextDetector", "rotate": 90}


def test_typed_model_of_another_endpoint_is_checked():
    with pytest.raises(AsposeOcrInputError, match="unknown setting 'makeSpellCheck'"):
        parse_settings("DetectRegions", RecognitionSettings(make_spell_check=True))


def test_the_clients_spellings():
    """The spellings of the vendor's client are understood."""
    assert parse_settings("RecognizeImage", {"Rotate": 90}).to_wire() == {"rotate": 90}
    assert parse_settings("RecognizeImage", {"dsrMode": "CraftPoly"}).to_wire() == {"dsrMode": "PolygonalTextDetector"}


@pytest.mark.parametrize(
    ("enumeration", "setting"),
    [(DsrMode, "dsrMode"), (DsrConfidence, "dsrConfidence"), (ResultType, "resultType")],
)
def test_enumerations(enumeration, setting):
    """Each value of an enumeration is sent, and any other is refused with the list of them."""
    for member in enumeration:
        assert parse_settings("RecognizeImage", {setting: member.value}).to_wire() == {setting: member.value}
    with pytest.raises(AsposeOcrInputError) as refused:
        parse_settings("RecognizeImage", {setting: "Nonsense"})
    assert "'Nonsense'" in str(refused.value)
    assert all(member.value in str(refused.value) for member in enumeration)


@pytest.mark.parametrize("setting", ["dsr_mode", "dsr_confidence", "result_type"])
def test_wrong_value_in_snake_case_lists_the_allowed_ones(setting):
    with pytest.raises(AsposeOcrInputError, match=r"allowed: (Regions|Default|Text),"):
        parse_settings("RecognizeImage", {setting: "Nonsense"})


def test_unknown_setting_lists_the_allowed_ones():
    with pytest.raises(AsposeOcrInputError) as refused:
        parse_settings("RecognizeImage", {"langage": "English", "resultType": "Text"})
    assert "unknown setting 'langage' (did you mean 'language'?)" in str(refused.value)
    assert all(name in str(refused.value) for name in RECOGNITION)
    assert refused.value.endpoint == "RecognizeImage"


@pytest.mark.parametrize("settings", [{"makeSpellCheck": True}, {"resultType": "Text"}, {"regions": [[0, 0, 1, 1]]}])
def test_setting_of_another_endpoint(settings):
    """A setting of another endpoint is unknown."""
    with pytest.raises(AsposeOcrInputError, match="unknown setting"):
        parse_settings("DetectRegions", settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"rotate": "upside down"},
        {"rotate": 1.5},
        {"makeSkewCorrect": "perhaps"},
        {"language": 7},
        {"language": " "},
        {"language": "x" * 65},
        {"rotate": 1, "Rotate": 2},
        {1: 2},
        [1, 2],
        "not json",
        "[]",
        7,
    ],
)
def test_wrong_values(settings):
    """Values of a wrong type are refused."""
    with pytest.raises(AsposeOcrInputError):
        parse_settings("RecognizeImage", settings)


def test_unknown_endpoint_lists_the_known_ones():
    with pytest.raises(AsposeOcrInputError, match=r"RecognizeImage, RecognizeImageTrial, DetectRegions"):
        parse_settings("RecognizeCake", None)


@pytest.mark.parametrize(
    ("kind", "parts"),
    [("Text", ("Text",)), ("JSON", ("JSON",)), ("TextAndPdfAndHocr", ("Text", "Pdf", "Hocr"))],
)
def test_parts_of_a_combined_result(kind, parts):
    """A combined result type is known by its parts."""
    assert parse_settings("RecognizeImage", {"resultType": kind}).result_parts == parts
    assert parse_settings("DetectRegions", None).result_parts == ("Other",)


@pytest.mark.parametrize(
    ("given", "sent"), [("english", "English"), (" GERMAN ", "German"), ("hwt_eng", "HWT_ENG"), ("Elvish", "Elvish")]
)
def test_language_case_is_mended(given, sent):
    assert parse_settings("RecognizeImage", {"language": given}).to_wire() == {"language": sent}


def test_all_languages_are_known():
    assert len(LANGUAGES) == len(set(LANGUAGES)) == 154
    for name in LANGUAGES:
        settings = parse_settings("RecognizeImage", {"language": name.swapcase()})
        assert settings.language == name
        assert settings.unknown_language is None


def test_unknown_language_warns_with_suggestions():
    warning = parse_settings("DetectRegions", {"language": "Ukrainian"}).unknown_language
    assert "'Ukrainian'" in warning
    assert "Ukrainan" in warning
    assert "Did you mean" not in parse_settings("DetectRegions", {"language": "Qqqq"}).unknown_language


def test_languages_equal_the_vendors():
    vendor = pytest.importorskip("aspose_ocr_cloud.models.language")
    assert {member.value for member in vendor.Language} == set(LANGUAGES)


class TestRegions:
    @pytest.mark.parametrize(
        "regions",
        [
            [[1, 2, 30, 40]],
            ((1, 2, 30, 40),),
            iter([[1, 2, 30, 40]]),
            "[[1, 2, 30, 40]]",
            [RECT],
            [{"rect": RECT}],
            [{"rect": [1, 2, 30, 40]}],
            [{"rect": {"top_left_x": 1, "top_left_y": 2, "bottom_right_x": 30, "bottom_right_y": 40}}],
            json.dumps([{"rect": RECT, "order": 0}]),
            [{"rect": RECT, "order": None}],
            [{"order": 0, "rect": [1.0, 2.0, 30.0, 40.0]}],
            [Region(rect=RECT)],
            [Rectangle(**RECT)],
        ],
    )
    def test_every_form(self, regions):
        """Regions may be given in every form."""
        assert regions_of(regions) == [{"rect": RECT, "order": 0}]

    def test_in_settings(self):
        """Regions may stand in the settings."""
        assert regions_of(None, {"regions": [[1, 2, 30, 40]]}) == [{"rect": RECT, "order": 0}]
        assert regions_of(None, json.dumps({"regions": [RECT]})) == [{"rect": RECT, "order": 0}]

    def test_what_the_operator_returns_is_taken_back(self):
        xcom = [{"rect": [1, 2, 30, 40], "order": 3, "text": "Moby"}, {"rect": [0, 0, 9, 9], "order": 5, "text": ""}]
        assert [region["order"] for region in regions_of(xcom)] == [3, 5]
        assert xcom[0]["text"] == "Moby"

    @pytest.mark.parametrize(
        "regions",
        [
            [[0, 0, 9, 9], {"rect": [0, 0, 9, 9], "order": 7}, [0, 0, 9, 9]],
            [Region(rect=[0, 0, 9, 9]), Region(rect=[0, 0, 9, 9], order=7), Region(rect=[0, 0, 9, 9])],
        ],
    )
    def test_order_defaults_to_the_position(self, regions):
        assert [region["order"] for region in regions_of(regions)] == [0, 7, 2]

    def test_order_defaults_to_the_position_in_a_typed_model(self):
        model = RegionRecognitionSettings(regions=[Region(rect=[0, 0, 9, 9]), Region(rect=[0, 0, 9, 9])])
        assert [region["order"] for region in model.to_wire()["regions"]] == [0, 1]
        assert parse_settings("RecognizeRegions", model) == model

    @pytest.mark.parametrize(
        ("regions", "why"),
        [
            ([[30, 2, 1, 40]], "right edge 1 is not right of left edge 30"),
            ([[1, 2, 1, 40]], "right edge 1 is not right of left edge 1"),
            ([[1, 40, 30, 2]], "lower edge 2 is not below upper edge 40"),
            ([[1, 2, 30, 2]], "lower edge 2 is not below upper edge 2"),
            ([[1, 2, 30]], "four numbers"),
            ([[1, 2, 30, 40, 50]], "four numbers"),
            ([[1, 2, 30, "many"]], "valid integer"),
            ([[1, 2, 30, 40.5]], "valid integer"),
            ([[1, 2, 30, None]], "valid integer"),
            ([[0, 0, 9, 9], [5, 5, 5, 5]], "regions.1"),
            ([{"rect": RECT, "order": "first"}], "order"),
            ([{"rect": RECT, "oder": 1}], "oder"),
            ([{"rect": {"topLeftX": 1}}], "topLeftY"),
            ([7], "regions.0"),
            ([None], "regions.0"),
            ({"rect": RECT}, "regions"),
            (7, "regions"),
            ("7", "regions"),
            ("so many", "not JSON"),
            ([], "at least one region"),
            ((), "at least one region"),
            ("[]", "at least one region"),
            (iter([]), "at least one region"),
            (None, "at least one region"),
        ],
    )
    def test_refused(self, regions, why):
        """Regions that are none are refused, and the reason is named."""
        with pytest.raises(AsposeOcrInputError, match=why):
            parse_settings("RecognizeRegions", {"language": "English"}, regions)

    def test_given_twice(self):
        """Regions may not be given twice."""
        with pytest.raises(AsposeOcrInputError, match="twice"):
            parse_settings("RecognizeRegions", {"regions": [[1, 2, 3, 4]]}, [[1, 2, 3, 4]])

    def test_not_for_other_endpoints(self):
        """Other endpoints take no regions."""
        with pytest.raises(AsposeOcrInputError, match="unknown setting 'regions'"):
            parse_settings("RecognizeImage", None, [[1, 2, 3, 4]])

    @given(
        st.lists(
            st.tuples(*[st.integers(0, 10_000)] * 2, *[st.integers(1, 10_000)] * 2, st.integers(-9, 9)), min_size=1
        )
    )
    def test_round_trip(self, drawn):
        """Any regions are sent as given, and read back the same."""
        rectangles = [[x, y, x + width, y + height] for x, y, width, height, _ in drawn]
        regions = [{"rect": rect, "order": order} for rect, (*_, order) in zip(rectangles, drawn, strict=True)]
        settings = parse_settings("RecognizeRegions", None, regions)
        assert [region.rect.corners for region in settings.regions] == rectangles
        assert [region.order for region in settings.regions] == [order for *_, order in drawn]
        assert parse_settings("RecognizeRegions", json.dumps(settings.to_wire())) == settings
