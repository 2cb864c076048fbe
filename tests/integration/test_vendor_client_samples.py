"""
The request bodies in ``tests/unit/api/samples/client-24.11.0`` are those that the vendor's client writes.

``python -m tests.integration.test_vendor_client_samples`` writes them anew.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.api.client_samples import BODIES, FOLDER, sample

aspose_ocr_cloud = pytest.importorskip("aspose_ocr_cloud")

pytestmark = pytest.mark.integration

VALUES = {
    "language": "English",
    "Rotate": 90,
    "dsrMode": "Regions",
    "dsrConfidence": "Default",
    "resultType": "Text",
    "resultTypeTable": "Csv",
    "regions": [],
}
"""What we let the client send; whatever else it can be told is a switch, and set."""


def body_by_the_client(endpoint: str) -> dict[str, Any]:
    """The body of a submission that sets every property the client has for the endpoint."""
    body_class, settings_class = BODIES[endpoint]
    document = {"text": "Hello."} if body_class == "TTSBody" else {"image": "Base64 string"}
    if settings_class:
        model = getattr(aspose_ocr_cloud, settings_class)
        names = [field.alias or name for name, field in model.model_fields.items()]
        values = {name: VALUES.get(name, True) for name in names}
        if body_class == "TTSBody":
            values["resultType"] = "Wav"
        document["settings"] = model(**values)
    wire: dict[str, Any] = json.loads(getattr(aspose_ocr_cloud, body_class)(**document).to_json())
    return wire


@pytest.mark.parametrize("endpoint", BODIES)
def test_the_sample_is_what_the_client_writes(endpoint: str) -> None:
    """The body of the file is the client's own, property by property."""
    assert sample(endpoint) == body_by_the_client(endpoint)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in BODIES:
        (FOLDER / f"{name}.json").write_text(json.dumps(body_by_the_client(name), indent=2) + "\n")
