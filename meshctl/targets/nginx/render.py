"""Templates and the rule of what they may print."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from meshctl.resources import folder
from meshctl.targets.nginx.model import Configuration
from meshctl.targets.nginx.quoting import Token

_SOCKET = b"../run/tries.sock"


def render(configuration: Configuration) -> bytes:
    """``nginx.conf``."""
    return _template().render(nginx=configuration).encode()


@cache
def program(name: str) -> bytes:
    """A program for a module of NGINX, the same in every bundle that has it."""
    own = _folder() / name
    return (own if own.exists() else folder("templates") / name).read_bytes()


@cache
def run(sockets: tuple[Token, ...]) -> bytes:
    """``run``, which removes ``sockets`` that a killed sidecar left behind."""
    return (_folder() / "run").read_bytes().replace(_SOCKET, " ".join(sockets).encode())


def _folder() -> Path:
    return folder("templates") / "nginx"


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_folder()),
        autoescape=False,  # noqa: S701 - no HTML; finalize lets nothing through that is not quoted
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    return environment.get_template("nginx.conf.j2")


def _printable(value: object) -> object:
    if type(value) is Token or type(value) is int:
        return value
    raise TypeError(f"a template printed {value!r}, which nobody quoted")
