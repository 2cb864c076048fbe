"""
The paths of older versions of the service, which the vendor's client still knows: image processing and speech.

``ImageProcessing/Post...`` takes a file as a form, ``TextToSpeech/PostTextToSpeech`` a flat JSON; jobs are asked for by
two paths, one for the response object and one for the file itself. Source: ``ImageProcessingApi`` and
``TextToSpeechApi`` of the vendor's client 24.11.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from email import message_from_bytes, policy
from types import MappingProxyType

from pydantic_core import to_json

from airflow_provider_asposeocr.api.endpoints import ENDPOINTS, Endpoint
from airflow_provider_asposeocr.api.values import Value
from airflow_provider_asposeocr.emulator.problems import ProblemError
from airflow_provider_asposeocr.emulator.submissions import Submission, json_object, parsed, settings_from


class OlderPath(Value, frozen=True):
    """
    What an older path stands for.

    :param method: it answers to.
    :param endpoint: the endpoint of today that a POST is for.
    :param jobs: the endpoints whose jobs a GET knows.
    :param as_file: whether a GET brings the result itself.
    """

    method: str
    endpoint: str | None = None
    jobs: tuple[str, ...] = ()
    as_file: bool = False


_IMAGES = ("BinarizeImage", "DeskewImage", "DewarpImage", "UpscaleImage")
_SPEECH = ("ConvertTextToSpeech",)
OLDER_PATHS: Mapping[str, OlderPath] = MappingProxyType(
    {
        "ImageProcessing/PostBinarizationFile": OlderPath("POST", "BinarizeImage"),
        "ImageProcessing/PostSkewCorrectionFile": OlderPath("POST", "DeskewImage"),
        "ImageProcessing/PostDewarpingFile": OlderPath("POST", "DewarpImage"),
        "ImageProcessing/PostUpsamplingImageFile": OlderPath("POST", "UpscaleImage"),
        "ImageProcessing/GetResultTask": OlderPath("GET", jobs=_IMAGES),
        "ImageProcessing/GetResultFile": OlderPath("GET", jobs=_IMAGES, as_file=True),
        "TextToSpeech/PostTextToSpeech": OlderPath("POST", "ConvertTextToSpeech"),
        "TextToSpeech/GetTextToSpeechResult": OlderPath("GET", jobs=_SPEECH),
        "TextToSpeech/GetTextToSpeechResultFile": OlderPath("GET", jobs=_SPEECH, as_file=True),
    }
)


def parsed_older(endpoint: Endpoint, content_type: str, body: bytes) -> Submission:
    """
    Read the body of a submission to an older path.

    :param endpoint: the endpoint of today that it is for.
    :param content_type: of the body.
    :param body: as it came: a form with a file, or JSON.
    :raises ProblemError: where it is neither.
    """
    if endpoint.payload == "text":
        return parsed(endpoint, _nested(body))
    if not content_type.lower().startswith("multipart/form-data"):
        raise ProblemError(415, "The body must be multipart/form-data, with the image as file.")
    form = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body, policy=policy.HTTP)
    for part in form.iter_parts():
        if part.get_param("name", header="content-disposition") == "file":
            content = part.get_payload(decode=True)
            if isinstance(content, bytes) and content:
                return Submission(content, settings_from(endpoint, None))
    raise ProblemError(400, "The form holds no file.")


def _nested(body: bytes) -> bytes:
    """The flat body of old, as the body of today."""
    content = json_object(body)
    settings = {name: content[name] for name in ("language", "resultType") if name in content}
    return to_json({"text": content.get("text"), "settings": settings})


def older_job(path: OlderPath, endpoint: str | None) -> str | None:
    """
    The endpoint whose job is asked for, where the path knows its jobs.

    :param path: that was asked.
    :param endpoint: of the job.
    """
    return endpoint if endpoint in path.jobs and endpoint in ENDPOINTS else None
