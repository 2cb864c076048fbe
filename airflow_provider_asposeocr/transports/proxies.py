"""Which proxy an exchange goes through: the same for both transports."""

from __future__ import annotations

from requests.utils import get_environ_proxies, select_proxy

from airflow_provider_asposeocr.api.addresses import parse_address, parse_proxy
from airflow_provider_asposeocr.connection import ServiceConnection
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError


def proxy_to(connection: ServiceConnection, url: str) -> str | None:
    """
    Return the proxy to an address: the connection's, or where that names none at all, the environment's.

    This machine is never reached through one: plain http is allowed to it because what is said stays here.

    :param connection: over which.
    :param url: of the exchange.
    :raises AsposeOcrInputError: where the environment names what cannot be a proxy.
    """
    if parse_address(url.partition("?")[0]).is_loopback:
        return None
    if connection.proxies:
        return select_proxy(url, dict(connection.proxies)) or None
    proxy = select_proxy(url, get_environ_proxies(url))
    if not proxy:
        return None
    try:
        return parse_proxy(proxy).url
    except ValueError as error:
        raise AsposeOcrInputError(
            "The proxy that the environment of this process names (HTTPS_PROXY or ALL_PROXY) is not an address such as "
            f"http://proxy.example.com:3128: {error}. Mend it there, or set the extra `proxies` of connection "
            f"{connection.conn_id!r}. This call was not sent."
        ) from None
