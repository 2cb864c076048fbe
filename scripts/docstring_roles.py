"""Reads the Sphinx roles of our docstrings for the site's reference: ``:class:`~a.b.C``` becomes a link to ``C``."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension

_ROLE = re.compile(r":(?:class|meth|func|mod|attr|data|exc|obj):`(~?)([\w.]+)`")


def _link(found: re.Match[str]) -> str:
    short, name = found.groups()
    shown = name.rpartition(".")[2] if short else name
    # Optional: what the reference does not show stays plain.
    return f'<autoref optional identifier="{name}"><code>{shown}</code></autoref>'


class Roles(Extension):
    """Rewrites each docstring as it is read."""

    def on_object(self, *, obj: Any, **_: Any) -> None:
        """Rewrite one docstring."""
        if obj.docstring is not None:
            obj.docstring.value = _ROLE.sub(_link, obj.docstring.value)
