"""Where the proxies' binaries are on this machine."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

# Debian puts HAProxy and NGINX where a normal user's PATH does not look.
_MORE_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def search_path() -> str:
    """PATH, with the folder of this Python (where the wheel puts Envoy) and the sbin folders behind it."""
    own = str(Path(sys.executable).parent)
    folders = [*os.environ.get("PATH", os.defpath).split(os.pathsep), own, *_MORE_FOLDERS]
    return os.pathsep.join(dict.fromkeys(folders))


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """This process's environment for a child, with the longer search path and ``variables``."""
    return {**os.environ, "PATH": search_path(), **variables}


def find(binary: str) -> str | None:
    """The path of a proxy: what its variable says (``ENVOY=…``), or the first on the search path."""
    return shutil.which(os.environ.get(binary.upper()) or binary, path=search_path())
