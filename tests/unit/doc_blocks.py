"""The Python blocks of the README and the guides, as files that can be run."""

from __future__ import annotations

import re
import shutil
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = ROOT / "example_dags"
SCANS = EXAMPLES / "scans"

_BLOCK = re.compile(r"^( *)```python\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_SECTION = re.compile(r"\[START [\w]+\]\n(.*?)^[^\n]*\[END ", re.MULTILINE | re.DOTALL)
_DOCUMENT = re.compile(r"/data/[\w/.-]*\w\.(?:jpg|jpeg|png|tif|pdf|csv|djvu)\b")

# What is read, but not run: a part of the source that shows it, and why.
ONLY_PARSED = {
    "s3://": "it needs a bucket: tests/integration/test_object_storage.py has one",
    'params={"id"': "it needs the id of a job of somebody else",
    "def run(self, flow)": "it shows the form of a loop, with names of its class",
}


@dataclass(frozen=True)
class DocBlock:
    """
    One block.

    :param page: the page's path below the root.
    :param line: where it begins.
    :param source: without the indentation of a list that it stands in.
    """

    page: str
    line: int
    source: str

    @property
    def name(self) -> str:
        """A name for a file and a DAG."""
        return re.sub(r"\W+", "_", self.page.removesuffix(".md")) + f"_{self.line}"

    @property
    def is_of_an_example(self) -> bool:
        """Whether it is a marked section of an example DAG, or a part of one, word for word."""
        return any(self.source.strip() in section for section in _sections())

    @property
    def is_of_tests(self) -> bool:
        """Whether it is a file for pytest."""
        return "\ndef test_" in self.source

    @property
    def only_parsed(self) -> bool:
        """Whether it cannot be run here."""
        return any(part in self.source for part in ONLY_PARSED)

    def program(self, data: Path) -> str:
        """
        The block as a file: tasks without a DAG get one, and a folder stands for ``/data``.

        :param data: that folder; the documents that the block names are put into it.
        """
        source = self.source
        tasks = re.search(r"^\s*(?:\w+ = )?(?:AsposeOcr\w+(?:Operator|Sensor)\(|@task)", source, re.MULTILINE)
        if tasks and "with DAG(" not in source:
            source = (
                "from datetime import datetime\n\nfrom airflow.providers.common.compat.sdk import DAG\n\n"
                f'with DAG("{self.name}", start_date=datetime(2024, 1, 1), schedule=None):\n'
                + textwrap.indent(source, "    ")
            )
        (data / "texts").mkdir(parents=True, exist_ok=True)
        _put(data / "inbox" / "letter.jpg")
        for document in _DOCUMENT.findall(source):
            _put(data / document.removeprefix("/data/"))
        return source.replace("/data/", f"{data}/")


def python_blocks() -> list[DocBlock]:
    """Return all Python blocks of the README and the guides."""
    return [
        DocBlock(str(page.relative_to(ROOT)), text.count("\n", 0, found.start()) + 1, textwrap.dedent(found.group(2)))
        for page in PAGES
        for text in [page.read_text()]
        for found in _BLOCK.finditer(text)
    ]


def _sections() -> set[str]:
    """The marked sections of the example DAGs."""
    return {
        textwrap.dedent(section).strip()
        for example in EXAMPLES.glob("*.py")
        for section in _SECTION.findall(example.read_text())
    }


def _put(place: Path) -> None:
    """Put a sample of the kind that the name tells."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.suffix == ".csv":
        place.write_text("0,1\nBlack tea,6.85\n")
        return
    samples = {"card": "id-card-form.jpg", "invoice": "receipt.jpg", "receipt": "receipt.jpg", "table": "receipt.jpg"}
    by_kind = {".pdf": "huckleberry-finn-page-29.pdf", ".djvu": "page.djvu"}
    sample = by_kind.get(place.suffix) or samples.get(place.stem, "letters/01-apples.jpg")
    shutil.copyfile(SCANS / sample, place)
