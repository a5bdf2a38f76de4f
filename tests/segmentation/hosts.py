"""Hosts that are network namespaces on one switch: packets, users and rules are the kernel's own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
NEEDED = (
    "These tests need network namespaces and nftables, and skipping them would prove nothing: run them as root "
    "with CAP_SYS_ADMIN and CAP_NET_ADMIN (docker: --cap-add SYS_ADMIN --cap-add NET_ADMIN "
    "--security-opt apparmor=unconfined), or as a user with subordinate ids and newuidmap (Debian: uidmap)."
)
SWITCH = "switch"


@dataclass(frozen=True)
class Host:
    """``enter`` is the command that runs others in it."""

    name: str
    address: str
    enter: tuple[str, ...]

    def command(self, user: int, *argv: str) -> tuple[str, ...]:
        """``argv`` on this host as that user, who may read the files of others (those of the tests are root's) and listen on port 80."""
        if user == 0:
            return (*self.enter, *argv)
        kept = "+dac_override,+net_bind_service"
        capabilities = ("--inh-caps", kept, "--ambient-caps", kept)
        become = ("setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups", *capabilities)
        return (*self.enter, *become, *argv)

    def run(self, *argv: str, text: str = "") -> str:
        """As root; its output."""
        done = subprocess.run(self.command(0, *argv), input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr}"
        return done.stdout

    def load(self, rules: str) -> None:
        """Into the kernel, as a boot does it."""
        self.run("nft", "-f", "-", text=rules)

    def attempt(self, user: int, attempts: Sequence[dict[str, Any]]) -> list[Any]:
        """What comes of each, see attempts.py."""
        argv = self.command(user, sys.executable, str(HERE / "attempts.py"))
        done = subprocess.run(argv, input=json.dumps(attempts), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found: list[Any] = json.loads(done.stdout)
        return found


@contextlib.contextmanager
def hosts(**addresses: str) -> Iterator[dict[str, Host]]:
    """One for each name, at its address in a network /24 (and fd84::/64), with a default route that leads to the switch.

    Nothing of the machine's own network is touched.
    """
    with contextlib.ExitStack() as stack:
        _, enter = stack.enter_context(_namespace(()))
        switch = Host(SWITCH, _gateway(addresses), enter)
        switch.run("ip", "link", "add", SWITCH, "type", "bridge")
        switch.run("ip", "link", "set", SWITCH, "up")
        switch.run("ip", "address", "add", f"{switch.address}/24", "dev", SWITCH)
        found = {}
        for number, (name, address) in enumerate(addresses.items()):
            pid, own = stack.enter_context(_namespace(enter if os.geteuid() else ()))
            host = found[name] = Host(name, address, own)
            port = f"port{number}"
            switch.run("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", pid)
            switch.run("ip", "link", "set", port, "master", SWITCH, "up")
            six = f"fd84::{address.rpartition('.')[2]}/64"
            for command in (
                "link set lo up",
                "link set eth0 up",
                f"address add {address}/24 dev eth0",
                f"address add {six} dev eth0 nodad",
                f"route add default via {switch.address}",
            ):
                host.run("ip", *command.split())
        yield found


def _gateway(addresses: dict[str, str]) -> str:
    network = next(iter(addresses.values())).rpartition(".")[0]
    return f"{network}.254"


@contextlib.contextmanager
def _namespace(inside: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """A network namespace that lives as long: a process in it, and the command that enters it."""
    own_users = () if os.geteuid() == 0 or inside else ("--user", "--map-root-user", "--map-auto")
    # The pid is printed from inside, after the namespaces have been made.
    argv = (*inside, "unshare", *own_users, "--net", "sh", "-c", "echo $$; exec cat")
    keeper = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        pid = keeper.stdout.readline().strip()
        assert pid, f"{NEEDED}\n{keeper.stderr.read()}"
        users = ("--user", "--preserve-credentials") if os.geteuid() else ()
        yield pid, ("nsenter", "--target", pid, *users, "--net")
    finally:
        keeper.communicate()
