"""Which meshctl this is: its version, and the marks of all its files, for a checkout changes without another version."""

from __future__ import annotations

import os
import sys
from hashlib import sha256

from meshctl import __version__
from meshctl.cache.marks import mark

_PACKAGE = os.path.dirname(os.path.dirname(__file__))
_PACKAGES = "-packages"
"""How folders of installed packages end: `site-packages`, `dist-packages`."""


def identity() -> str:
    """Another one after any change to meshctl, to Python, or to what is installed beside it. Raises OSError."""
    told = [__version__, sys.version, sys.executable, _PACKAGE]
    packages = [each for each in sys.path if each.endswith(_PACKAGES) and os.path.isdir(each)]
    # Whoever installs or replaces a package changes its folder's list of names.
    told += [f"{each} {mark(os.stat(each))}" for each in packages]
    beside = os.path.dirname(_PACKAGE)
    for folder in (_PACKAGE, f"{beside}/templates", f"{beside}/policies"):
        told += sorted(_files(folder))
    return sha256("\n".join(told).encode(errors="surrogateescape")).hexdigest()


def _files(folder: str) -> list[str]:
    found: list[str] = []
    folders = [folder] if os.path.isdir(folder) else []
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.name == "__pycache__":
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    found.append(f"{entry.path} {mark(entry.stat())}")
    return found
