"""The way in. `--version` and `--help` are answered before anything heavy is imported."""

from __future__ import annotations

import gc
import os
import sys


def main() -> None:
    """Run the command line; never returns normally."""
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        from meshctl import __version__

        sys.stdout.write(f"meshctl {__version__}\n")
        sys.exit(0)
    # A shell that asks for completions gives no arguments either; typer answers it.
    completing = "_MESHCTL_COMPLETE" in os.environ
    if arguments in (["--help"], ["-h"], []) and not completing:
        from meshctl.cli.help import HELP

        (sys.stdout if arguments else sys.stderr).write(HELP)
        sys.exit(0 if arguments else 2)
    # A compile makes millions of small objects and no garbage worth collecting: half the time of a load.
    gc.disable()
    # No plugin of pydantic's has a part in this; looking for one reads the metadata of every package.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    _make_streams_writable()
    try:
        code = None if completing else _recalled(arguments)
        if code is None:
            from meshctl.cli.app import run

            code = run(arguments)
    except KeyboardInterrupt:
        code = 130
    finally:
        # Or the interpreter, on its way out, looks through all that was made once more: a sixth of a small run.
        gc.freeze()
    sys.exit(code)


def _recalled(arguments: list[str]) -> int | None:
    """The exit code of a command with nothing new to say, which has been said then."""
    from meshctl.cache import answers

    answer = answers.recall(arguments)
    if answer is None:
        return None
    try:
        return answer.tell()
    except OSError as error:
        from meshctl.cli.app import ended_by

        return ended_by(error)


def _make_streams_writable() -> None:
    """A closed stream takes everything; letters that an encoding lacks are written as their codes."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - for good
        getattr(sys, name).reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    main()
