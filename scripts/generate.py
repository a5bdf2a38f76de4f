"""Write the files that are made from code, or check that they are fresh.

To add one, write a function that returns the whole text and list it in GENERATORS. The functions
import the package themselves, so that a broken room breaks only its own files.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HELP_WIDTH = 100
RULES_INTRODUCTION = """\
# Rules

Made from `policies/` by `make generate`; what the other commands find is in [findings.md](findings.md). Codes are
stable and never used again for something else. Severities and parameters of lint rules are set in the spec, and any
finding but an error of meshctl's own (`shared-trust-domain` can) is waived next to what it is about, by somebody, for a
reason, until a date:

```yaml
lint: {rules: {retry-amplification: {severity: error, limit: 4}}}
services:
  web:
    waive: [{finding: missing-timeout, reason: "being measured", owner: team-web, until: 2027-01-01}]
```

## Rules of your own

`meshctl lint --policies DIR` reads one rule from each YAML file below `DIR`; the files in `policies/` are
examples. `assert` is an expression in the Common Expression Language that must hold for everything that `select`
selects. Besides the facts below it may use `params.<name>`, `svc(name)` (the facts about a service, as a map; durations as text),
`callers(name)` and `ms(text or duration)`; a rule about a route also has the facts of its service. An expression
that gives no answer is an error, `policy-error`. Instead of `select` and `assert` a rule can name a built-in
analysis under `check`. A rule with `select: {kind: change}` is asked by `meshctl lint --against` alone
([changes](changes.md)). A rule needs a case that passes and one that fails under `tests`. What is `given` there are
facts, or of a change `before` and `after`: two specs that say only what the case is about. With `mandatory: true`
no waiver, setting or profile silences it (`mandatory-rule`).

## Profiles

`meshctl lint --profile NAME`, or `lint: {profile: NAME}` in the spec, chooses rules, severities and parameters; what the
spec says under `rules` comes on top. A severity of `off` leaves a rule out. `default` leaves out what is a matter
of taste, `strict` asks everything, `minimal` is for the first days in an old mesh, and `fallacies` ends with a verdict
on each of the eight fallacies of distributed computing. A file with `kind: Profile` beside your policies makes one
of your own, or replaces one of these; those in `policies/profiles/` are examples.

## What lint leaves to others

Lint answers by the spec alone, the same on every machine and every day, and says nothing twice. `meshctl explain CODE` knows all of these too.

| question | who tells it |
| --- | --- |
| unknown keys and names, clashes, protocols that do not fit, settings without effect | `validate` |
| what a proxy cannot do, or does otherwise | `validate` (`unsupported-on-target`, `approximated-on-target`) |
| a certificate is due, or outlives its issuer | `certs status` (`certificate-due`, `issuer-ends-first`) |
| a new root that not every bundle has yet | `certs rotate-ca`, each step of which is proved first, and `certs status` |
| keys and algorithms of certificates | nobody: a spec can ask for none that is weak |
| a waiver that has ended, or waives nothing | `validate` (`expired-waiver`), `lint` (`unused-waiver`) |

Which rules there could be and are not, and why: [decision 0128](decisions/0128-what-the-catalogue-leaves-out.md).

## Bounds

Every analysis takes bounded time, on dense graphs and hostile patterns too, and none is silent where its bound cuts: what
was not found out is a remark (`info`, whatever the severity of the rule, unless said otherwise).

| where | bound | what it says then |
| --- | --- | --- |
| `dead-route` | some 0.2 s for one match, 5 s for a mesh; patterns of 1,000 characters with repetitions written out | at the match: "may be dead, which was not found out" |
| `ambiguous-overlap` | some 0.2 s for one pair of matches, 5 s for a mesh | "a match … and N more could not be compared with all before it" |
| `no-default-route` | some 0.2 s for one host, 5 s for a mesh | "whether every request finds a route of … was not found out" |
| `policy-shadowed-by-deny` | some 0.2 s for one search, 1 s for a mesh | at the rule: "whether this rule lets anybody in was not found out" |
| `misread-path` | some 0.2 s for one search, 1 s for a mesh | "whether … is what it seems to be was not found out, nor of N more" |
| `redirect-circle` | some 0.2 s for one search, 1 s for a mesh | "may redirect for ever, which was not found out of it, nor of N more redirects" |
| `exposed-to-gateway` | 100 services with the label | at each of the others, with the rule's severity: "was not looked at" |
| `retry-at-several-layers` | 100 calls, those in a circle count once | in the last of them: "N more such calls are not told" |
| `retry-amplification` | products of 1,000,000,000 | "1,000,000,000 or more" |
| an `assert` | the iterations that the expression language allows | `policy-error`, an error |

The seconds are counted in steps, so the same spec gives the same findings on every machine. Lists and paths in messages
are shortened, and say by how much.

## Lint
"""

FINDINGS_INTRODUCTION = """\
# Findings

Everything that meshctl can find, by code; made from `meshctl/catalogue/` and `policies/` by `make generate`.
`meshctl explain CODE` says the same. Codes are stable and never used again for something else, and so are the links
to them here, such as `findings.md#msh2003`. The severity is the usual one: what only inheritance brings about is a
warning, and the severity of a lint rule is yours to set. How to waive a finding, and rules of your own: [rules.md](rules.md).
`--fix` marks what `meshctl lint --fix` can mend, or some of it: [fix.md](fix.md).
"""


def mesh_schema() -> str:
    from meshctl.spec.json_schema import json_schema

    return json.dumps(json_schema(), indent=2) + "\n"


def route_tests_schema() -> str:
    from meshctl.spec.json_schema import route_tests_schema

    return json.dumps(route_tests_schema(), indent=2) + "\n"


def capabilities_page() -> str:
    from meshctl.ir import Proxy
    from meshctl.targets import target
    from meshctl.targets.check import table

    rows = table()
    lines = [
        "# What each proxy can do",
        "",
        "Made from the targets' tables by `make generate`. *native*: exactly as the spec says. *emulated*: as the",
        "spec says but for the difference below, of which `validate` warns (MSH7002). *unsupported*: an error",
        "(MSH7001). Only what a spec asks for is looked at: where it is silent, the nearest native thing is used.",
        "",
        "| feature | " + " | ".join(f"{each} {target(each).VERSION}" for each in Proxy) + " |",
        "| --- " * (len(Proxy) + 1) + "|",
    ]
    notes = []
    for row in rows:
        cells = []
        for proxy in Proxy:
            cell = row[proxy.value]
            if not isinstance(cell, dict):
                raise TypeError(proxy)
            cells.append(cell["kind"])
            if cell["kind"] == "emulated":
                notes.append(f"* **{row['feature']}**, {proxy}: {cell['how']}.")
            elif cell["kind"] == "unsupported":
                notes.append(f"* **{row['feature']}**, {proxy}: {cell['why']}. Instead: {cell['instead']}")
        lines.append(f"| {row['feature']} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", "## The differences", "", *notes]) + "\n"


def rules_page() -> str:
    from meshctl.lint import read_policies
    from meshctl.lint.cel import variables_of
    from meshctl.lint.facts import KINDS, SUBJECTS
    from meshctl.lint.literals import shown
    from meshctl.load import read_yaml

    paths = sorted((ROOT / "policies").glob("*.yaml"))
    policies = read_policies({path.name: read_yaml(path.read_bytes(), path.name) for path in paths}).policies
    lines = [RULES_INTRODUCTION]
    for policy in policies:
        params = ", ".join(f"`{name}: {shown(value)}`" for name, value in policy.params.items())
        lines += [
            f"### {policy.code} {policy.slug}",
            "",
            f"{policy.title}. *{policy.severity}{', mandatory' if policy.mandatory else ''}*"
            + (f", parameters {params}" if params else ""),
            "",
            f"{policy.why} {policy.fix}",
            "",
            *([f"Source: {policy.origin}.", ""] if policy.origin else []),
        ]
    lines += ["## The facts", "", "| kind | fact | type |", "| --- | --- | --- |"]
    for kind in SUBJECTS:
        own = {name: type_ for name, type_ in variables_of(kind).items() if name.startswith(f"{kind}.")}
        lines += [f"| {kind} | `{name}` | {KINDS[type_]} |" for name, type_ in own.items()]
    return "\n".join(lines) + "\n"


def findings_page() -> str:
    from meshctl.cli.examples import EXAMPLES
    from meshctl.pipeline import rules

    lines = [FINDINGS_INTRODUCTION]
    for rule in rules():
        # The code alone, so that `#msh2003` is the anchor whatever the slug.
        title = f": {rule.title}" if rule.title.lower() != rule.slug.replace("-", " ") else ""
        flags = {"safe": ", `--fix`", "unsafe": ", `--fix --unsafe-fixes`"}.get(rule.fixable, "")
        lines += [f"### {rule.code}", "", f"**{rule.slug}** (*{rule.severity}*{flags}){title}.", ""]
        lines += [f"{rule.why} {rule.fix}", ""]
        if rule.slug in EXAMPLES:
            wrong, right = EXAMPLES[rule.slug]
            lines += ["```yaml", f"# wrong\n{wrong}\n# right\n{right}```", ""]
    return "\n".join(lines)


def help_module() -> str:
    from typer.core import TyperGroup
    from typer.main import get_command

    from meshctl.cli.app import COMMANDS, application

    command = get_command(application(list(COMMANDS)))
    if isinstance(command, TyperGroup):
        command.rich_markup_mode = None
    context = command.make_context("meshctl", ["--help"], resilient_parsing=True, terminal_width=HELP_WIDTH)
    text = command.get_help(context)
    return f'''"""The text of `meshctl --help`, so that it needs no import of the option parser. Made by `make generate`."""

HELP = """\\
{text}
"""
'''


def vocabulary_module() -> str:
    # It has a file of its own, which is found both from here and from the tests.
    sys.path.insert(0, str(ROOT))
    from scripts import vocabulary

    return vocabulary.module()


# (path below the repository's root, function that returns its text)
GENERATORS: list[tuple[str, Callable[[], str]]] = [
    ("schemas/mesh.schema.json", mesh_schema),
    ("schemas/route-tests.schema.json", route_tests_schema),
    ("docs/capabilities.md", capabilities_page),
    ("docs/rules.md", rules_page),
    ("docs/findings.md", findings_page),
    ("meshctl/cli/help.py", help_module),
    ("meshctl/audit/words.py", vocabulary_module),
]


def stale() -> list[tuple[Path, str]]:
    """Files whose text differs from what the code would write, with that text."""
    made = [(ROOT / path, generate()) for path, generate in GENERATORS]
    return [(path, text) for path, text in made if not path.exists() or path.read_text("utf-8") != text]


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the generated files.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is stale")
    arguments = parser.parse_args()
    late = stale()
    for path, text in late:
        name = path.relative_to(ROOT)
        if arguments.check:
            print(f"{name} is not what the code makes; run: make generate", file=sys.stderr)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}")
    return 1 if late and arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())
