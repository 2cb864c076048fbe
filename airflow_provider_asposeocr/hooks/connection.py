"""Turns an Airflow connection of type ``aspose_ocr`` into where to send requests, and as whom."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_asposeocr.api.endpoints import API_HOST, TOKEN_PATH
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError
from airflow_provider_asposeocr.get_provider_info import CONNECTION_FIELDS

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_asposeocr.api.calls import ApiRoot
    from airflow_provider_asposeocr.api.tokens import Credentials


@dataclass(frozen=True)
class ServiceConnection:
    """
    Where the service is, and who we are there.

    :param conn_id: the id of the Airflow connection, for messages.
    :param host: the API root without the version, such as ``https://api.aspose.cloud``.
    :param api_version: the version segment of the path, such as ``v5.0``.
    :param token_url: where tokens are fetched.
    :param client_id: empty for a trial connection.
    :param client_secret: empty for a trial connection.
    :param timeout: seconds to wait for a connection, and for each part of an answer.
    :param verify: whether to verify TLS certificates, or the path of a CA bundle.
    :param proxies: URLs of proxies by scheme; empty: those of the environment.
    :param trial: whether to use the evaluation endpoints.
    """

    conn_id: str
    host: str
    api_version: str
    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    timeout: float
    verify: bool | str
    proxies: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    trial: bool = False

    @cached_property
    def api_root(self) -> ApiRoot:
        """The API below this host."""
        from airflow_provider_asposeocr.api.calls import ApiRoot  # noqa: PLC0415 - pydantic models load when first used

        return ApiRoot(f"{self.host}/{self.api_version}/ocr")

    @cached_property
    def credentials(self) -> Credentials:
        """
        The client id and secret.

        :raises AsposeOcrInputError: where one is missing.
        """
        from airflow_provider_asposeocr.api.tokens import Credentials  # noqa: PLC0415 - likewise

        missing = [
            name
            for name, value in (
                ("client id (the connection's login)", self.client_id),
                ("client secret (the connection's password)", self.client_secret),
            )
            if not value
        ]
        if missing:
            raise AsposeOcrInputError(
                f"Connection {self.conn_id!r} lacks the {' and the '.join(missing)}. Take both from the application in "
                "the vendor's dashboard, or set the extra `trial` to use the evaluation endpoints. Nothing was sent."
            )
        return Credentials(self.token_url, self.client_id, self.client_secret)


def service_connection(connection: Connection, extra: Mapping[str, Any] | None = None) -> ServiceConnection:
    """
    Read an Airflow connection.

    :param connection: of type ``aspose_ocr``.
    :param extra: its extra, where the caller has it already; else it is taken from the connection.
    :raises AsposeOcrInputError: for a field that cannot work, and for plain ``http`` to a host beyond this machine.
    """
    if extra is None:
        extra = connection.extra_dejson
    given = {name: extra[name] for name in CONNECTION_FIELDS if extra.get(name) not in (None, "")}
    values = {name: field["schema"].get("default") for name, field in CONNECTION_FIELDS.items()} | given
    conn_id = str(connection.conn_id)
    host = _host(connection, conn_id)
    version = str(values["api_version"]).strip("/ ")
    host = host.removesuffix(f"/{version}/ocr")
    token_url = _safe_url(str(values["token_url"] or f"{host}/{TOKEN_PATH}"), "token_url", conn_id)
    return ServiceConnection(
        conn_id=conn_id,
        host=host,
        api_version=version,
        token_url=token_url,
        client_id=(connection.login or "").strip(),
        client_secret=(connection.password or "").strip(),
        timeout=_seconds(values["timeout"], conn_id),
        verify=_verify(values["verify"], conn_id),
        proxies=_proxies(values["proxies"], conn_id),
        trial=_boolean(values["trial"], "trial", conn_id),
    )


def _host(connection: Connection, conn_id: str) -> str:
    host = (connection.host or API_HOST).strip()
    if "://" not in host:
        scheme = connection.schema if connection.schema in ("http", "https") else "https"
        host = f"{scheme}://{host}"
    host = _safe_url(host.rstrip("/"), "host", conn_id)
    parts = urlsplit(host)
    if connection.port and parts.port is None:
        host = parts._replace(netloc=f"{parts.netloc}:{connection.port}").geturl()
    return host


def _safe_url(url: str, what: str, conn_id: str) -> str:
    """Refuse addresses to which neither a secret nor a document may go."""
    try:
        parts = urlsplit(url)
        name, _ = parts.hostname, parts.port
    except ValueError:
        parts, name = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not name or parts.query or parts.fragment:
        # Without what stands before an @: it may be a secret.
        shown = url.rpartition("@")[2]
        raise AsposeOcrInputError(
            f"The {what} of connection {conn_id!r} is not an address such as {API_HOST}: {shown!r:.200}."
        )
    if parts.username or parts.password:
        raise AsposeOcrInputError(
            f"The {what} of connection {conn_id!r} holds a user name or password. Put the client id into the login and "
            "the client secret into the password, where Airflow encrypts and masks them."
        )
    if parts.scheme == "http" and not is_loopback(name):
        raise AsposeOcrInputError(
            f"The {what} of connection {conn_id!r} is plain http to {name}: the client secret and the documents would "
            "travel in the clear. Use https (plain http is allowed to this machine only, such as an emulator)."
        )
    return url


def is_loopback(name: str) -> bool:
    """
    Whether a host is this machine.

    :param name: a name or an address.
    """
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _seconds(value: Any, conn_id: str) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise AsposeOcrInputError(f"The timeout of connection {conn_id!r} must be seconds over 0, got {value!r}.")
    return seconds


_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _boolean(value: Any, what: str, conn_id: str) -> bool:
    boolean = _BOOLEANS.get(str(value).strip().lower())
    if boolean is None:
        raise AsposeOcrInputError(f"The {what} of connection {conn_id!r} must be true or false, got {value!r:.40}.")
    return boolean


def _verify(value: Any, conn_id: str) -> bool | str:
    text = str(value).strip()
    verify = _BOOLEANS.get(text.lower(), text)
    if isinstance(verify, str) and not Path(verify).exists():
        raise AsposeOcrInputError(
            f"The verify of connection {conn_id!r} must be true, false or the path of a CA bundle on this machine: "
            f"there is no {verify!r:.200}."
        )
    return verify


def _proxies(value: Any, conn_id: str) -> tuple[tuple[str, str], ...]:
    try:
        proxies = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        proxies = value
    if proxies is None:
        return ()
    if not isinstance(proxies, Mapping) or not all(isinstance(url, str) for url in proxies.values()):
        raise AsposeOcrInputError(
            f"The proxies of connection {conn_id!r} must be a JSON object of URLs by scheme, such as "
            '{"https": "http://proxy.example.com:3128"}.'
        )
    return tuple(sorted((str(scheme), url) for scheme, url in proxies.items()))
