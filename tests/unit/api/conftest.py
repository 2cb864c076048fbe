"""How hypothesis runs here: a slow machine is no failure."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("api", settings.default, deadline=None)
settings.load_profile("api")
