"""Ask many requests with h2load, a load generator in C (Debian's nghttp2-client), which costs far less than what is measured."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROGRAM = "h2load"

_BODY = b"x" * 100


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of some requests: the seconds that each took, and all of them together."""

    taken: list[float]
    elapsed: float


class RequestsFailedError(Exception):
    """A request had no answer, or one other than 2xx."""


def ask(
    folder: Path, address: str, url: str, requests: int, connections: int, headers: Mapping[str, str]
) -> Asked:
    """POST 100 bytes so often, over connections that are kept open, to ``address`` (host:port) whatever ``url`` says.

    Writes files of its own into ``folder``. Raises RequestsFailedError.
    """
    body, log = folder / "body", folder / "requests.log"
    body.write_bytes(_BODY)
    log.unlink(missing_ok=True)
    command = [PROGRAM, "--h1", f"--requests={requests}", f"--clients={connections}", f"--data={body}"]
    command += [f"--log-file={log}", f"--connect-to={address}"]
    command += [f"--header={name}: {value}" for name, value in headers.items()]
    told = subprocess.run([*command, url], check=True, stdout=subprocess.PIPE, text=True).stdout
    lines = [line.split("\t") for line in log.read_text(encoding="ascii").splitlines()]
    good = [int(microseconds) / 1e6 for _, status, microseconds in lines if status.startswith("2")]
    finished = re.search(r"finished in ([0-9.]+)(us|ms|s),", told)
    if len(good) != requests or not finished:
        raise RequestsFailedError(told)
    return Asked(good, float(finished[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[finished[2]])
