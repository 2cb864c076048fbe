"""What every hook of ours has: its connection, the form of that, and the row of an endpoint there."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_asposeocr import metrics
from airflow_provider_asposeocr.api.checks import endpoint_named
from airflow_provider_asposeocr.api.conversations import Flow, shared_token
from airflow_provider_asposeocr.api.costs import Cost
from airflow_provider_asposeocr.api.endpoints import Endpoint
from airflow_provider_asposeocr.api.retrying import DEFAULT_RETRY_LIMIT
from airflow_provider_asposeocr.connection import ServiceConnection
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrAuthError,
    AsposeOcrConnectionNotFoundError,
    AsposeOcrError,
    AsposeOcrInputError,
    AsposeOcrRequestError,
    AsposeOcrServiceError,
)
from airflow_provider_asposeocr.get_provider_info import (
    CONNECTION_FIELDS,
    CONNECTION_FORM_BEHAVIOUR,
    CONNECTION_NAME,
    CONNECTION_TYPE,
)


class ConnectedHook(BaseHook):
    """
    A hook on a connection of type ``aspose_ocr``.

    :param aspose_ocr_conn_id: the Airflow connection.
    :param retry_limit: how often a call that certainly had no effect is repeated at most.
    :param logger_name: of Airflow's ``BaseHook``.
    """

    conn_name_attr = "aspose_ocr_conn_id"
    default_conn_name = "aspose_ocr_default"
    conn_type = CONNECTION_TYPE
    hook_name = CONNECTION_NAME

    polls_bring_results: ClassVar[bool]
    """Whether the poll that finds a job completed brings its results."""

    def __init__(
        self,
        aspose_ocr_conn_id: str = default_conn_name,
        *,
        retry_limit: int = DEFAULT_RETRY_LIMIT,
        logger_name: str | None = None,
    ) -> None:
        super().__init__(logger_name=logger_name)
        self.aspose_ocr_conn_id = aspose_ocr_conn_id
        self.retry_limit = retry_limit
        self.cost = Cost()
        """What this hook has spent."""

    def count_call(self, endpoint: str) -> None:
        """
        Count a call that is about to be made.

        :param endpoint: of the job that it is about.
        """
        self.cost.calls += 1
        metrics.called(endpoint)

    def count_submission(self, endpoint: str) -> None:
        """
        Count a submission that was accepted, or may have been.

        :param endpoint: where to.
        """
        self.cost.submissions += 1
        metrics.submitted(endpoint)

    @staticmethod
    def claimant() -> Hashable:
        """Say who asks for a token: none of them waits for itself."""
        raise NotImplementedError

    def token(self, rejected: str | None, deadline: float | None) -> Flow[str]:
        """
        Bring the token of this process.

        :param rejected: one that has just been answered with a 401, if any.
        :param deadline: until when it must be there, in seconds since the epoch; ``None`` for ever.
        """
        return shared_token(self.service().credentials, self.claimant(), rejected, deadline)

    @staticmethod
    def sleep_between_polls(seconds: float) -> Any:
        """
        Wait for a job, where the caller does not say how.

        :param seconds: for how long.
        """
        raise NotImplementedError

    def service(self) -> ServiceConnection:
        """
        Return the connection.

        :raises AsposeOcrInputError: where it is not defined, or cannot work.
        """
        raise NotImplementedError

    def row(self, endpoint: str | Endpoint) -> Endpoint:
        """
        Return the row of the endpoint to call: with a trial connection, of the trial one.

        :param endpoint: its name or row.
        :raises AsposeOcrInputError: where there is none.
        """
        row = endpoint_named(endpoint)
        connection = self.service()
        if not connection.trial or not row.authorized:
            return row
        if row.trial is None:
            raise AsposeOcrInputError(
                f"Connection {connection.conn_id!r} is for trial, and {row.name} has no evaluation endpoint. "
                "Use a connection with client id and secret. Nothing was sent."
            )
        return endpoint_named(row.trial)

    def look_up_failed(self, error: Exception) -> AsposeOcrError:
        """
        Return what to say where Airflow did not give the connection.

        :param error: what Airflow raised.
        """
        if not isinstance(error, AirflowNotFoundException):
            # By its kind alone: the texts of databases and secrets backends may hold addresses and credentials.
            return AsposeOcrServiceError(
                f"The Airflow connection {self.aspose_ocr_conn_id!r} could not be looked up ({type(error).__name__}): "
                "Airflow's database, API server or secrets backend is not there, or not well. This call was not sent; "
                "asking again later can help.",
                certainly_not_accepted=True,
            )
        return AsposeOcrConnectionNotFoundError(
            f"The Airflow connection {self.aspose_ocr_conn_id!r} is not defined, or no secrets backend could read it "
            "(then Airflow's log says why). Create it with the type "
            f"{CONNECTION_NAME} (`airflow connections add {self.aspose_ocr_conn_id} --conn-type {CONNECTION_TYPE} "
            f"--conn-login <client id> --conn-password <client secret>`), or name another in aspose_ocr_conn_id. "
            f"Nothing was sent. ({error})"
        )

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return the form of the connection for Airflow below 3.2; later ones read it from the provider info."""
        return {name.replace("-", "_"): value for name, value in CONNECTION_FORM_BEHAVIOUR.items()}

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the extra fields of the connection's form for Airflow below 3.2, likewise."""
        from flask_appbuilder.fieldwidgets import BS3TextFieldWidget  # noqa: PLC0415 - only where the old UI is
        from wtforms import BooleanField, StringField  # noqa: PLC0415 - likewise

        widgets: dict[str, Any] = {}
        for name, form_field in CONNECTION_FIELDS.items():
            schema = form_field["schema"]
            common = {"description": form_field["description"], "default": schema.get("default")}
            if "boolean" in schema["type"]:
                widgets[name] = BooleanField(form_field["label"], **common)
            else:
                widgets[name] = StringField(form_field["label"], widget=BS3TextFieldWidget(), **common)
        return widgets


def connection_fault(error: AsposeOcrError) -> str:
    """
    Say in a sentence what is wrong with a connection.

    :param error: what a call over it raised.
    """
    if isinstance(error, AsposeOcrAuthError):
        return f"The service is there, but does not let this connection in. {error}"
    if isinstance(error, AsposeOcrRequestError):
        return f"The host answers, but not as Aspose.OCR Cloud: is the API root right? {error}"
    return str(error)
