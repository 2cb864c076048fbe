"""The bodies that the vendor's client writes, through our settings: what is taken, and what is refused by name."""

from __future__ import annotations

import pytest

from airflow_provider_asposeocr.api.checks import parse_settings
from airflow_provider_asposeocr.api.endpoints import ENDPOINTS
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError
from tests.unit.api.client_samples import BODIES, sample

EVERYTHING = {
    *("language", "makeSkewCorrect", "makeSpellCheck", "makeContrastCorrection", "Rotate", "makeBinarization"),
    *("makeUpsampling", "dsrMode", "dsrConfidence", "resultType", "resultTypeTable", "regions"),
}
"""The client has the same properties for each endpoint, whatever the vendor's page of it says."""
NOT_TAKEN = {
    "RecognizePdf": {"resultTypeTable", "regions"},
    "RecognizeTable": {"resultType", "regions"},
    "RecognizeReceipt": {"resultTypeTable", "regions"},
    "RecognizeLabel": EVERYTHING - {"language", "makeSkewCorrect", "makeUpsampling", "resultType"},
    "RecognizeAndParseInvoice": EVERYTHING
    - {"language", "makeSkewCorrect", "Rotate", "makeBinarization", "makeUpsampling", "makeSpellCheck"},
    "IdentifyFont": {"makeSpellCheck", "dsrMode", "dsrConfidence", "resultTypeTable", "regions"},
    "DjVu2PDF": EVERYTHING,
}
"""By the vendor's pages."""


@pytest.mark.parametrize("endpoint", BODIES)
def test_what_the_vendors_page_has_is_sent_as_the_client_sends_it(endpoint: str) -> None:
    """Of the client's settings, those of the vendor's page are taken, and sent with the same values."""
    body = sample(endpoint)
    settings = {
        name: value for name, value in body.get("settings", {}).items() if name not in NOT_TAKEN.get(endpoint, ())
    }
    sent = parse_settings(ENDPOINTS[endpoint], settings).to_wire()
    # The pages spell this one in lower case, and the service takes both.
    assert sent == {("rotate" if name == "Rotate" else name): value for name, value in settings.items()}
    assert next(iter(body)) == ENDPOINTS[endpoint].payload


@pytest.mark.parametrize(
    ("endpoint", "name"), [(endpoint, name) for endpoint, names in NOT_TAKEN.items() for name in sorted(names)]
)
def test_what_the_vendors_page_does_not_have_is_refused(endpoint: str, name: str) -> None:
    """What only the client has is refused, before anything is sent."""
    with pytest.raises(AsposeOcrInputError, match=name.replace("Rotate", "[rR]otate")):
        parse_settings(ENDPOINTS[endpoint], {name: sample(endpoint)["settings"][name]})
