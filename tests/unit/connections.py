"""Fields of Airflow connections."""

from __future__ import annotations

from typing import Any

SECRET = "s3cr3t-and-sound"


def extra(**values: Any) -> dict[str, Any]:
    """Return the connection's extra of these values."""
    return {"extra": values}
