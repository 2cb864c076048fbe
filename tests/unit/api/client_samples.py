"""Request bodies as the vendor's Python client 24.11.0 writes them, one file per endpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "samples" / "client-24.11.0"
BODIES = {
    "RecognizePdf": ("OCRRecognizePdfBody", "OCRSettingsRecognizePdf"),
    "RecognizeTable": ("OCRRecognizeTableBody", "OCRSettingsRecognizeTable"),
    "RecognizeReceipt": ("OCRRecognizeReceiptBody", "OCRSettingsRecognizeReceipt"),
    "RecognizeLabel": ("OCRRecognizeLabelBody", "OCRSettingsRecognizeLabel"),
    "RecognizeAndParseInvoice": ("OCRRecognizeAndParseInvoiceBody", "OCRSettingsRecognizeAndParseInvoice"),
    "IdentifyFont": ("OCRRecognizeFontBody", "OCRSettingsRecognizeFont"),
    "BinarizeImage": ("OCRBinarizeImageBody", ""),
    "DeskewImage": ("OCRDeskewImageBody", ""),
    "DewarpImage": ("OCRDewarpImageBody", ""),
    "UpscaleImage": ("OCRUpscaleImageBody", ""),
    "DjVu2PDF": ("OCRDjVu2PDFBody", "OCRSettingsDjVu2PDF"),
    "ConvertTextToSpeech": ("TTSBody", "TTSSettings"),
}
"""By endpoint: the client's class of the body, and of the settings where there are any."""


def sample(endpoint: str) -> dict[str, Any]:
    """The body as JSON."""
    body: dict[str, Any] = json.loads((FOLDER / f"{endpoint}.json").read_text())
    return body
