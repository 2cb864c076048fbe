"""What stands in the body of a submission: the document and the settings, or why it is refused."""

from __future__ import annotations

import hashlib
from binascii import Error as Base64Error
from binascii import a2b_base64
from typing import Any, ClassVar

from pydantic import ValidationError
from pydantic_core import from_json

from airflow_provider_asposeocr.api.endpoints import Endpoint
from airflow_provider_asposeocr.api.languages import LANGUAGES
from airflow_provider_asposeocr.api.settings import Settings
from airflow_provider_asposeocr.api.values import Value
from airflow_provider_asposeocr.emulator.problems import ProblemError

_LANGUAGES = frozenset(name.lower() for name in LANGUAGES)


class Submission(Value, frozen=True):
    """
    A submission that is taken.

    :param payload: the bytes of the file; for text to speech the text, in UTF-8.
    :param settings: as sent.
    """

    UNSAID: ClassVar[tuple[str, ...]] = ("payload",)

    payload: bytes
    settings: Settings

    @property
    def sha256(self) -> str:
        """Fingerprint of the payload."""
        return hashlib.sha256(self.payload).hexdigest()


def parsed(endpoint: Endpoint, body: bytes) -> Submission:
    """
    Read the body of a submission.

    :param endpoint: where it was sent.
    :param body: as it came.
    :raises ProblemError: where the service would not take it.
    """
    content = json_object(body)
    return Submission(_payload(endpoint, content), settings_from(endpoint, content.get("settings")))


def json_object(body: bytes) -> dict[str, Any]:
    """
    Read a body that is a JSON object.

    :param body: as it came.
    :raises ProblemError: where it is none.
    """
    try:
        content = from_json(body)
    except ValueError:
        raise ProblemError(400, "The body is not JSON.") from None
    if not isinstance(content, dict):
        raise ProblemError(400, "The body is not a JSON object.")
    return content


def _payload(endpoint: Endpoint, content: dict[str, Any]) -> bytes:
    sent = content.get(endpoint.payload)
    if not isinstance(sent, str) or not sent:
        raise ProblemError(400, f"The property {endpoint.payload} is missing, empty or not a string.")
    if endpoint.payload == "text":
        return sent.encode("utf-8", "replace")
    try:
        return a2b_base64(sent, strict_mode=True)
    except (Base64Error, ValueError):
        raise ProblemError(400, f"The property {endpoint.payload} is not Base64.") from None


def settings_from(endpoint: Endpoint, sent: Any) -> Settings:
    """
    Read the settings of a submission.

    :param endpoint: where it was sent.
    :param sent: what stood in the body.
    :raises ProblemError: where the service would not take them.
    """
    if sent is not None and not isinstance(sent, dict):
        raise ProblemError(400, "The property settings is not a JSON object.")
    model = endpoint.settings_model
    # The service overlooks properties it does not know: the vendor's own client sends those of other endpoints too.
    # The vendor's client writes `Rotate`.
    known = {field.alias or name for name, field in model.model_fields.items()} | _aliases(model)
    settings = {name: value for name, value in (sent or {}).items() if name in known}
    language = settings.get("language")
    # Our own models translate codes; the service takes its names alone.
    if isinstance(language, str) and language.lower() not in _LANGUAGES:
        raise ProblemError(400, "settings.language is none of the languages that the service knows.")
    regions = settings.get("regions")
    if regions is not None and not (
        isinstance(regions, list)
        and all(isinstance(region, dict) and isinstance(region.get("rect"), dict) for region in regions)
    ):
        raise ProblemError(
            400, "The property settings.regions must be a list of objects, each with a rect object and an order."
        )
    try:
        asked = model.model_validate(settings)
    except ValidationError as error:
        faulty = "; ".join(
            f"{'.'.join(('settings', *map(str, found['loc'])))}: {found['msg']}"
            for found in error.errors(include_input=False, include_url=False, include_context=False)
        )
        raise ProblemError(400, faulty) from None
    if any(min(region.rect.corners) < 0 for region in getattr(asked, "regions", ())):
        raise ProblemError(400, "The property settings.regions must not hold negative coordinates.")
    return asked


def _aliases(model: type[Settings]) -> set[str]:
    """Further spellings of its settings on the wire."""
    return {"Rotate"} if "rotate" in model.model_fields else set()
