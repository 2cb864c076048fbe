"""
Builds what is released, twice, and checks it: ``make release``.

Into ``dist/``: the sdist, the wheel, an SBOM (CycloneDX) of what the package needs, and the licences of the extras.
The two builds are made in other folders, with other umasks, time zones and file times, and must be equal, byte for
byte. The time in the archives is that of the last commit (``SOURCE_DATE_EPOCH``).
"""

from __future__ import annotations

import filecmp
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts.source_tree import copy_source, source_time

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
BIN = Path(sys.executable).parent


def main() -> int:
    """Build, compare, check."""
    shutil.rmtree(DIST, ignore_errors=True)
    with tempfile.TemporaryDirectory() as home:
        first = built(Path(home, "first"), umask=0o022, zone="UTC")
        second = built(Path(home, "another", "second"), umask=0o077, zone="Asia/Kathmandu")
        names = sorted(file.name for file in first.iterdir() if file.suffix in (".whl", ".gz"))
        same, different, missing = filecmp.cmpfiles(first, second, names, shallow=False)
        if different or missing or len(same) != 2:
            print(f"Two builds of one state differ: {different + missing}", file=sys.stderr)
            return 1
        DIST.mkdir()
        for name in names:
            shutil.copyfile(first / name, DIST / name)
    packages = [str(DIST / name) for name in names]
    run([BIN / "twine", "check", "--strict", *packages])
    pins = run([sys.executable, ROOT / "scripts" / "dependencies.py", "requirements"])
    sbom = DIST / "airflow-provider-asposeocr.cdx.json"
    command = [BIN / "cyclonedx-py", "requirements", "-", "--pyproject", ROOT / "pyproject.toml"]
    command += ["--mc-type", "library", "--output-reproducible", "--of", "JSON", "-o", sbom]
    run(command, told=pins)
    complete(sbom, packages[0])
    shutil.copyfile(ROOT / "docs" / "licences.md", DIST / "licences.md")
    for file in sorted(DIST.iterdir()):
        print(f"{file.stat().st_size:>9} {file.relative_to(ROOT)}")
    return 0


def complete(sbom: Path, package: str) -> None:
    """
    Say in an SBOM which version it is of, and that this needs all of it: the tool reads neither out of pins.

    :param sbom: its file.
    :param package: a package that was built, whose file name tells the version.
    """
    told = json.loads(sbom.read_text())
    root = told["metadata"]["component"]
    root["version"] = Path(package).name.split("-")[1].removesuffix(".tar.gz")
    needed = [component["bom-ref"] for component in told["components"]]
    for dependency in told["dependencies"]:
        if dependency["ref"] == root["bom-ref"]:
            dependency["dependsOn"] = needed
    sbom.write_text(json.dumps(told, indent=2) + "\n")


def built(place: Path, umask: int, zone: str) -> Path:
    """
    Build sdist and wheel of what belongs to the project, and return their folder.

    :param place: a folder that is not there yet.
    :param umask: of the process that builds.
    :param zone: its time zone.
    """
    source = place / "source"
    copy_source(source)
    environment = {
        **os.environ,
        "SOURCE_DATE_EPOCH": str(source_time()),
        "TZ": zone,
    }
    command: list[str | Path] = [
        BIN / "uv",
        "build",
        "--quiet",
        "--python",
        sys.executable,
        "--out-dir",
        place / "dist",
    ]
    command += ["--build-constraints", ROOT / "requirements" / "build.txt", "--require-hashes", source]
    subprocess.run([str(part) for part in command], check=True, env=environment, umask=umask)
    return place / "dist"


def run(command: list[str | Path], told: str | None = None) -> str:
    """Run a command in the root and return what it prints."""
    ended = subprocess.run(
        [str(part) for part in command], cwd=ROOT, input=told, stdout=subprocess.PIPE, text=True, check=True
    )
    return ended.stdout


if __name__ == "__main__":
    sys.exit(main())
