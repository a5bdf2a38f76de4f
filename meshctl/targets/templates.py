"""How templates are read: what they may print is each target's own rule."""

from __future__ import annotations

import marshal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket, BytecodeCache, bc_magic

from meshctl.artifacts import write_file

_OPTIONS: Mapping[str, Any] = {
    "autoescape": False,  # no HTML; finalize lets nothing through that is not quoted
    "trim_blocks": True,
    "lstrip_blocks": True,
    "keep_trailing_newline": True,
    "auto_reload": False,
}
_DIGEST = sha256().digest_size


def environment(folder: Path, finalize: Callable[[object], object]) -> Environment:
    """The templates in ``folder``; ``finalize`` raises TypeError for what nobody quoted."""
    return Environment(  # noqa: S701 - see the options
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        finalize=finalize,
        bytecode_cache=_Compiled(),
        **_OPTIONS,
    )


class _Compiled(BytecodeCache):
    """Compiled templates in ``__pycache__``, as Python keeps its modules and under the same conditions.

    Compiling them is a quarter of a small build. A file that another template, version or damage has left is
    as good as none.
    """

    def get_cache_key(self, name: str, filename: str | None = None) -> str:
        return cache_from_source(filename or name)

    def load_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError):
            kept = Path(bucket.key).read_bytes()
            if kept[:_DIGEST] == _digest(bucket, kept[_DIGEST:]):
                bucket.code = marshal.loads(kept[_DIGEST:])  # noqa: S302 - ours, or the digest would differ

    def dump_bytecode(self, bucket: Bucket) -> None:
        if sys.dont_write_bytecode:
            return
        code = marshal.dumps(bucket.code)
        with suppress(OSError):
            write_file(Path(bucket.key), _digest(bucket, code) + code)


def _digest(bucket: Bucket, code: bytes) -> bytes:
    made_by = repr((bc_magic, sorted(_OPTIONS.items()), bucket.checksum))
    return sha256(made_by.encode() + code).digest()
