"""What a broken exchange means, and what is wrong with an answer's body: said once, for both transports."""

from __future__ import annotations

from typing import Any

from airflow_provider_asposeocr.api.exchanges import HttpRequest
from airflow_provider_asposeocr.api.refusals import without_an_id
from airflow_provider_asposeocr.exceptions import AsposeOcrProtocolError


def raise_unless_refused(request: HttpRequest, status: int, error: AsposeOcrProtocolError) -> None:
    """
    Raise what is wrong with a body, but of a refusal: there the status says it all.

    :param request: the exchange.
    :param status: of the answer.
    :param error: what is wrong.
    :raises AsposeOcrError: that, as it is to be said of this exchange.
    """
    if not 200 <= status < 300:
        return
    if request.is_submission:
        raise without_an_id(request, f"The service answered {status}, but: {error.message}") from error
    raise error


def came_too_late(host: str) -> str:
    """
    Say that an answer was not whole when its deadline came.

    :param host: of the connection.
    """
    return f"{host} had not answered to the end when the time was over. The call broke"


def what_broke(error: BaseException, host: str) -> str:
    """
    Say what broke by the kind of error alone: the libraries' own texts repeat the URL and whatever it holds.

    :param error: of an HTTP library.
    :param host: of the connection.
    """
    chain: list[BaseException] = []
    cause: Any = error
    while isinstance(cause, BaseException) and cause not in chain:
        chain.append(cause)
        inner = next((argument for argument in cause.args if isinstance(argument, BaseException)), None)
        cause = getattr(cause, "reason", None) or inner or cause.__cause__ or cause.__context__
    kinds = {type(link).__name__ for link in chain}
    if kinds & {"NameResolutionError", "gaierror", "ClientConnectorDNSError"}:
        return f"The host of {host} is not known: is the network up, and the connection's host right? The call broke"
    if kinds & {"SSLCertVerificationError", "CertificateError", "ClientConnectorCertificateError"}:
        return f"The TLS certificate of {host} was not accepted (extra `verify` takes a CA bundle). The call broke"
    if kinds & {"SSLError", "ClientConnectorSSLError", "ClientSSLError"}:
        return f"TLS with {host} failed (extra `verify`, or something in between answers instead). The call broke"
    if kinds & {"ProxyError", "ClientProxyConnectionError", "ClientHttpProxyError"}:
        return f"The proxy to {host} did not answer (extra `proxies`). The call broke"
    if kinds & {"ConnectionRefusedError"}:
        return f"{host} refused the connection: is the service running there? The call broke"
    if any("Timeout" in kind for kind in kinds) or kinds & {"timeout"}:
        return f"{host} did not answer in time (extra `timeout`). The call broke"
    return f"The exchange with {host} broke ({type(chain[-1]).__name__})"
