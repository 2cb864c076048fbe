"""The operator that speaks: text in, a sound file out."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_asposeocr.api.checks import endpoint_named, switch
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError
from airflow_provider_asposeocr.operators.document import AsposeOcrOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class _SpokenText(io.BytesIO):
    """A text as a document, under a name that can stand in a message: the text itself must not."""

    name = "the text to speak"


class AsposeOcrTextToSpeechOperator(AsposeOcrOperator):
    """
    Speaks a text in English: a WAV file.

    Source: "Fetching audio", docs.aspose.cloud/ocr/fetch-voice/. XCom: as of all operators; the file stands in
    ``results``. In a folder, the file is named after a digest of the text.

    :param text: what to speak, such as ``"{{ ti.xcom_pull('read', key='text') }}"``. (templated)
    :param trial: whether to use the evaluation endpoint, which needs no client id and secret and takes 500 characters,
        ten times a day.
    :param kwargs: see :class:`~airflow_provider_asposeocr.operators.document.AsposeOcrOperator`; ``output_path`` is
        needed, and there is no ``image``.
    """

    endpoint = "ConvertTextToSpeech"
    template_fields: Sequence[str] = (
        "text",
        *(field for field in AsposeOcrOperator.template_fields if field != "image"),
    )

    def __init__(self, *, text: str, trial: bool = False, **kwargs: Any) -> None:
        super().__init__(image=None, **kwargs)
        self.text = text
        self.trial = switch(trial, "trial")

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Check, go on with the job of an earlier try or submit, and wait.

        :param context: Airflow's task context.
        """
        if not isinstance(self.text, str):
            raise AsposeOcrInputError(f"`text` must be a string, got {type(self.text).__name__}. Nothing was sent.")
        self.image = _SpokenText(self.text.encode())
        return super().execute(context)

    def _endpoint_name(self) -> str:
        return endpoint_named(self.endpoint).trial or self.endpoint if self.trial else self.endpoint

    def _named_after(self) -> str:
        return f"speech-{hashlib.sha256(str(self.text).encode()).hexdigest()[:12]}"
