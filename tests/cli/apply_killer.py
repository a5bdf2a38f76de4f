"""Ends `meshctl apply` before every STEP-th thing that it changes on the disk or starts, as Python's audit events and ``os.write`` show it.

    python -m tests.cli.apply_killer SIGNAL STEP BUNDLE RECOVERED ARGUMENTS...

In the work folder are ``host``, which runs a build, and other builds. From each point on another child begins with what is then there. One line
of JSON for each: what was there after the end, and after ``--recover`` where RECOVERED is 1.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sys
from pathlib import Path

from meshctl.cli.app import run
from tests.cli import applied

HOST = Path("host")
CHANGES = {
    *("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.chmod", "os.write"),
    "subprocess.Popen",
}


class Death:
    """Sends this process a signal at the ``last`` change."""

    def __init__(self, number: int, last: int) -> None:
        self._number, self._last, self._seen = number, last, 0
        self._write = os.write

    def arm(self) -> None:
        os.write = self._count_write  # type: ignore[assignment] # of what `meshctl` writes, which is bytes
        sys.addaudithook(self._count)

    def _count_write(self, descriptor: int, data: bytes) -> int:
        self._count("os.write", ())
        return self._write(descriptor, data)

    def _count(self, event: str, details: tuple[object, ...]) -> None:
        opened = event == "open" and isinstance(details[2], int) and details[2] & (os.O_WRONLY | os.O_RDWR)
        if opened or event in CHANGES:
            self._seen += 1
            if self._seen == self._last:
                os.kill(os.getpid(), self._number)


def child(arguments: list[str], death: Death | None) -> int:
    """The wait status of a run of its own process."""
    pid = os.fork()
    if not pid:
        if death:
            death.arm()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            code = run(arguments)
        os._exit(code)
    return os.waitpid(pid, 0)[1]


def seen() -> dict[str, object]:
    """What a host holds and serves, in words of builds where it is one of them."""
    tls = HOST / "web/tls"
    pair = {each.name: each.read_text() for each in tls.iterdir() if each.suffix in (".pem", ".key")}
    return {
        "files": applied.files(HOST),
        "served": applied.served(HOST),
        "tls": pair,
        "releases": len(list((HOST / "web/.releases").iterdir())),
        "staged": [str(each) for each in HOST.rglob("*.tmp")],
    }


def main() -> None:
    number, step = signal.Signals[sys.argv[1]], int(sys.argv[2])
    recovered, builds, more = sys.argv[3] == "1", sys.argv[4].split(","), sys.argv[5:]
    point = step // 2 + 1
    turn = 0
    # Whole, for what is imported then is not imported again.
    run(["apply", "--bundle", "old", "--to", "host", "--format", "json", "--dry-run"])
    while True:
        word = builds[turn % len(builds)]
        arguments = ["apply", "--bundle", word, "--to", "host", "--certs", f"certs-{word}", *more]
        status = child(arguments, Death(number, point))
        after = seen()
        if recovered:
            code = os.waitstatus_to_exitcode(child(["apply", "--to", "host", "--recover"], None))
        else:
            code = os.waitstatus_to_exitcode(status)
        last = seen()
        line = {"point": point, "word": word, "code": code, "after": after, "last": last}
        sys.stderr.write(json.dumps(line) + "\n")
        killed = os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 130
        if not killed:
            break
        if last["served"] == applied.build_id(word):
            turn += 1
        point += step


if __name__ == "__main__":
    main()
