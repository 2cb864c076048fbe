"""
Settings of the endpoints that make a file: image processing and DjVu, which take none, and text to speech.

Sources: "Fetching binarized image" (docs.aspose.cloud/ocr/fetch-binarization-result/), "Fetching audio"
(docs.aspose.cloud/ocr/fetch-voice/), and the models of the vendor's Python client 24.11.0.
"""

from __future__ import annotations

from typing import Literal

from airflow_provider_asposeocr.api.languages import OnlyEnglish
from airflow_provider_asposeocr.api.settings import Settings


class ImageFileSettings(Settings):
    """BinarizeImage, DeskewImage, DewarpImage and UpscaleImage take none: an image in, a PNG file out."""

    @property
    def result_parts(self) -> tuple[str, ...]:
        """One image."""
        return ("ImagePNG",)


class PdfFileSettings(Settings):
    """DjVu2PDF takes none: a DjVu file in, a PDF file out."""

    @property
    def result_parts(self) -> tuple[str, ...]:
        """One PDF file."""
        return ("Pdf",)


class SpeechSettings(Settings):
    """
    Settings of ConvertTextToSpeech, as ``TTSSettings`` of the vendor's client has them.

    Source: "Fetching audio", docs.aspose.cloud/ocr/fetch-voice/.
    """

    language: OnlyEnglish = "English"
    """Language of the speaker. English is the only one there is."""
    result_type: Literal["Wav"] = "Wav"
    """Format of the result. Wav is the only one there is."""

    @property
    def result_parts(self) -> tuple[str, ...]:
        """One sound. The type is called otherwise in the results than in the settings."""
        return ("WavFile",)
