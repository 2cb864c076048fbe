"""
What this package brings onto a machine, by extra, as it is installed here: the ground of the licences and the SBOM.

``python scripts/dependencies.py licences`` writes docs/licences.md, ``... print`` prints it, and ``... requirements``
prints pins of all of it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution, metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PACKAGE = "airflow-provider-asposeocr"
PAGE = Path(__file__).parent.parent / "docs" / "licences.md"

# Its metadata is silent. The library inside is eSpeak NG: https://github.com/espeak-ng/espeak-ng/blob/master/COPYING
SAID_ELSEWHERE = {"espeakng-loader": "not said; it holds eSpeak NG, GPL-3.0-or-later"}

HEAD = """# Licences of the extras

What `pip install 'airflow-provider-asposeocr[...]'` installs beside Airflow and its own dependencies, and under which
licence, as the packages say it themselves. Made by `make licences` from the pinned environment. This package is under
the Apache License 2.0.
"""


def extras() -> list[str]:
    """Return the names of the extras."""
    return sorted(metadata(PACKAGE).get_all("Provides-Extra") or [])


def brought(package: str, wanted: Iterable[str] = ()) -> set[str]:
    """
    Return the names of all that a package needs, itself included, as far as it is installed.

    :param package: its name.
    :param wanted: its extras.
    """
    found: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    open_ends = [(canonicalize_name(package), frozenset(wanted))]
    while open_ends:
        name, extras_of_it = open_ends.pop()
        if (name, extras_of_it) in seen:
            continue
        seen.add((name, extras_of_it))
        try:
            needed = distribution(name).requires or []
        except PackageNotFoundError:
            continue
        found.add(name)
        for requirement in map(Requirement, needed):
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in (extras_of_it or {""})):
                open_ends.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return found


def licence(package: str) -> str:
    """
    Return a package's licence, as short as it says it.

    :param package: its name.
    """
    if package in SAID_ELSEWHERE:
        return SAID_ELSEWHERE[package]
    said = metadata(package)
    if expression := said.get("License-Expression"):
        return str(expression)
    classifiers = [
        line.rpartition(" :: ")[2]
        for line in said.get_all("Classifier") or []
        if line.startswith("License :: ") and line != "License :: OSI Approved"
    ]
    return ", ".join(classifiers) or (str(said.get("License") or "") or "not said").splitlines()[0]


def licences() -> str:
    """Return the page of licences."""
    airflow = brought("apache-airflow")
    plain = brought(PACKAGE)
    parts = [HEAD, "## Without extras\n", _table(plain - airflow - {PACKAGE})]
    for extra in extras():
        parts += [f"## `{extra}`\n", _table(brought(PACKAGE, [extra]) - plain - airflow)]
    return "\n".join(parts)


def requirements() -> str:
    """Return pins of all that the package needs, with all extras."""
    return "".join(f"{name}=={distribution(name).version}\n" for name in sorted(brought(PACKAGE, extras()) - {PACKAGE}))


def _table(packages: Iterable[str]) -> str:
    """Packages and their licences."""
    rows = [f"| [{name}](https://pypi.org/project/{name}/) | {licence(name)} |" for name in sorted(packages)]
    return "\n".join(["| package | licence |", "|---|---|", *rows, ""])


if __name__ == "__main__":
    if sys.argv[1:] == ["licences"]:
        PAGE.write_text(licences())
    else:
        sys.stdout.write(licences() if sys.argv[1:] == ["print"] else requirements())
