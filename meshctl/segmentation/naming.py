"""How applications and sidecars are called where the rules are kept."""

from __future__ import annotations

import re

from msgspec import Struct

from meshctl.diagnostics import UsageError

PLACEHOLDER = "{service}"
LARGEST_USER = 2**32 - 2
"""The next one stands for "no user" in the kernel."""

_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_NUMBER = re.compile(r"[0-9]{1,10}")
_UNIT = re.compile(r"[A-Za-z0-9_.@-]{1,200}")
_LABEL = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
)


class Naming(Struct, frozen=True):
    """Patterns, in which ``{service}`` stands for the service's name.

    ``application`` and ``sidecar`` are users (nftables) or units (systemd), ``label`` is the key of the label that holds
    a pod's service.
    """

    application: str = PLACEHOLDER
    sidecar: str = f"{PLACEHOLDER}-sidecar"
    label: str = "app.kubernetes.io/name"

    def users(self, service: str) -> tuple[str, str]:
        """The application's and the sidecar's, which differ. Raises UsageError for what is no user."""
        application, sidecar = self._user(self.application, service), self._user(self.sidecar, service)
        if application == sidecar:
            raise UsageError(
                f"{application} would be the user of {service} and of its sidecar, which rules by user cannot tell apart"
            )
        return application, sidecar

    def units(self, service: str) -> tuple[str, str]:
        """The application's and the sidecar's, with their ending."""
        return self._unit(self.application, service), self._unit(self.sidecar, service)

    def label_key(self) -> str:
        """Raises UsageError where it is none."""
        if not _LABEL.fullmatch(self.label):
            raise UsageError(f"{self.label!r} is not the key of a label in Kubernetes")
        return self.label

    def _user(self, pattern: str, service: str) -> str:
        name = pattern.replace(PLACEHOLDER, service)
        if _NUMBER.fullmatch(name):
            if 0 < int(name) <= LARGEST_USER:
                return str(int(name))
            raise UsageError(f"{name} is not a user that rules can be about (1 to {LARGEST_USER})")
        if not _USER.fullmatch(name) or name == "root":
            raise UsageError(
                f"{name!r} is not the name of a user (a-z, 0-9, _ and -, at most 32 characters, not root); "
                "choose others with --application and --sidecar, by name or number"
            )
        return name

    def _unit(self, pattern: str, service: str) -> str:
        name = pattern.replace(PLACEHOLDER, service).removesuffix(".service")
        if not _UNIT.fullmatch(name) or name.startswith((".", "-")):
            raise UsageError(f"{name!r} is not the name of a unit")
        return f"{name}.service"
