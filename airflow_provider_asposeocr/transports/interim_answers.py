"""
Interim answers (1xx) over ``requests``: they are passed over, as ``aiohttp`` does.

``http.client`` does so with ``100 Continue`` alone. Any other, such as a gateway's ``103 Early Hints``, it takes for
the answer: an accepted submission would be told as refused, and what the service says then would answer the next call.
"""

from __future__ import annotations

import http.client

_SWITCHING_PROTOCOLS = 101
"""Nothing in HTTP follows it."""
_MOST = 100
"""Without a limit, a server that sends nothing else would hold its client for ever."""


class FinalAnswer(http.client.HTTPResponse):
    """The answer that follows all interim ones."""

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(_MOST):
            line: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]
            status = line[1]
            if not 100 <= status < 200 or status == _SWITCHING_PROTOCOLS:
                return line
            http.client.parse_headers(self.fp)
        raise http.client.HTTPException(f"over {_MOST} interim answers")
