"""Where the results of each document of a batch go below the output folder: no two of them have the same name."""

from __future__ import annotations

import os
import posixpath
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from urllib.parse import urlsplit


def canonical(image: str) -> str:
    """
    Return one spelling for all spellings of a path: absolute, without ``.`` and ``..``.

    :param image: a path or URI.
    """
    scheme = urlsplit(image).scheme if "://" in image else ""
    if scheme in ("", "file"):
        return os.path.abspath(image.removeprefix("file://"))  # noqa: PTH100 - resolves no links
    head, _, path = image.partition("://")
    return f"{head}://{posixpath.normpath(path)}"


def common_root(images: Sequence[str]) -> str:
    """
    Return the folder that all images are in.

    :param images: canonical paths or URIs.
    """
    common: list[str] | None = None
    for image in images:
        parts = image.rpartition("/")[0].split("/")
        if common is None:
            common = parts
            continue
        same = 0
        while same < min(len(common), len(parts)) and common[same] == parts[same]:
            same += 1
        del common[same:]
    return "/".join(common or [])


def result_names(images: Sequence[str], root: str) -> list[str]:
    """
    Return where each image's results go below the output folder, without extension: its place below the root.

    :param images: canonical paths or URIs, each once.
    :param root: what they have in common.
    """
    whole = [image[len(root) :].lstrip("/") or PurePosixPath(image).name for image in images]
    names = [_without_suffix(name) for name in whole]
    # Where a.jpg and a.png lie in one folder, both keep their extension; so does what has taken one of these names.
    while True:
        taken = Counter(names)
        clashing = [at for at, name in enumerate(names) if taken[name] > 1 and name != whole[at]]
        if not clashing:
            return names
        for at in clashing:
            names[at] = whole[at]


def _without_suffix(name: str) -> str:
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{PurePosixPath(last).stem}"
