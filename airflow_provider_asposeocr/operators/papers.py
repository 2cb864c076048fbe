"""Operators for kinds of paper: tables, receipts, labels, invoices, and the fonts of a page."""

from __future__ import annotations

from airflow_provider_asposeocr.operators.document import AsposeOcrOperator
from airflow_provider_asposeocr.operators.llm_documents import AsposeOcrTextOperator


class AsposeOcrRecognizeTableOperator(AsposeOcrTextOperator):
    """
    Recognizes a table, as text, CSV or an Excel workbook (``resultTypeTable``).

    Source: "Sending table for recognition", docs.aspose.cloud/ocr/send-table-for-recognition/. XCom: as of all
    operators, and with ``resultTypeTable`` ``Csv`` or ``CsvAndExcel`` ``"rows": [["cell", ...], ...]``, without the
    line of column numbers that the service puts on top.

    :param kwargs: see :class:`~airflow_provider_asposeocr.operators.document.AsposeOcrOperator`.
    """

    endpoint = "RecognizeTable"


class AsposeOcrRecognizeReceiptOperator(AsposeOcrTextOperator):
    """
    Recognizes the text of a receipt: its filters suit faded, narrow print.

    Source: ``RecognizeReceiptApi`` of the vendor's client 24.11.0. XCom: as of RecognizeImage.

    :param kwargs: see :class:`~airflow_provider_asposeocr.operators.document.AsposeOcrOperator`.
    """

    endpoint = "RecognizeReceipt"


class AsposeOcrRecognizeLabelOperator(AsposeOcrTextOperator):
    """
    Recognizes the text of a photographed label, in English.

    Source: "Sending label for recognition", docs.aspose.cloud/ocr/send-label-for-recognition/. XCom: as of
    RecognizeImage.

    :param kwargs: see :class:`~airflow_provider_asposeocr.operators.document.AsposeOcrOperator`.
    """

    endpoint = "RecognizeLabel"


class AsposeOcrRecognizeInvoiceOperator(AsposeOcrOperator):
    """
    Reads the fields of an invoice.

    Source: "Fetching invoice processing result", docs.aspose.cloud/ocr/fetch-invoice-recognition-result/. XCom: as of
    all operators, and ``"invoice"``: dates as ISO strings, amounts as numbers, ``None`` for what is missing.

    :param kwargs: see :class:`~airflow_provider_asposeocr.operators.document.AsposeOcrOperator`.
    """

    endpoint = "RecognizeAndParseInvoice"


class AsposeOcrIdentifyFontOperator(AsposeOcrOperator):
    """
    Tells which fonts the text of an image is set in.

    Source: "Fetching font identification result", docs.aspose.cloud/ocr/fetch-font-identification-result/. XCom: as of
    all operators, and ``"style"`` (such as ``regular``) and ``"fonts"``, a list of names.

    :param kwargs: see :class:`~airflow_provider_asposeocr.operators.document.AsposeOcrOperator`.
    """

    endpoint = "IdentifyFont"
