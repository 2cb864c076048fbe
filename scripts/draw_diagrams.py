"""
Draws the Mermaid diagrams of docs/ as SVG pictures for the documentation site: ``make diagrams``.

Needs ``npm``, by which it fetches Mermaid (MIT licence), and Chromium. The pictures stand in the repository, so the
site is built without both; a picture is named after its diagram, so one that is out of date is missed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright
from site_hooks import DIAGRAMS, MERMAID, diagram_name

MERMAID_PACKAGE = "mermaid@11.12.0"
DOCS = Path(__file__).parent.parent / "docs"

DRAW = """async (source) => {
    mermaid.initialize({
        startOnLoad: false, theme: "neutral", htmlLabels: false, flowchart: {htmlLabels: false},
        fontFamily: "Helvetica, Arial, sans-serif", deterministicIds: true,
    });
    return (await mermaid.render("diagram", source)).svg;
}"""


def main() -> int:
    """Draw what has no picture yet, remove what no page shows any more."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None or shutil.which("npm") is None:
        print("Drawing needs Chromium and npm: install the packages 'chromium' and 'npm'.", file=sys.stderr)
        return 1
    folder = DOCS / DIAGRAMS
    folder.mkdir(parents=True, exist_ok=True)
    diagrams = {diagram_name(text): text for page in DOCS.rglob("*.md") for text in MERMAID.findall(page.read_text())}
    for old in folder.glob("*.svg"):
        if old.name not in diagrams:
            old.unlink()
    missing = {name: text for name, text in diagrams.items() if not (folder / name).exists()}
    if not missing:
        return 0
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        packed = subprocess.run(
            ["npm", "pack", "--silent", MERMAID_PACKAGE], cwd=home, check=True, capture_output=True, text=True
        )
        with tarfile.open(Path(home, packed.stdout.split()[-1])) as archive:
            archive.extract("package/dist/mermaid.min.js", home, filter="data")
        page = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"]).new_page()
        page.add_script_tag(path=Path(home, "package/dist/mermaid.min.js"))
        for name, text in missing.items():
            (folder / name).write_text(page.evaluate(DRAW, text) + "\n")
            print(folder / name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
