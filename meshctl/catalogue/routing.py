"""Codes of range 2: routing."""

from __future__ import annotations

from meshctl.catalogue.code import Code
from meshctl.diagnostics import Severity

CODES = (
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
        "Requests that match are answered 503, and streams are closed, for there is no endpoint to take them.",
        "Add an endpoint, or leave the call or the route out.",
        Severity.WARNING,
    ),
    Code(
        "MSH2004",
        "path-not-canonical",
        "Sidecars answer 400 to every path that is not canonical, so this condition can never hold.",
        "Write the path without `//`, dot segments, backslashes and needless percent-encodings.",
    ),
    Code(
        "MSH2005",
        "hostname-clash",
        "A request goes by its Host: a name that stands for two things would send requests to the wrong one.",
        "Choose another name, or remove it from one of the two.",
    ),
    Code(
        "MSH2006",
        "conflicting-filters",
        "A request is either sent on, redirected or answered; the rest of what is written here could never happen.",
        "Keep one of them, or split the route in two.",
    ),
    Code(
        "MSH2007",
        "prefix-change-without-prefix",
        "Only a prefix that was matched can be replaced; of any other path it is not known which part to take away.",
        "Match by `path: {prefix: …}`, or write `path: {full: …}` for the whole new path.",
    ),
    Code(
        "MSH2008",
        "redirect-loop",
        "The client is sent to where it came from, again and again, until it gives up.",
        "Redirect to another path, host, port or scheme.",
    ),
    Code(
        "MSH2009",
        "header-not-changeable",
        "These headers are the connection's or the mesh's own: changing them breaks the framing of messages, or would let a spec forge identities.",
        "Leave the header alone; the host is changed by `rewrite: {hostname: …}`.",
    ),
    Code(
        "MSH2010",
        "unreachable-route",
        "Every request that it would take is taken before, so it does nothing, and nobody would notice.",
        "Make its conditions more particular, move it up, or remove it.",
        Severity.WARNING,
    ),
    Code(
        "MSH2011",
        "header-changed-twice",
        "The order in which a header is set, added to and removed is fixed, so one of the two would undo the other.",
        "Keep one of them: `set` replaces every line, `add` appends one, `remove` deletes all.",
    ),
    Code(
        "MSH2012",
        "caller-not-known",
        "Clients of a gateway come from outside the mesh and show no certificate, so nobody knows who they are.",
        "Tell them apart by a header, a path or a host name, or put the condition at the service's own routes.",
    ),
    Code(
        "MSH2013",
        "backend-not-called",
        "A gateway may only send requests on to what it lists under `calls`; that is how callees know who calls them.",
        "List the service under the gateway's `calls`.",
    ),
)
