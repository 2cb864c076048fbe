"""The files that belong to this project: of a clone what git knows of, of an unpacked archive all but what is made."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent
_MADE = ("__pycache__", "dist", "build", "results")


def copy_source(place: Path) -> None:
    """
    Copy them.

    :param place: the folder that becomes like the root.
    """
    for name in _source_files():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, place / name)


def _source_files() -> list[str]:
    if (ROOT / ".git").exists():
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
        return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    found = []
    for file in sorted(ROOT.rglob("*")):
        parts = file.relative_to(ROOT).parts
        is_made = any(part in _MADE or part.endswith(("_cache", ".egg-info")) for part in parts)
        is_hidden = parts[0].startswith(".") and parts[0] not in (".ci", ".github", ".gitignore")
        if file.is_file() and not is_made and not is_hidden:
            found.append(file.relative_to(ROOT).as_posix())
    return found


def source_time() -> int:
    """Return when they were last changed, in seconds since the epoch: that of the last commit, where there is one."""
    if (ROOT / ".git").exists():
        told = subprocess.run(
            ["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        return int(told.stdout)
    return int((ROOT / "pyproject.toml").stat().st_mtime)
