"""
What the documentation site needs beyond MkDocs: the root's pages, links that leave ``docs/``, and drawn diagrams.

The pages are written to be read in the repository, too. So here their links out of ``docs/`` become links to the
repository, and their Mermaid diagrams become the pictures that ``make diagrams`` has drawn: the theme's own way would
fetch Mermaid from another host.
"""

from __future__ import annotations

import hashlib
import logging
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
DIAGRAMS = "pictures/diagrams"

# Pages of the repository's root that are pages of the site, too.
PAGES = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md", "SECURITY.md": "security.md"}

MERMAID = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(\]\(|^\[[^\]]+\]: )([^)\s#]*)((?:#[^)\s]*)?)", re.MULTILINE)
_CODE = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)

log = logging.getLogger("mkdocs.hooks.site")


def diagram_name(source: str) -> str:
    """The file name of the picture of a Mermaid diagram."""
    return f"{hashlib.sha256(source.encode()).hexdigest()[:12]}.svg"


def on_files(files: Files, config: Any) -> Files:
    """Take the pages of the repository's root in."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turn links out of ``docs/`` into links to the repository, and diagrams into their pictures."""
    source = next((root for root, name in PAGES.items() if name == page.file.src_uri), f"docs/{page.file.src_uri}")
    parts, end = [], 0
    for code in _CODE.finditer(markdown):
        parts += [_linked(markdown[end : code.start()], source, config), code.group()]
        end = code.end()
    parts.append(_linked(markdown[end:], source, config))
    return MERMAID.sub(lambda found: _picture(found.group(1), page, files), "".join(parts))


def _linked(text: str, source: str, config: Any) -> str:
    """Prose with its links as the site needs them."""

    def link(found: re.Match[str]) -> str:
        before, target, anchor = found.groups()
        if not target or "://" in target or target.startswith("mailto:"):
            return found.group()
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        place = PAGES.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else None)
        if place is None:
            return f"{before}{config['extra']['repository']}{path}{anchor}"
        here = posixpath.dirname(PAGES.get(source) or source.removeprefix("docs/"))
        return f"{before}{posixpath.relpath(place, here or '.')}{anchor}"

    return _LINK.sub(link, text)


def _picture(diagram: str, page: Any, files: Files) -> str:
    """The picture of a diagram; a warning, which fails the build, where it was not drawn."""
    name = diagram_name(diagram)
    if files.get_file_from_path(f"{DIAGRAMS}/{name}") is None:
        log.warning("%s: a diagram has no picture %s/%s: run `make diagrams`", page.file.src_uri, DIAGRAMS, name)
    up = posixpath.relpath(DIAGRAMS, posixpath.dirname(page.file.src_uri) or ".")
    return f"![Diagram: {diagram.split()[0]}]({up}/{name}){{ .diagram }}"
