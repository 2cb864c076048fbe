"""Whom a connection trusts: the same certificates for both transports."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache
from pathlib import Path

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from airflow_provider_asposeocr.connection import ServiceConnection
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError

_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def tls_context(connection: ServiceConnection) -> ssl.SSLContext:
    """
    Return what verifies the certificates of a connection.

    With ``verify`` true the certificates of certifi are trusted, or those that ``REQUESTS_CA_BUNDLE`` or
    ``CURL_CA_BUNDLE`` of the environment names.

    :param connection: over which.
    :raises AsposeOcrInputError: where the bundle to trust is not there, or holds no certificate.
    """
    if connection.verify is False:
        return _unverified()
    if connection.verify is True:
        variable = next((name for name in _VARIABLES if os.environ.get(name)), None)
        bundle = os.environ[variable] if variable else DEFAULT_CA_BUNDLE_PATH
        named = f"The environment variable {variable}" if variable else "The package certifi"
    else:
        bundle = connection.verify
        named = f"The verify of connection {connection.conn_id!r}"
    try:
        # A bundle that was replaced is another one.
        return _trusting(bundle, Path(bundle).stat().st_mtime_ns)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise AsposeOcrInputError(
            f"{named} names {bundle!r:.200}, which holds no CA certificates on this machine ({reason}). "
            "This call was not sent."
        ) from error


@lru_cache(maxsize=64)
def _trusting(bundle: str, _changed_at: int) -> ssl.SSLContext:
    if Path(bundle).is_dir():
        return _speaking_http(ssl.create_default_context(capath=bundle))
    return _speaking_http(ssl.create_default_context(cafile=bundle))


@lru_cache(maxsize=1)
def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return _speaking_http(context)


def _speaking_http(context: ssl.SSLContext) -> ssl.SSLContext:
    """What both libraries say in the contexts of their own making: a server may speak HTTP/2 where nobody does."""
    context.set_alpn_protocols(["http/1.1"])
    return context
