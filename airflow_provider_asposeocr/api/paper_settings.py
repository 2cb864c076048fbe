"""
Settings of the endpoints for a kind of paper: tables, receipts, labels, invoices, and of font identification.

They take less than RecognizeImage does, and what they do not take they do not have here. Sources: "Sending table for
recognition" (docs.aspose.cloud/ocr/send-table-for-recognition/), "Sending label for recognition"
(docs.aspose.cloud/ocr/send-label-for-recognition/), "Sending invoice for recognition"
(docs.aspose.cloud/ocr/send-invoice-for-recognition/), "Fetching font identification result"
(docs.aspose.cloud/ocr/fetch-font-identification-result/), and the models of the vendor's Python client 24.11.0.
"""

from __future__ import annotations

import enum
from typing import Literal

from airflow_provider_asposeocr.api.languages import OnlyEnglish
from airflow_provider_asposeocr.api.settings import (
    DetectionSettings,
    FilteredSettings,
    SpellCheckedSettings,
    StraightenedSettings,
    TextResultSettings,
    TurnedSettings,
)


class TableResultType(enum.StrEnum):
    """
    Format of a table's result; the combined one gives two entries.

    Source: "Sending table for recognition", docs.aspose.cloud/ocr/send-table-for-recognition/.
    """

    TEXT = "Text"
    CSV = "Csv"
    EXCEL = "Excel"
    CSV_AND_EXCEL = "CsvAndExcel"


class TableSettings(SpellCheckedSettings, DetectionSettings):
    """
    Settings of RecognizeTable.

    Source: "Sending table for recognition", docs.aspose.cloud/ocr/send-table-for-recognition/.
    """

    result_type_table: TableResultType = TableResultType.TEXT
    """Format of the result. Default: Text."""

    @property
    def result_parts(self) -> tuple[str, ...]:
        """Those of ``resultTypeTable``."""
        return tuple(self.result_type_table.value.split("And"))


class LabelSettings(TextResultSettings, StraightenedSettings):
    """
    Settings of RecognizeLabel.

    Source: "Sending label for recognition", docs.aspose.cloud/ocr/send-label-for-recognition/.
    """

    language: OnlyEnglish = "English"
    """Language of the text. English is the only one that labels are read in."""


class InvoiceSettings(SpellCheckedSettings, TurnedSettings):
    """
    Settings of RecognizeAndParseInvoice, whose result is always one JSON of fields.

    Source: "Sending invoice for recognition", docs.aspose.cloud/ocr/send-invoice-for-recognition/.
    """

    @property
    def result_parts(self) -> tuple[str, ...]:
        """The fields come as text that is JSON."""
        return ("Text",)


class FontSettings(FilteredSettings):
    """
    Settings of IdentifyFont.

    Source: "Fetching font identification result", docs.aspose.cloud/ocr/fetch-font-identification-result/, and
    ``OCRSettingsRecognizeFont`` of the vendor's client.
    """

    result_type: Literal["Text"] = "Text"
    """Fonts come as text only."""

    @property
    def result_parts(self) -> tuple[str, ...]:
        """Style and fonts come as text."""
        return ("Text",)
