"""Turns an Airflow connection of type ``aspose_ocr`` into where to send requests, and as whom."""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from msgspec.structs import replace

from airflow_provider_asposeocr.api.addresses import Address, parse_address, parse_proxy
from airflow_provider_asposeocr.api.calls import ApiRoot
from airflow_provider_asposeocr.api.endpoints import API_HOST, TOKEN_PATH
from airflow_provider_asposeocr.api.tokens import Credentials
from airflow_provider_asposeocr.api.values import Value
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError
from airflow_provider_asposeocr.get_provider_info import CONNECTION_FIELDS

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection


class ServiceConnection(Value, frozen=True, dict=True):
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

    UNSAID: ClassVar[tuple[str, ...]] = ("client_secret", "proxies")

    conn_id: str
    host: str
    api_version: str
    token_url: str
    client_id: str
    client_secret: str
    timeout: float
    verify: bool | str
    proxies: tuple[tuple[str, str], ...] = ()
    trial: bool = False

    @cached_property
    def api_root(self) -> ApiRoot:
        """The API below this host."""
        return ApiRoot(f"{self.host}/{self.api_version}/ocr")

    @cached_property
    def credentials(self) -> Credentials:
        """
        The client id and secret.

        :raises AsposeOcrInputError: where one is missing.
        """
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


def service_connection(connection: Connection, extra: Any = None) -> ServiceConnection:
    """
    Read an Airflow connection.

    :param connection: of type ``aspose_ocr``.
    :param extra: its extra as an object, where the caller has it already; else it is taken from the connection.
    :raises AsposeOcrInputError: for a field that cannot work, and for plain ``http`` to a host beyond this machine.
    """
    conn_id = str(connection.conn_id)
    extra = _object(connection, extra, conn_id)
    given = {name: extra[name] for name in CONNECTION_FIELDS if extra.get(name) not in (None, "")}
    values = {name: field["schema"].get("default") for name, field in CONNECTION_FIELDS.items()} | given
    version = _version(values["api_version"], conn_id)
    host, version = _root(connection, version, is_given="api_version" in given, conn_id=conn_id)
    token_url = str(values["token_url"] or f"{host}/{TOKEN_PATH}").strip()
    return ServiceConnection(
        conn_id=conn_id,
        host=host,
        api_version=version,
        token_url=_safe_address(token_url, "token_url", conn_id).url,
        client_id=(connection.login or "").strip(),
        client_secret=(connection.password or "").strip(),
        timeout=_seconds(values["timeout"], conn_id),
        verify=_verify(values["verify"], conn_id),
        proxies=_proxies(values["proxies"], conn_id),
        trial=_boolean(values["trial"], "trial", conn_id),
    )


def _object(connection: Connection, extra: Any, conn_id: str) -> Mapping[str, Any]:
    """Take the extra. Where it is not JSON, Airflow logs that and goes on as if there were none."""
    if extra is None:
        extra = connection.extra_dejson
    if not extra and connection.extra and connection.extra.strip():
        try:
            extra = json.loads(connection.extra)
        except ValueError:
            extra = connection.extra
    if extra is None:
        return {}
    if not isinstance(extra, Mapping):
        raise AsposeOcrInputError(
            f'The extra of connection {conn_id!r} must be a JSON object, such as {{"timeout": 120}}. Nothing was sent.'
        )
    return extra


_SEGMENT = re.compile(r"[A-Za-z0-9_~.-]*[A-Za-z0-9_~-][A-Za-z0-9_~.-]*", re.ASCII)


def _version(value: Any, conn_id: str) -> str:
    version = str(value).strip("/ ")
    if isinstance(value, bool) or not _SEGMENT.fullmatch(version):
        raise AsposeOcrInputError(
            f"The api_version of connection {conn_id!r} must be a segment of a path, such as v5.0, got {value!r:.60}."
        )
    return version


_ROOT = re.compile(r"(.*?)/(v\d+(?:\.\d+)*)/ocr", re.ASCII | re.IGNORECASE)


def _root(connection: Connection, version: str, *, is_given: bool, conn_id: str) -> tuple[str, str]:
    """Return the host with what stands before the version, and the version, which the host may name too."""
    host = str(connection.host or "").strip() or API_HOST
    if "://" not in host:
        scheme = str(connection.schema).lower()
        host = f"{scheme if scheme in ('http', 'https') else 'https'}://{_bracketed(host)}"
    address = _safe_address(host, "host", conn_id)
    if connection.port and address.port is None:
        address = _safe_address(replace(address, port=connection.port).url, "host", conn_id)
    path = address.path.rstrip("/")
    for tail in (f"/{version}/ocr", f"/{version}"):
        if path.lower().endswith(tail.lower()):
            return replace(address, path=path[: -len(tail)]).url, version
    if root := _ROOT.fullmatch(path):
        if is_given:
            raise AsposeOcrInputError(
                f"The host of connection {conn_id!r} ends in {root[2]}, and its extra api_version is {version}: "
                "leave one of them out. Nothing was sent."
            )
        return replace(address, path=root[1]).url, root[2].lower()
    return replace(address, path=path).url, version


def _bracketed(host: str) -> str:
    """An IPv6 address as it stands in a URL; Airflow takes the brackets from one in a URI."""
    name, slash, path = host.partition("/")
    try:
        ipaddress.IPv6Address(name)
    except ValueError:
        return host
    return f"[{name}]{slash}{path}"


def _safe_address(url: str, what: str, conn_id: str) -> Address:
    """Refuse addresses to which neither a secret nor a document may go."""
    try:
        if "@" in url.partition("://")[2].partition("/")[0]:
            raise AsposeOcrInputError(
                f"The {what} of connection {conn_id!r} holds a user name or password. Put the client id into the login "
                "and the client secret into the password, where Airflow encrypts and masks them. Nothing was sent."
            )
        address = parse_address(url)
        if address.scheme not in ("http", "https"):
            raise ValueError("its scheme is neither https nor http")
    except ValueError as error:
        raise AsposeOcrInputError(
            f"The {what} of connection {conn_id!r} is not an address such as {API_HOST}: {error}. Nothing was sent."
        ) from None
    if address.scheme == "http" and not address.is_loopback:
        raise AsposeOcrInputError(
            f"The {what} of connection {conn_id!r} is plain http to {address.host}: the client secret and the "
            "documents would travel in the clear. Use https (plain http is allowed to this machine only, such as an "
            "emulator). Nothing was sent."
        )
    return address


_LONGEST_TIMEOUT = 24 * 3600.0


def _seconds(value: Any, conn_id: str) -> float:
    try:
        seconds = 0.0 if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        seconds = 0.0
    if not 0 < seconds <= _LONGEST_TIMEOUT:
        raise AsposeOcrInputError(
            f"The timeout of connection {conn_id!r} must be seconds over 0, at most a day, got {value!r:.40}."
        )
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
    # Unlike pathlib's, this one has an answer for every text, such as a whole certificate instead of its path.
    if isinstance(verify, str) and not os.path.exists(verify):  # noqa: PTH110
        raise AsposeOcrInputError(
            f"The verify of connection {conn_id!r} must be true, false or the path of a CA bundle on this machine: "
            f"there is no {verify!r:.200}."
        )
    return verify


_PROXIED = re.compile(r"(https?|all)(://[^/:]+)?")


def _proxies(value: Any, conn_id: str) -> tuple[tuple[str, str], ...]:
    try:
        proxies = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        proxies = value
    if proxies is None:
        return ()
    try:
        if not isinstance(proxies, Mapping):
            raise ValueError("it is no object")
        return tuple(sorted(_proxy(str(key).strip().lower(), url) for key, url in proxies.items()))
    except ValueError as error:
        raise AsposeOcrInputError(
            f"The proxies of connection {conn_id!r} must be a JSON object of URLs by scheme, such as "
            f'{{"https": "http://proxy.example.com:3128"}}: {error}. Nothing was sent.'
        ) from None


def _proxy(key: str, url: Any) -> tuple[str, str]:
    if not _PROXIED.fullmatch(key):
        # Who has mixed up the two sides has a password in it.
        name = "a name that holds an @" if "@" in key else f"{key!r:.60}"
        raise ValueError(f"{name} is neither a scheme (https, http, all) nor a scheme and a host")
    if not isinstance(url, str):
        raise ValueError(f"what stands for {key!r:.60} is no text")
    try:
        # An empty one says to go directly, whatever the environment says.
        return key, parse_proxy(url).url if url.strip() else ""
    except ValueError as error:
        raise ValueError(f"of what stands for {key!r:.60}, {error}") from None
