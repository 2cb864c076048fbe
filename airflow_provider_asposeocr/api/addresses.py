"""
Addresses as users write them: of the service, of its token endpoint, of a proxy.

What passes here is read in the same way by every HTTP library. What they read differently, or only fail on once a
document is on its way (an empty label in a name, a backslash, a proxy without a scheme), does not pass.
"""

from __future__ import annotations

import ipaddress
import re
from typing import ClassVar
from urllib.parse import unquote

from msgspec.structs import replace

from airflow_provider_asposeocr.api.values import Value

_LABEL = re.compile(r"[a-z0-9_-]{1,63}", re.ASCII)
_NETLOC = re.compile(
    r"(?:(?P<userinfo>.*)@)?(?:\[(?P<ipv6>[^\[\]]*)\]|(?P<name>[^\[\]:@]*))(?::(?P<port>\d{0,9}))?", re.ASCII
)
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_LONGEST_NAME = 253
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*", re.ASCII)


class Address(Value, frozen=True):
    """
    An address of the web without query and fragment.

    :param scheme: such as ``https``.
    :param host: a name or an IP address in lower case, without brackets, without a dot at its end.
    :param port: where one was given.
    :param path: as it was given.
    :param userinfo: user name and password as they were given; empty where there were none.
    """

    UNSAID: ClassVar[tuple[str, ...]] = ("userinfo",)

    scheme: str
    host: str
    port: int | None = None
    path: str = ""
    userinfo: str = ""

    @property
    def url(self) -> str:
        """The address as one text, with user name and password."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        user = f"{self.userinfo}@" if self.userinfo else ""
        return f"{self.scheme}://{user}{name}{port}{self.path}"

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine."""
        if self.host == "localhost":
            return True
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            return False
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return (mapped or address).is_loopback


def parse_address(text: str) -> Address:
    """
    Read an address.

    :param text: whole, with its scheme.
    :raises ValueError: saying what is wrong, without quoting anything: a part may be a secret.
    """
    if "\\" in text or any(not character.isprintable() or character.isspace() for character in text):
        raise ValueError("it holds white space or a character that no address has")
    if "?" in text or "#" in text:
        raise ValueError("it holds a query or a fragment (`?`, `#`)")
    if _STRAY_PERCENT.search(text):
        raise ValueError("it holds a `%` that escapes nothing (write it as `%25`)")
    scheme, separator, rest = text.partition("://")
    netloc, slash, path = rest.partition("/")
    found = _NETLOC.fullmatch(netloc)
    if not separator or found is None:
        raise ValueError("its host or its port cannot be read")
    port = int(found["port"]) if found["port"] else None
    if port is not None and not 0 < port < 65536:
        raise ValueError("its port is not a number from 1 to 65535")
    ipv6 = found["ipv6"]
    host = _checked_name(found["name"].lower()) if ipv6 is None else _checked_ipv6(ipv6)
    return Address(scheme.lower(), host, port, slash + path, found["userinfo"] or "")


def _checked_ipv6(host: str) -> str:
    try:
        # An address with a zone is of one machine alone, and no HTTP library sends it as it is.
        return str(ipaddress.IPv6Address(host if "%" not in host else ""))
    except ValueError:
        raise ValueError("its host is not an IPv6 address") from None


def _checked_name(host: str) -> str:
    if not host:
        raise ValueError("it names no host")
    if not host.isascii():
        raise ValueError("the name of its host is not ASCII: write it as it stands in the DNS (`xn--...`)")
    name = host.removesuffix(".")
    labels = name.split(".")
    if not all(labels):
        raise ValueError("the name of its host has an empty label, such as between two dots")
    if len(name) > _LONGEST_NAME or any(len(label) > 63 for label in labels):
        raise ValueError(f"the name of its host is over {_LONGEST_NAME} characters, or a label of it is over 63")
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("the name of its host holds a character that no name has")
    if _NUMBER.fullmatch(labels[-1]):
        # What is no address of four numbers ("127.1", "2130706433") is taken for one by some resolvers.
        try:
            ipaddress.IPv4Address(name)
        except ValueError:
            raise ValueError("its host is not an IPv4 address") from None
    return name


def parse_proxy(text: str) -> Address:
    """
    Read the address of a proxy; without a scheme it is ``http``.

    :param text: such as ``http://proxy.example.com:3128``.
    :raises ValueError: saying what is wrong, without quoting anything.
    """
    text = text.strip()
    address = parse_address(text if "://" in text else f"http://{text.removeprefix('//')}")
    if address.scheme not in ("http", "https"):
        raise ValueError("its scheme is neither http nor https")
    if address.path not in ("", "/"):
        raise ValueError("it holds a path")
    try:
        unquote(address.userinfo).encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError("its user name or password is not Latin-1") from None
    if address.userinfo.startswith(":"):
        raise ValueError("it holds a password, but no user name")
    # Without the colon, requests tells the proxy no user name at all.
    userinfo = address.userinfo + ":" if address.userinfo and ":" not in address.userinfo else address.userinfo
    return replace(address, path="", userinfo=userinfo)
