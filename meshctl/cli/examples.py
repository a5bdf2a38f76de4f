"""How a finding looks in a spec, and how the same looks mended: short, for `meshctl explain` and the documentation.

By slug, and only where a few lines say more than the words. A part of a spec each; the tests put the rest
around it and find the one faulty and the other not.
"""

from __future__ import annotations

from collections.abc import Mapping

EXAMPLES: Mapping[str, tuple[str, str]] = {
    "duplicate-key": (
        "services:\n  catalog: {port: 8080, port: 8081}\n",
        "services:\n  catalog: {port: 8080}\n",
    ),
    "yaml-feature-refused": (
        "services:\n  catalog: {<<: {port: 8080}}\n",
        "services:\n  catalog: {port: 8080}\n",
    ),
    "unknown-key": (
        "services:\n  catalog: {timout: 2s}\n",
        "services:\n  catalog: {timeout: 2s}\n",
    ),
    "undefined-reference": (
        "services:\n  web: {calls: {catalgo: {}}}\n  catalog: {port: 8080, endpoints: [{address: 10.0.0.1}]}\n",
        "services:\n  web: {calls: {catalog: {}}}\n  catalog: {port: 8080, endpoints: [{address: 10.0.0.1}]}\n",
    ),
    "missing-key": (
        "services:\n  catalog: {endpoints: [{address: 10.0.0.1}]}\n",
        "services:\n  catalog: {port: 8080, endpoints: [{address: 10.0.0.1}]}\n",
    ),
    "invalid-value": (
        "services:\n  catalog: {timeout: 500}\n",
        "services:\n  catalog: {timeout: 500ms}\n",
    ),
    "empty-value": (
        "services:\n  web: {calls: }\n",
        "services:\n  web: {calls: {}}\n",
    ),
    "weights-all-zero": (
        (
            "services:\n"
            "  catalog:\n"
            "    port: 8080\n"
            "    endpoints: [{address: 10.0.0.1, subset: v1}, {address: 10.0.0.2, subset: v2}]\n"
            "    routes: [{name: a, backends: [{subset: v1, weight: 0}, {subset: v2, weight: 0}]}]\n"
        ),
        (
            "services:\n"
            "  catalog:\n"
            "    port: 8080\n"
            "    endpoints: [{address: 10.0.0.1, subset: v1}, {address: 10.0.0.2, subset: v2}]\n"
            "    routes: [{name: a, backends: [{subset: v1, weight: 100}, {subset: v2, weight: 0}]}]\n"
        ),
    ),
    "ambiguous-match": (
        (
            "services:\n"
            "  catalog:\n"
            "    port: 8080\n"
            "    endpoints: [{address: 10.0.0.1}]\n"
            "    routes: [{name: a, matches: [{path: {exact: /a, prefix: /b}}]}]\n"
        ),
        (
            "services:\n"
            "  catalog:\n"
            "    port: 8080\n"
            "    endpoints: [{address: 10.0.0.1}]\n"
            "    routes: [{name: a, matches: [{path: {exact: /a}}, {path: {prefix: /b}}]}]\n"
        ),
    ),
    "route-to-empty-pool": (
        "services:\n  web: {calls: {catalog: {}}}\n  catalog: {port: 8080}\n",
        "services:\n  web: {calls: {catalog: {}}}\n  catalog: {port: 8080, endpoints: [{address: 10.0.0.1}]}\n",
    ),
    "path-not-canonical": (
        (
            "services:\n"
            "  catalog:\n"
            "    port: 8080\n"
            "    endpoints: [{address: 10.0.0.1}]\n"
            "    routes: [{name: a, matches: [{path: {prefix: /a//b}}]}]\n"
        ),
        (
            "services:\n"
            "  catalog:\n"
            "    port: 8080\n"
            "    endpoints: [{address: 10.0.0.1}]\n"
            "    routes: [{name: a, matches: [{path: {prefix: /a/b}}]}]\n"
        ),
    ),
    "retries-without-condition": (
        "services:\n  catalog: {retries: {attempts: 2}}\n",
        "services:\n  catalog: {retries: {attempts: 2, retryOn: [connect-failure]}}\n",
    ),
    "failover-unnoticed": (
        (
            "services:\n"
            "  catalog:\n"
            "    port: 8080\n"
            "    endpoints: [{address: 10.0.0.1, zone: a}, {address: 10.0.0.2, zone: b}]\n"
            "    locality: {preferSameZone: true}\n"
        ),
        (
            "services:\n"
            "  catalog:\n"
            "    port: 8080\n"
            "    endpoints: [{address: 10.0.0.1, zone: a}, {address: 10.0.0.2, zone: b}]\n"
            "    locality: {preferSameZone: true}\n"
            "    outlierDetection: {consecutiveErrors: 5}\n"
        ),
    ),
    "zone-unknown": (
        (
            "services:\n"
            "  catalog:\n"
            "    port: 8080\n"
            "    endpoints: [{address: 10.0.0.1, zone: a}, {address: 10.0.0.2, zone: b}]\n"
            "    locality: {preferSameZone: true}\n"
            "    outlierDetection: {consecutiveErrors: 5}\n"
            "  web: {port: 8081, endpoints: [{address: 10.0.0.3}], calls: {catalog: {}}}\n"
        ),
        (
            "services:\n"
            "  catalog:\n"
            "    port: 8080\n"
            "    endpoints: [{address: 10.0.0.1, zone: a}, {address: 10.0.0.2, zone: b}]\n"
            "    locality: {preferSameZone: true}\n"
            "    outlierDetection: {consecutiveErrors: 5}\n"
            "  web: {port: 8081, zone: a, endpoints: [{address: 10.0.0.3}], calls: {catalog: {}}}\n"
        ),
    ),
    "health-check-impossible": (
        (
            "services:\n"
            "  catalog:\n"
            "    port: 8080\n"
            "    endpoints: [{address: 10.0.0.1, zone: a}, {address: 10.0.0.2, zone: b}]\n"
            "    healthCheck: {tcp: {}}\n"
        ),
        (
            "services:\n"
            "  catalog:\n"
            "    port: 8080\n"
            "    endpoints: [{address: 10.0.0.1, zone: a}, {address: 10.0.0.2, zone: b}]\n"
            "    healthCheck: {http: {path: /healthz}}\n"
        ),
    ),
    "health-check-not-exempt": (
        (
            "services:\n"
            "  catalog:\n"
            "    port: 8080\n"
            "    endpoints: [{address: 10.0.0.1, zone: a}, {address: 10.0.0.2, zone: b}]\n"
            "    healthCheck: {http: {path: /healthz}}\n"
            "    rateLimit: {requests: 100, per: 1s}\n"
            "  web: {port: 8081, endpoints: [{address: 10.0.0.3}], calls: {catalog: {}}}\n"
        ),
        (
            "services:\n"
            "  catalog:\n"
            "    port: 8080\n"
            "    endpoints: [{address: 10.0.0.1, zone: a}, {address: 10.0.0.2, zone: b}]\n"
            "    healthPath: /healthz\n"
            "    healthCheck: {http: {path: /healthz}}\n"
            "    rateLimit: {requests: 100, per: 1s}\n"
            "  web: {port: 8081, endpoints: [{address: 10.0.0.3}], calls: {catalog: {}}}\n"
        ),
    ),
    "rate-limit-too-slow": (
        (
            "services:\n"
            "  catalog:\n"
            "    port: 8080\n"
            "    endpoints: [{address: 10.0.0.1, zone: a}, {address: 10.0.0.2, zone: b}]\n"
            "    rateLimit: {requests: 10, per: 1d}\n"
        ),
        (
            "services:\n"
            "  catalog:\n"
            "    port: 8080\n"
            "    endpoints: [{address: 10.0.0.1, zone: a}, {address: 10.0.0.2, zone: b}]\n"
            "    rateLimit: {requests: 10, per: 1m}\n"
        ),
    ),
    "renewal-window-too-long": (
        "mesh: {certificates: {lifetime: 24h, renewBefore: 48h}}\n",
        "mesh: {certificates: {lifetime: 24h, renewBefore: 8h}}\n",
    ),
    "unused-waiver": (
        (
            "services:\n"
            "  catalog:\n"
            "    timeout: 2s\n"
            "    waive: [{finding: missing-timeout, reason: measuring, owner: team-a, until: 2027-01-01}]\n"
        ),
        "services:\n  catalog:\n    timeout: 2s\n",
    ),
    "missing-timeout": (
        "services:\n  catalog: {port: 8080, endpoints: [{address: 10.0.0.1}]}\n  web: {calls: {catalog: {}}}\n",
        (
            "services:\n"
            "  catalog: {port: 8080, endpoints: [{address: 10.0.0.1}], timeout: 2s}\n"
            "  web: {calls: {catalog: {}}}\n"
        ),
    ),
}
