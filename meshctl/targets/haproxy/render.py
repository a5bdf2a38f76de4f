"""Templates and the rule of what they may print."""

from __future__ import annotations

from functools import cache

from jinja2 import Template

from meshctl.resources import folder
from meshctl.targets.haproxy.model import Configuration
from meshctl.targets.haproxy.quoting import Token
from meshctl.targets.templates import environment


def render(configuration: Configuration) -> bytes:
    """``haproxy.cfg``."""
    return _template().render(haproxy=configuration).encode()


def script(name: str) -> bytes:
    """A file of Lua, as it is: HAProxy's own, or one that not only HAProxy has."""
    templates = folder("templates")
    own = templates / "haproxy" / name
    return (own if own.exists() else templates / name).read_bytes()


@cache
def _template() -> Template:
    return environment(folder("templates") / "haproxy", _printable).get_template("haproxy.cfg.j2")


def _printable(value: object) -> object:
    if type(value) is Token or type(value) is int:
        return value
    raise TypeError(f"a template printed {value!r}, which nobody quoted")
