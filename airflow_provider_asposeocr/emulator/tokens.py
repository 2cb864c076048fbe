"""Access tokens of the emulator: issued, checked, expired, revoked."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable


class TokenDesk:
    """
    Issues and checks tokens.

    :param lifetime: seconds a token is good for.
    :param client_id: the only client id that gets one; ``None`` lets any that is not empty pass.
    :param client_secret: the only secret that gets one; ``None`` lets any that is not empty pass.
    :param clock: seconds from any start.
    """

    def __init__(
        self,
        *,
        lifetime: float,
        client_id: str | None,
        client_secret: str | None,
        clock: Callable[[], float],
    ) -> None:
        self.lifetime = lifetime
        self._client_id = client_id
        self._client_secret = client_secret
        self._clock = clock
        self._expiries: dict[str, float] = {}
        self._lock = threading.Lock()

    def knows(self, client_id: str, client_secret: str) -> bool:
        """
        Whether this client may have a token.

        :param client_id: as it was sent.
        :param client_secret: as it was sent.
        """
        if not client_id or not client_secret:
            return False
        return _same(client_id, self._client_id) and _same(client_secret, self._client_secret)

    def issue(self) -> str:
        """Return a new token."""
        token = secrets.token_urlsafe(48)
        now = self._clock()
        with self._lock:
            self._expiries = {known: expiry for known, expiry in self._expiries.items() if expiry > now}
            self._expiries[token] = now + self.lifetime
        return token

    def valid(self) -> list[str]:
        """The tokens that are good now."""
        now = self._clock()
        with self._lock:
            return [token for token, expiry in self._expiries.items() if expiry > now]

    def accepts(self, authorization: str | None) -> bool:
        """
        Whether a token is one of ours and still good.

        :param authorization: the value of the header of that name.
        """
        token = _bearer(authorization)
        with self._lock:
            expiry = self._expiries.get(token) if token else None
            return expiry is not None and expiry > self._clock()

    def revoke(self, authorization: str | None) -> None:
        """
        Accept a token no longer.

        :param authorization: the value of the header of that name.
        """
        token = _bearer(authorization)
        if token:
            with self._lock:
                self._expiries.pop(token, None)


def _same(sent: str, expected: str | None) -> bool:
    return expected is None or secrets.compare_digest(sent.encode(), expected.encode())


def _bearer(authorization: str | None) -> str | None:
    scheme, _, token = (authorization or "").strip().partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
