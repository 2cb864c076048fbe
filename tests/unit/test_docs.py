"""The guides name tests, files and classes: they must be there."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from airflow_provider_asposeocr.api.endpoints import ENDPOINTS
from airflow_provider_asposeocr.events import Event

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PACKAGE = ROOT / "airflow_provider_asposeocr"

_LINK = re.compile(r"^\[([a-z]+)\]: \.\./(tests/\S+)$", re.MULTILINE)
_ROW = re.compile(r"^\| \d+ \| \[([a-z]+)\] \| `([\w:]+)` \|$", re.MULTILINE)


def test_every_row_of_the_failures_names_a_test_that_exists() -> None:
    """Each row of the table of failures has a test, by the name that the page gives."""
    page = (DOCS / "retries-and-failures.md").read_text()
    files = dict(_LINK.findall(page))
    rows = _ROW.findall(page)
    assert len(rows) > 40
    for label, name in rows:
        source = (ROOT / files[label]).read_text()
        for part in name.split("::"):
            assert re.search(rf"^ *(?:async )?(?:def|class) {part}\b", source, re.MULTILINE), f"{files[label]}: {part}"


def test_every_row_of_what_happens_has_a_test() -> None:
    """No row of the table of failures stands without a test, but those that cannot be made to happen."""
    page = (DOCS / "retries-and-failures.md").read_text()
    table = page.partition("## What happens in each failure")[2].partition("### The tests behind the rows")[0]
    tested = set(re.findall(r"^\| (\d+) \| \[", page, re.MULTILINE))
    assert set(re.findall(r"^\| (\d+) \| [^\[]", table, re.MULTILINE)) == tested


def test_the_licences_are_those_of_the_environment() -> None:
    """docs/licences.md is what `make licences` writes, in the environment that has all extras."""
    if importlib.util.find_spec("mkdocs") is None:
        pytest.skip("made beside Airflow 3.3")
    script = ROOT / "scripts" / "dependencies.py"
    told = subprocess.run([sys.executable, script, "print"], capture_output=True, text=True, check=True).stdout
    assert told == (DOCS / "licences.md").read_text()


def test_the_changelog_keeps_its_form() -> None:
    """Each version has only the headings of Keep a Changelog, and the unreleased one stands first."""
    page = (ROOT / "CHANGELOG.md").read_text()
    versions = re.findall(r"^## (.+)$", page, re.MULTILINE)
    assert versions[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", version) for version in versions[1:])
    kinds = set(re.findall(r"^### (.+)$", page, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_map_names_files_that_exist() -> None:
    """Each Python file that the map of the house names is there."""
    named = set(re.findall(r"[\w/]+/\w+\.py", (DOCS / "architecture.md").read_text()))
    assert len(named) > 30
    missing = [
        name
        for name in sorted(named)
        if not ((ROOT if name.startswith(("tests/", "benchmarks/")) else PACKAGE) / name).is_file()
    ]
    assert missing == []


def test_the_guide_has_the_names_of_all_log_lines() -> None:
    """They are the names that lines bear: alerts depend on them."""
    table = (DOCS / "metrics.md").read_text().partition("## Log lines")[2]
    told = set()
    for row in re.findall(r"^\| (`aspose_ocr\.[^|]+) \|", table, re.MULTILINE):
        first, *others = re.findall(r"`([^`]+)`", row)
        told |= {first, *(first.rpartition(".")[0] + other for other in others)}
    source = "".join(file.read_text() for file in PACKAGE.rglob("*.py"))
    assert told == {event.value for event in Event if f"Event.{event.name}" in source}
    assert told == {event.value for event in Event}


def test_the_guide_of_the_connection_names_each_evaluation_endpoint() -> None:
    page = (DOCS / "connection.md").read_text()
    assert [row.trial for row in ENDPOINTS.values() if row.trial and f"`{row.trial}`" not in page] == []


@pytest.mark.parametrize(
    "page",
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted(DOCS.rglob("*.md"))],
    ids=lambda page: str(page.relative_to(ROOT)).removesuffix(".md"),
)
def test_links_between_the_guides_lead_somewhere(page: Path) -> None:
    """Each link from one page to a file or a heading of the repository leads there."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
            assert anchor in slugs, target


@pytest.mark.parametrize("example", sorted((ROOT / "example_dags").glob("example_*.py")), ids=lambda path: path.stem)
def test_every_example_stands_in_a_guide(example: Path) -> None:
    """What stands between the marks of an example stands, word for word, in one of the guides."""
    guides = "".join(page.read_text() for page in DOCS.glob("*.md"))
    marked = re.findall(r"# \[START (\w+)\]\n(.*?)\n *# \[END \1\]", example.read_text(), re.DOTALL)
    assert marked, "no marks"
    for name, code in marked:
        assert f"```python\n{textwrap.dedent(code).rstrip()}\n```" in guides, name


def test_the_pictures_of_the_guides_are_small() -> None:
    """A picture has less than 200 KB, and stands in a guide."""
    guides = "".join(page.read_text() for page in DOCS.glob("*.md"))
    for picture in (DOCS / "pictures").glob("*.png"):
        assert picture.stat().st_size < 200_000, picture.name
        assert f"pictures/{picture.name}" in guides, picture.name
