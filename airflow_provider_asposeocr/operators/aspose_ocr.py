"""All operators of one document, one per endpoint: here is where DAG files import them from."""

from __future__ import annotations

from airflow_provider_asposeocr.operators.document import AsposeOcrOperator
from airflow_provider_asposeocr.operators.images import (
    AsposeOcrBinarizeImageOperator,
    AsposeOcrDeskewImageOperator,
    AsposeOcrDewarpImageOperator,
    AsposeOcrDjVuToPdfOperator,
    AsposeOcrUpscaleImageOperator,
)
from airflow_provider_asposeocr.operators.papers import (
    AsposeOcrIdentifyFontOperator,
    AsposeOcrRecognizeInvoiceOperator,
    AsposeOcrRecognizeLabelOperator,
    AsposeOcrRecognizeReceiptOperator,
    AsposeOcrRecognizeTableOperator,
)
from airflow_provider_asposeocr.operators.sound import (
    AsposeOcrTextToSpeechOperator,
)
from airflow_provider_asposeocr.operators.text import (
    AsposeOcrDetectRegionsOperator,
    AsposeOcrRecognizeImageOperator,
    AsposeOcrRecognizePdfOperator,
    AsposeOcrRecognizeRegionsOperator,
)

__all__ = [
    "AsposeOcrBinarizeImageOperator",
    "AsposeOcrDeskewImageOperator",
    "AsposeOcrDetectRegionsOperator",
    "AsposeOcrDewarpImageOperator",
    "AsposeOcrDjVuToPdfOperator",
    "AsposeOcrIdentifyFontOperator",
    "AsposeOcrOperator",
    "AsposeOcrRecognizeImageOperator",
    "AsposeOcrRecognizeInvoiceOperator",
    "AsposeOcrRecognizeLabelOperator",
    "AsposeOcrRecognizePdfOperator",
    "AsposeOcrRecognizeReceiptOperator",
    "AsposeOcrRecognizeRegionsOperator",
    "AsposeOcrRecognizeTableOperator",
    "AsposeOcrTextToSpeechOperator",
    "AsposeOcrUpscaleImageOperator",
]
