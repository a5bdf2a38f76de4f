"""Codes of range 1: references and shape."""

from __future__ import annotations

from meshctl.catalogue.code import Code
from meshctl.diagnostics import Severity

CODES = (
    Code(
        "MSH1001",
        "unknown-key",
        "A misspelt key would otherwise do nothing, and nobody would notice until it matters.",
        "Correct the spelling, or remove the key.",
        fixable="unsafe",
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
    Code(
        "MSH1013",
        "needs-http",
        "A TCP stream has no requests, so what speaks of requests could never apply to it.",
        "Remove it, or let the callee speak HTTP.",
    ),
    Code(
        "MSH1014",
        "local-port-missing",
        "A TCP client says no Host, so nothing but a port of its own tells whom it wants to reach.",
        "Write `localPort` at the call, and let the client connect to 127.0.0.1 and that port.",
    ),
    Code(
        "MSH1015",
        "not-exactly-one",
        "These keys exclude each other: with two of them, or with none, it is not clear what is meant.",
        "Write exactly one of them.",
    ),
    Code(
        "MSH1016",
        "repeated-item",
        "The second one says nothing that the first did not; mostly something else was meant.",
        "Remove it, or write what was meant.",
        Severity.WARNING,
        fixable="safe",
    ),
)
