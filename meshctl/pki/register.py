"""What a CA has issued and has not yet ended, so that all certificates of a service can be revoked, also the last but one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec import Struct

from meshctl.catalogue import finding
from meshctl.diagnostics import FindingsError, UsageError
from meshctl.pki import files
from meshctl.pki.files import REGISTER

_VERSION = 1


class RegisterError(FindingsError):
    """The register of a CA cannot be read; exit code 2."""

    exit_code = 2


class Entry(Struct, frozen=True):
    """A certificate that was issued: to whom, into which bundle, until when (UTC)."""

    serial: int
    service: str
    bundle: str
    not_after: datetime


def record(folder: Path, issued: Iterable[Entry], now: datetime) -> None:
    """Write down what was issued, before anybody can have it; what has ended by ``now`` leaves. Raises UsageError, RegisterError."""
    try:
        with files.folder(folder) as inside, files.lock(inside):
            files.sweep(inside)
            kept = [each for each in _read(inside, folder) if each.not_after > now]
            rows = [_row(each) for each in (*kept, *issued)]
            content = json.dumps({"schemaVersion": _VERSION, "issued": rows}, indent=0)
            files.replace(inside, REGISTER, content.encode(), 0o644)
    except OSError as error:
        raise UsageError(
            f"cannot write {REGISTER} in the CA's folder {folder}, and nothing is issued that is not written down "
            f"there: {error.strerror or error}"
        ) from error


def entries(folder: Path, now: datetime) -> tuple[Entry, ...]:
    """What was issued from the CA in ``folder`` and has not ended at ``now`` (UTC). Raises OSError, RegisterError."""
    with files.folder(folder) as inside:
        return tuple(each for each in _read(inside, folder) if each.not_after > now)


def _read(inside: int, folder: Path) -> list[Entry]:
    try:
        document = json.loads(files.read(inside, REGISTER, limit=files.LARGE))
        if document["schemaVersion"] == _VERSION:
            return [_entry(each) for each in document["issued"]]
    except FileNotFoundError:
        return []
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError):
        pass
    message = f"CA in {folder}: its {REGISTER} is not one that this meshctl wrote"
    raise RegisterError([finding("ca-unusable", None, message)])


def _row(entry: Entry) -> dict[str, object]:
    return {
        "serial": f"{entry.serial:x}",
        "service": entry.service,
        "bundle": entry.bundle,
        "notAfter": int(entry.not_after.timestamp()),
    }


def _entry(row: Mapping[str, str]) -> Entry:
    end = datetime.fromtimestamp(0, UTC) + timedelta(seconds=int(row["notAfter"]))
    return Entry(int(row["serial"], 16), str(row["service"]), str(row["bundle"]), end)
