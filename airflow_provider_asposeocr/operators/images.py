"""
Operators that make a file of a file: black and white, straight, flat, larger, and DjVu as PDF.

They take no settings and need an ``output_path``; the file they write is the next task's ``image``.
"""

from __future__ import annotations

from airflow_provider_asposeocr.operators.document import AsposeOcrOperator


class AsposeOcrBinarizeImageOperator(AsposeOcrOperator):
    """
    Makes an image black and white: a PNG file.

    Source: "Fetching binarized image", docs.aspose.cloud/ocr/fetch-binarization-result/.

    :param kwargs: see :class:`~airflow_provider_asposeocr.operators.document.AsposeOcrOperator`; ``output_path`` is
        needed, ``settings`` has nothing to say.
    """

    endpoint = "BinarizeImage"


class AsposeOcrDeskewImageOperator(AsposeOcrOperator):
    """
    Straightens an image that is tilted by up to 15 degrees: a PNG file.

    Source: ``DeskewImageApi`` of the vendor's client 24.11.0.

    :param kwargs: as of :class:`AsposeOcrBinarizeImageOperator`.
    """

    endpoint = "DeskewImage"


class AsposeOcrDewarpImageOperator(AsposeOcrOperator):
    """
    Flattens the photo of a page: a PNG file.

    Source: ``DewarpImageApi`` of the vendor's client 24.11.0.

    :param kwargs: as of :class:`AsposeOcrBinarizeImageOperator`.
    """

    endpoint = "DewarpImage"


class AsposeOcrUpscaleImageOperator(AsposeOcrOperator):
    """
    Makes an image larger, for small print: a PNG file.

    Source: ``UpscaleImageApi`` of the vendor's client 24.11.0.

    :param kwargs: as of :class:`AsposeOcrBinarizeImageOperator`.
    """

    endpoint = "UpscaleImage"


class AsposeOcrDjVuToPdfOperator(AsposeOcrOperator):
    """
    Makes a PDF of a DjVu file.

    Source: ``DjVu2PDFApi`` of the vendor's client 24.11.0.

    :param kwargs: as of :class:`AsposeOcrBinarizeImageOperator`; ``image`` is the DjVu file.
    """

    endpoint = "DjVu2PDF"
