"""systemd: a unit for each sidecar, its user, and a timer that looks at its certificate.

https://www.freedesktop.org/software/systemd/man/252/systemd.exec.html and systemd.service.html beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta

from meshctl.artifacts import CERTIFICATE, PRIVATE_KEY, Artifact
from meshctl.diagnostics import Finding, UsageError
from meshctl.platforms import readiness
from meshctl.platforms.base import (
    MADE,
    OPEN_FILES,
    PLACEHOLDER,
    Options,
    Workload,
    authority_files,
    client_files,
    needs_low_ports,
    require_own,
    stop_seconds,
)

_USER = re.compile(r"[a-z_][a-z0-9_-]{0,30}")
_UNIT = re.compile(r"[A-Za-z0-9_.@-]{1,200}")
_HOMES = ("/home/", "/root/", "/run/user/")
_TEMPORARY = ("/tmp/", "/var/tmp/")  # noqa: S108 - told apart, not used
_OFTEN = timedelta(hours=4)
"""Below such a window an hour between two looks is long."""

_READY_TRIES = 300
"""In a minute."""

_START_SECONDS = 180
"""A reload, too, waits at most this long: two minutes for another one, then for its own."""


def check(workloads: Iterable[Workload]) -> Iterator[Finding]:
    """There is nothing that a host of one's own cannot do."""
    yield from ()


def emit(workloads: Iterable[Workload], options: Options) -> Iterator[Artifact]:
    """Raises UsageError for what is no user or no unit."""
    listed = list(workloads)
    applications = [_application(options.application, each) for each in listed if not each.sidecar.is_gateway]
    require_own((f"{_unit(each)}.service" for each in listed), applications)
    for each in listed:
        folder, unit, user = f"systemd/{each.deployment.name}", _unit(each), _user(options.user, each)
        path = f"{options.bundles}/{each.deployment.name}"
        yield _file(f"{folder}/{unit}.service", _sidecar(each, options, user, path))
        yield _file(f"{folder}/{unit}.sysusers", _account(each, user))
        yield _file(f"{folder}/{unit}-certificate.service", _certificate(each, path))
        yield _file(f"{folder}/{unit}-certificate.timer", _timer(each))


def _file(path: str, lines: Iterable[str]) -> Artifact:
    return Artifact(path, "".join(f"{line}\n" for line in lines).encode())


def _unit(workload: Workload) -> str:
    """Unique on a host, and as rules around sidecars (`meshctl segment`) call it by default."""
    its = workload.sidecar
    return f"{its.service}-sidecar@{its.instance}" if its.instance else f"{its.service}-sidecar"


def _user(pattern: str, workload: Workload) -> str:
    name = pattern.replace(PLACEHOLDER, workload.sidecar.service)
    if not _USER.fullmatch(name) or name == "root":
        raise UsageError(
            f"{name!r} is not the name of a user (a-z, 0-9, _ and -, at most 31 characters, not root); "
            "choose others with --user"
        )
    return name


def _application(pattern: str, workload: Workload) -> str:
    name = pattern.replace(PLACEHOLDER, workload.sidecar.service).removesuffix(".service")
    if not _UNIT.fullmatch(name) or name.startswith((".", "-")):
        raise UsageError(f"{name!r} is not the name of a unit")
    return f"{name}.service"


def _head(workload: Workload) -> str:
    return f"# The {workload.kind} of {workload.deployment.name}, mesh {workload.sidecar.mesh}. {MADE}"


def _title(workload: Workload) -> str:
    return f"{workload.kind} of {workload.deployment.name}, mesh {workload.sidecar.mesh}"


def _sidecar(workload: Workload, options: Options, user: str, path: str) -> Iterator[str]:
    application = None if workload.sidecar.is_gateway else _application(options.application, workload)
    yield _head(workload)
    for each in (*client_files(workload.sidecar), *authority_files(workload.sidecar)):
        yield f"# Its user has to be able to read {each}"
    yield from (
        "",
        "[Unit]",
        f"Description={_text(_title(workload))} ({workload.sidecar.proxy})",
        "Wants=network-online.target",
        "After=network-online.target nss-lookup.target nftables.service",
        *([f"Before={application}"] if application else []),
        # Whoever mends what keeps it from starting need not know of it.
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        *_start(workload, user, path),
        *_stop(workload),
        f"LimitNOFILE={OPEN_FILES}",
        *_hardening(workload, path),
        "",
        "[Install]",
        f"WantedBy=multi-user.target{f' {application}' if application else ''}",
    )


def _start(workload: Workload, user: str, path: str) -> Iterator[str]:
    proxy = f"{path}/{workload.sidecar.proxy}"
    # Who deploys is mostly root, and the key is for nobody but its owner. Whether one is needed, the proxy says.
    key = f"+-/usr/bin/chown --no-dereference {user} {path}/{PRIVATE_KEY}"
    yield from (
        "Type=exec",
        f"User={user}",
        f"Group={user}",
        "UMask=0077",
        f"ExecStartPre=+/usr/bin/install -d -m 0755 -o {user} -g {user} {path}/tls",
        f"ExecStartPre=+/usr/bin/install -d -m 0700 -o {user} -g {user} {path}/run",
        f"ExecStartPre={key}",
        f"ExecStart={proxy}/run",
        # So that what comes after it finds it ready.
        f"ExecStartPost={_command(readiness.command(workload.sidecar.admin, _READY_TRIES))}",
        f"ExecReload={key}",
        f"ExecReload={proxy}/reload",
        f"TimeoutStartSec={_START_SECONDS}",
        "Restart=always",
        "RestartSec=2",
    )


def _stop(workload: Workload) -> Iterator[str]:
    yield from (
        "KillMode=mixed",
        f"KillSignal={workload.stop}",
        f"TimeoutStopSec={stop_seconds(workload)}",
        # HAProxy ends so when it is told to.
        "SuccessExitStatus=143",
    )


def _hardening(workload: Workload, path: str) -> Iterator[str]:
    """Not `MemoryDenyWriteExecute`, for Lua is compiled as it runs, and not `ProcSubset=pid`, for `reload` asks who listens."""
    low = "CAP_NET_BIND_SERVICE" if needs_low_ports(workload.sidecar) else ""
    yield from (
        "NoNewPrivileges=yes",
        f"CapabilityBoundingSet={low}",
        *([f"AmbientCapabilities={low}"] if low else []),
        "ProtectSystem=strict",
        # `run` is made above, after this is looked at for the first time. In `tls` a reload makes Envoy look.
        f"ReadWritePaths=-{path}/run -{path}/tls",
        f"ProtectHome={'read-only' if f'{path}/'.startswith(_HOMES) else 'yes'}",
        f"PrivateTmp={'no' if path.startswith(_TEMPORARY) else 'yes'}",
        "PrivateDevices=yes",
        "ProtectProc=invisible",
        *_SAME_FOR_ALL,
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
        "SystemCallFilter=@system-service",
        "SystemCallErrorNumber=EPERM",
    )


_SAME_FOR_ALL = (
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "LockPersonality=yes",
    "RemoveIPC=yes",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
)


def _account(workload: Workload, user: str) -> Iterator[str]:
    """https://www.freedesktop.org/software/systemd/man/252/sysusers.d.html."""
    yield _head(workload)
    yield f'u {user} - "{_text(f"{workload.kind} of {workload.sidecar.service}")}" / -'


def _certificate(workload: Workload, path: str) -> Iterator[str]:
    seconds = int(workload.deployment.renew_before.total_seconds())
    yield _head(workload)
    yield from (
        "# It fails when the certificate is due, and so shows where failed units show.",
        "",
        "[Unit]",
        f"Description=certificate of the {_text(_title(workload))}",
        "",
        "[Service]",
        "Type=oneshot",
        f"ExecStart=/usr/bin/openssl x509 -in {path}/{CERTIFICATE} -noout -checkend {seconds}",
        "DynamicUser=yes",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "ProtectSystem=strict",
        f"ProtectHome={'read-only' if f'{path}/'.startswith(_HOMES) else 'yes'}",
        "PrivateDevices=yes",
        "PrivateNetwork=yes",
        "ProtectProc=invisible",
        *_SAME_FOR_ALL,
        "RestrictAddressFamilies=none",
        "SystemCallFilter=@system-service",
        "SystemCallErrorNumber=EPERM",
    )


def _timer(workload: Workload) -> Iterator[str]:
    often = workload.deployment.renew_before < _OFTEN
    yield _head(workload)
    yield from (
        "",
        "[Unit]",
        f"Description=certificate of the {_text(_title(workload))}",
        "",
        "[Timer]",
        f"OnCalendar={'*:0/5' if often else 'hourly'}",
        f"RandomizedDelaySec={'1min' if often else '30min'}",
        "Persistent=yes",
        "",
        "[Install]",
        "WantedBy=timers.target",
    )


def _text(text: str) -> str:
    """A value that is shown to people: specifiers stand for themselves."""
    return text.replace("%", "%%")


def _command(words: Iterable[str]) -> str:
    return " ".join(map(_word, words))


def _word(text: str) -> str:
    """One argument of a command line, whatever is in it (systemd.service, "Command lines")."""
    plain = text.replace("%", "%%").replace("$", "$$")
    if re.fullmatch(r"[A-Za-z0-9_./:=,@+%$-]+", plain):
        return plain
    escaped = plain.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
