"""What a code is."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from meshctl.diagnostics import Severity


class Code(Struct, frozen=True):
    """One kind of finding. ``why`` says what goes wrong if it is left, ``fix`` the usual way out."""

    code: str
    slug: str
    why: str
    fix: str
    severity: Severity = Severity.ERROR
    fixable: Literal["", "safe", "unsafe"] = ""
    """Whether `lint --fix` mends findings of this kind, or some of them."""
