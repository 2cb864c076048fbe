"""Operators that read text: of images, of their regions, of the pages of a PDF."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_asposeocr.api.checks import endpoint_named, has_no_regions, switch
from airflow_provider_asposeocr.operators.document import AsposeOcrOperator
from airflow_provider_asposeocr.operators.llm_documents import AsposeOcrTextOperator
from airflow_provider_asposeocr.operators.previewing import AsposeOcrPreviewOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class AsposeOcrRecognizeImageOperator(AsposeOcrPreviewOperator, AsposeOcrTextOperator):
    """
    Recognizes the text of an image.

    Source: "Sending image for recognition", docs.aspose.cloud/ocr/send-image-for-recognition/. XCom:
    ``{"ocr_task_id", "endpoint", "text", "results", "file", "files", "warnings", "cost"}``, and each as its own key.

    :param trial: whether to use the evaluation endpoint, which needs no client id and secret and masks one word in ten.
    :param kwargs: see :class:`AsposeOcrOperator`.
    """

    endpoint = "RecognizeImage"

    def __init__(self, *, trial: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.trial = switch(trial, "trial")

    def _endpoint_name(self) -> str:
        return endpoint_named(self.endpoint).trial or self.endpoint if self.trial else self.endpoint


class AsposeOcrDetectRegionsOperator(AsposeOcrPreviewOperator):
    """
    Finds the regions of an image that hold text.

    Source: "Detecting image regions", docs.aspose.cloud/ocr/send-for-detection/. XCom: as of all operators, and
    ``"regions": [[x1, y1, x2, y2], ...]`` in pixels, which RecognizeRegions takes:
    ``regions=detect.output["regions"]``.

    :param kwargs: see :class:`AsposeOcrOperator`.
    """

    endpoint = "DetectRegions"


class AsposeOcrRecognizeRegionsOperator(AsposeOcrPreviewOperator, AsposeOcrTextOperator):
    """
    Recognizes the text of given regions of an image.

    Source: "Sending image regions for recognition", docs.aspose.cloud/ocr/send-image-regions-for-recognition/. XCom: as
    of all operators, and ``"regions": [{"rect": [x1, y1, x2, y2], "order", "text"}, ...]`` in ascending order of
    ``order``; ``"text"`` joins their texts.

    :param regions: ``[[x1, y1, x2, y2], ...]`` in pixels, as DetectRegions returns them, or a list of ``{"rect": [..] |
        {"topLeftX": ..}, "order": n}``; the order defaults to the position. (templated)
    :param kwargs: see :class:`AsposeOcrOperator`.
    """

    endpoint = "RecognizeRegions"
    template_fields: Sequence[str] = (*AsposeOcrOperator.template_fields, "regions")

    def __init__(self, *, regions: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # What can be read once only would be gone when the result is delivered.
        self.regions = list(regions) if isinstance(regions, Iterator) else regions

    def execute(self, context: Context) -> dict[str, Any]:
        """
        As of all operators; where no regions are given, as DetectRegions returns them of a blank page, skip.

        :param context: Airflow's task context.
        """
        if has_no_regions(self.settings, self.regions):
            raise AirflowSkipException("There are no regions to be recognized, as on a blank page. Nothing was sent.")
        return super().execute(context)

    def _regions(self) -> Any:
        return self.regions


class AsposeOcrRecognizePdfOperator(AsposeOcrPreviewOperator, AsposeOcrTextOperator):
    """
    Recognizes the text of all pages of a PDF of scans.

    Source: "Fetching PDF recognition result", docs.aspose.cloud/ocr/fetch-pdf-recognition-result/. XCom: as of
    RecognizeImage. With ``settings={"resultType": "Pdf"}`` a PDF of scans becomes a searchable one.

    :param kwargs: see :class:`~airflow_provider_asposeocr.operators.document.AsposeOcrOperator`; ``image`` is the
        PDF.
    """

    endpoint = "RecognizePdf"
