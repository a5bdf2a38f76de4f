"""Templates and the rule of what they may print."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Template

from meshctl.resources import folder
from meshctl.targets.nginx.model import Configuration
from meshctl.targets.nginx.quoting import Token
from meshctl.targets.templates import environment

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
    return environment(_folder(), _printable).get_template("nginx.conf.j2")


def _printable(value: object) -> object:
    if type(value) is Token or type(value) is int:
        return value
    raise TypeError(f"a template printed {value!r}, which nobody quoted")
