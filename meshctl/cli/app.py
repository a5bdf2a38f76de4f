"""The command line as a whole: which commands there are, and how each ends.

Exit codes, the same for every command and format: 0 clean, 1 findings (or a difference), 2 usage,
unreadable input, an output that cannot be written or a failed tool, 3 a bug of meshctl's, 130
interrupted, 141 whoever read the output has gone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import typer

from meshctl.diagnostics import MeshctlError

COMMANDS: Mapping[str, str] = {
    "validate": "is the spec meaningful, and can the chosen proxies do it?",
    "lint": "is the mesh wise? built-in policies and your own",
    "policy": "do the rules find what their own cases say?",
    "test": "does it do what its own tests say, request by request?",
    "build": "compile the spec to sidecar bundles",
    "apply": "put a built bundle live on this host, proved, or rolled back",
    "diff": "what a change means: two revisions, or the work tree and one",
    "drift": "is what is deployed, and what runs, as the spec in git says?",
    "history": "who changed what about a service, and when, from git",
    "blame": "which commit last changed each setting of a service or route",
    "publish": "commit what is built to a branch, for those who deploy it",
    "up": "run the whole mesh on this machine with real proxies",
    "bundle": "what systemd, compose or Kubernetes needs to run the sidecars",
    "segment": "firewall rules so that nothing goes past the sidecars",
    "observe": "scrape config, rules, alerts and dashboards for Prometheus and Grafana",
    "certs": "the mesh's CA and the certificates of its sidecars",
    "explain": "what a finding means, which value a setting has, or what a request would do",
    "who-can-reach": "who reaches a service, by which ways, and which rules let them",
    "graph": "a picture of the mesh: who calls whom, how, and what is wrong there",
    "capabilities": "what each proxy can do, and what this mesh uses",
}
"""Name and what `--help` says of it. Each is a module of this package (`_` for `-`) with a ``register`` function."""


def application(names: Sequence[str]) -> typer.Typer:
    """The commands in ``names``; a run imports only the one that it needs."""
    app = typer.Typer(
        name="meshctl",
        help="A service mesh without a control plane: git is the control plane.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for name in names:
        import_module(f"meshctl.cli.{name.replace('-', '_')}").register(app, COMMANDS[name])
    return app


def _options(
    *,
    debug: bool = typer.Option(False, "--debug", help="Show a traceback when meshctl itself fails."),
) -> None:
    """A service mesh without a control plane: git is the control plane."""


def run(arguments: Sequence[str]) -> int:
    """Run one command and give its exit code."""
    debug = "--debug" in arguments
    words = [each for each in arguments if each != "--debug"]
    chosen = [words[0]] if words and words[0] in COMMANDS else list(COMMANDS)
    try:
        result: Any = application(chosen)(args=words, prog_name="meshctl", standalone_mode=False)
        sys.stdout.flush()
    except MeshctlError as error:
        from meshctl.cli import findings

        return findings.tell(error)
    except KeyboardInterrupt:
        return 130
    except SystemExit as end:
        # The option parser's 1 for a reader that has gone would read as findings.
        if not isinstance(end.__context__, BrokenPipeError):
            raise
        return _reader_gone()
    except OSError as error:
        return ended_by(error, debug=debug)
    except Exception as error:  # noqa: BLE001 - the one place where every error ends in an exit code
        return 130 if _is_interruption(error) else _foreign(error, debug=debug)
    return result if isinstance(result, int) else 0


def ended_by(error: OSError, *, debug: bool = False) -> int:
    """The exit code of a run that the system refused something."""
    return _reader_gone() if isinstance(error, BrokenPipeError) else _refused(error, debug=debug)


def _is_interruption(error: BaseException | None) -> bool:
    """Whether Ctrl-C lies behind it: orjson makes an error of its own of one that comes while it asks for a part."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _reader_gone() -> int:
    """As the shell has it for a program that SIGPIPE ends; what is still unwritten has no reader either."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return 141


def _refused(error: OSError, *, debug: bool) -> int:
    """What the system refuses (no permission, a full disk, a file where a folder should be) is no bug."""
    from meshctl.cli import findings

    if debug:
        raise error
    place = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
    sys.stderr.write(f"meshctl: {findings.printable(place + (error.strerror or str(error)))}\n")
    return 2


def _foreign(error: Exception, *, debug: bool) -> int:
    """Usage errors and exits of the option parser, which has no public names for all of them."""
    code = getattr(error, "exit_code", None)
    if isinstance(code, int):
        show = getattr(error, "show", None)
        if show is not None:
            show()
        return code
    if debug:
        raise error
    sys.stderr.write(
        f"meshctl: a bug in meshctl, not in your spec: {type(error).__name__}: {error}\n"
        "Run again with --debug for the traceback, and please report it.\n"
    )
    return 3
