"""Every code that a finding can carry, with what `meshctl explain CODE` says of it.

Codes are stable and never used again for something else; the slug is the human name. Lint rules are
not here: each has its own file in ``policies/``. Ranges: 0 reading · 1 references and shape · 2 routing ·
3 timeouts and retries · 4 resilience · 5 security · 6 certificates · 7 portability · 8 change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from meshctl.diagnostics import Finding, Position, Related, Severity


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of finding. ``why`` says what goes wrong if it is left, ``fix`` the usual way out."""

    code: str
    slug: str
    why: str
    fix: str
    severity: Severity = Severity.ERROR


_CODES = (
    # --- reading -----------------------------------------------------------------------------
    Code(
        "MSH0001",
        "yaml-syntax",
        "The file is not YAML, so nothing in it can be read.",
        "Mend the syntax at the place shown; an editor with YAML support marks it too.",
    ),
    Code(
        "MSH0002",
        "unreadable-file",
        "A spec is made of regular UTF-8 files of bounded size below one folder, so that a build never depends on anything else.",
        "Save the file as UTF-8 text below the spec's folder.",
    ),
    Code(
        "MSH0003",
        "duplicate-key",
        "YAML parsers keep one of the two values and drop the other in silence.",
        "Keep one of them.",
    ),
    Code(
        "MSH0004",
        "yaml-feature-refused",
        "Tags, merge keys, several documents and large alias expansions make a spec mean something else than it shows.",
        "Write the values out.",
    ),
    Code(
        "MSH0005",
        "too-large",
        "Bounds on size, depth and number of nodes keep a hostile file from exhausting the machine.",
        "Split the spec into several files.",
    ),
    Code(
        "MSH0006",
        "empty-spec",
        "There is nothing to compile.",
        "Point to a mesh file or to a folder with one; `meshctl --help` shows the default places.",
    ),
    Code(
        "MSH0007",
        "hidden-character",
        "Whoever reads the file would not see it, and a terminal, an editor or a proxy may act on it.",
        "Remove it.",
    ),
    Code(
        "MSH0051",
        "policy-invalid",
        "A policy that cannot be read checks nothing, and nobody would notice.",
        "Mend the policy file at the place shown.",
    ),
    Code(
        "MSH0052",
        "policy-error",
        "A rule that gives no answer must not pass for one that is content.",
        "Let the policy's `assert` allow for facts like these, for example with `has()` or `in`.",
    ),
    # --- references and shape ----------------------------------------------------------------
    Code(
        "MSH1001",
        "unknown-key",
        "A misspelt key would otherwise do nothing, and nobody would notice until it matters.",
        "Correct the spelling, or remove the key.",
    ),
    Code(
        "MSH1002",
        "undefined-reference",
        "What is named here does not exist in the mesh.",
        "Correct the name, or define it.",
    ),
    Code(
        "MSH1003",
        "duplicate-definition",
        "Two definitions of one thing: which one holds would depend on the order of files.",
        "Keep one of them.",
    ),
    Code(
        "MSH1004",
        "port-conflict",
        "Two listeners cannot share one address and port; the second would refuse to start.",
        "Give one of them another port, or another host.",
    ),
    Code(
        "MSH1005",
        "missing-key",
        "Without it the rest cannot be understood.",
        "Add the key.",
    ),
    Code(
        "MSH1006",
        "invalid-value",
        "The value is not of the kind that this key takes.",
        "Write a value of the kind shown.",
    ),
    Code(
        "MSH1007",
        "empty-value",
        "An empty value where something is needed hides a mistake: nothing, everything or a default could be meant.",
        "Write the value, or remove the key.",
    ),
    Code(
        "MSH1008",
        "unsupported-version",
        "The file was written for another version of the language.",
        "Set `apiVersion: meshctl.dev/v1`, or use the version of meshctl that this spec requires.",
    ),
    Code(
        "MSH1009",
        "nothing-to-delete",
        "Null in an environment deletes; where there is nothing to delete, a key is misspelt and what was to go stays.",
        "Correct the key, or remove the line.",
    ),
    Code(
        "MSH1010",
        "reserved-name",
        "The name stands for something else already, in the spec or in access logs.",
        "Choose another name.",
    ),
    Code(
        "MSH1011",
        "ambiguous-port",
        "`ports` says what is spoken on which port; a second answer beside it would be ignored.",
        "Write `ports` alone, or `protocol` and `port`.",
    ),
    Code(
        "MSH1012",
        "resolvers-missing",
        "A build reads nothing of the machine it runs on, so the spec has to say which DNS server the sidecars ask.",
        "Write `resolvers:` under `mesh`, for example `resolvers: [127.0.0.53:53]`.",
    ),
    # --- routing -----------------------------------------------------------------------------
    Code(
        "MSH2001",
        "weights-all-zero",
        "A route whose backends all have weight zero can send its requests nowhere.",
        "Give at least one backend a weight above zero.",
    ),
    Code(
        "MSH2002",
        "ambiguous-match",
        "A condition that says two things, or nothing, cannot be tested.",
        "Write exactly one of the alternatives.",
    ),
    Code(
        "MSH2003",
        "route-to-empty-pool",
        "Requests that match are answered 503, for there is no endpoint to take them.",
        "Add an endpoint, or leave the call or the route out.",
        Severity.WARNING,
    ),
    Code(
        "MSH2004",
        "path-not-canonical",
        "Sidecars answer 400 to every path that is not canonical, so this condition can never hold.",
        "Write the path without `//`, dot segments, backslashes and needless percent-encodings.",
    ),
    # --- timeouts and retries ----------------------------------------------------------------
    Code(
        "MSH3001",
        "retries-without-condition",
        "Without a condition nothing is ever tried again, although the spec looks as if it were.",
        "Say when to retry, for example `retryOn: [connect-failure]`, or write `attempts: 0`.",
    ),
    # --- security ----------------------------------------------------------------------------
    Code(
        "MSH5001",
        "shared-trust-domain",
        "In one trust domain identities are the same: with the CA of the other environment, a certificate of staging is good in production.",
        "Give each environment a `mesh.trustDomain` of its own.",
    ),
    # --- certificates ------------------------------------------------------------------------
    Code(
        "MSH6001",
        "renewal-window-too-long",
        "A certificate that is due from its first day is renewed at every build and never settles.",
        "Make `renewBefore` shorter than `lifetime`.",
    ),
    Code(
        "MSH6002",
        "certificate-missing",
        "Without its certificate, its key and the trust bundle a sidecar does not start.",
        "Issue it with `meshctl certs issue`, or put one from your own CA there.",
    ),
    Code(
        "MSH6003",
        "certificate-unreadable",
        "A proxy that cannot read these files does not start, and keys reached through links may belong to something else.",
        "Remove the bundle's `tls` folder and run `meshctl certs issue`.",
    ),
    Code(
        "MSH6004",
        "certificate-mismatched-key",
        "Every proxy refuses to start with a key that is not its certificate's.",
        "Run `meshctl certs issue`; it makes a new pair.",
    ),
    Code(
        "MSH6005",
        "certificate-wrong-identity",
        "Peers verify the whole identity, so every connection from or to this sidecar would be refused.",
        "Run `meshctl certs issue`; it issues for the identity in the spec.",
    ),
    Code(
        "MSH6006",
        "certificate-foreign-ca",
        "Peers trust this mesh's CA only, so every connection from or to this sidecar would be refused.",
        "Run `meshctl certs issue` with this mesh's CA.",
    ),
    Code(
        "MSH6007",
        "certificate-expired",
        "Every connection from or to this sidecar is refused from that moment on.",
        "Run `meshctl certs issue`, deploy the bundle, and run `meshctl certs status` on a schedule.",
    ),
    Code(
        "MSH6008",
        "certificate-not-yet-valid",
        "Peers refuse a certificate before its start, and a clock that is wrong breaks other checks too.",
        "Set the clocks right, then run `meshctl certs issue`.",
    ),
    Code(
        "MSH6009",
        "certificate-due",
        "Nothing renews by itself: inside its renewal window a certificate waits for somebody to run a command, and then it expires.",
        "Run `meshctl certs issue` and deploy the bundle.",
    ),
    Code(
        "MSH6010",
        "issuer-ends-first",
        "A certificate that outlives its CA fails when the CA ends, earlier than it says itself.",
        "Make a new CA with `meshctl certs init --ca DIR`, or shorten `mesh.certificates.lifetime`.",
    ),
    Code(
        "MSH6011",
        "ca-missing",
        "Only a CA can issue certificates, and meshctl never makes one on the way.",
        "Make one with `meshctl certs init`, or name yours with `--ca DIR`.",
    ),
    Code(
        "MSH6012",
        "ca-unusable",
        "Certificates from a CA that does not fit together, or whose key others can read, prove nothing.",
        "Restore the folder from a backup, or make a new CA; its keys need mode 0600.",
    ),
    Code(
        "MSH6013",
        "ca-exists",
        "Overwriting a CA cuts every sidecar off whose certificate it signed.",
        "Use the CA that is there, or make the new one in another folder.",
    ),
    Code(
        "MSH6014",
        "ca-tracked",
        "Who can read the repository, or any clone of it, could be any service of the mesh.",
        "Choose a folder that git ignores; if the key was ever committed, make a new CA.",
    ),
    # --- portability -------------------------------------------------------------------------
    Code(
        "MSH7001",
        "unsupported-on-target",
        "The proxy that must do this cannot; leaving it out in silence would change what the spec means.",
        "Use what is suggested instead, or another proxy for this service.",
    ),
    Code(
        "MSH7002",
        "approximated-on-target",
        "The proxy that must do this differs from the spec in the way described.",
        "Accept the difference with a waiver, or use another proxy for this service.",
        Severity.WARNING,
    ),
    Code(
        "MSH7003",
        "not-yet-supported",
        "The language has it so that specs can be written for good, but no proxy target compiles it yet: requests go as if it were not written.",
        "Leave it and waive this finding, or take it out until a release of meshctl compiles it.",
        Severity.WARNING,
    ),
    # --- change ------------------------------------------------------------------------------
    Code(
        "MSH8001",
        "expired-waiver",
        "A waiver accepts a fault until a date. After it somebody has to decide again.",
        "Mend what is waived and remove the waiver, or agree on another date.",
    ),
    Code(
        "MSH8002",
        "unused-waiver",
        "What it waives is not found here any more; left standing it would hide the next such fault.",
        "Remove the waiver.",
        Severity.WARNING,
    ),
    Code(
        "MSH8003",
        "distant-waiver",
        "A date that nobody will live to see is a fault accepted for good.",
        "Set `until` to a date at most 180 days ahead.",
        Severity.WARNING,
    ),
)

CODES: Mapping[str, Code] = {each.slug: each for each in _CODES}
"""By slug."""


def finding(
    slug: str,
    at: Position | None,
    message: str,
    *,
    fix: str = "",
    severity: Severity | None = None,
    related: tuple[Related, ...] = (),
    alike: str = "",
) -> Finding:
    """A finding of the kind ``slug``; what is not said here comes from the catalogue."""
    kind = CODES[slug]
    return Finding(
        code=kind.code,
        slug=kind.slug,
        severity=severity or kind.severity,
        message=message,
        at=at,
        why=kind.why,
        fix=fix or kind.fix,
        related=related,
        alike=alike,
    )
