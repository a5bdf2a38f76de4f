"""Table of contents: what meshctl can do, each as one function that composes the rooms.

Nothing here prints, or asks the clock, the environment or the terminal. Errors are the typed ones of
``meshctl.diagnostics``; findings come back as values. The rooms are imported when they are first needed.
"""

from meshctl.pipeline.building import Built, build, emit
from meshctl.pipeline.certificates import (
    IDENTITIES,
    Revocation,
    certificate_status,
    create_authority,
    issue_certificates,
    revoke_certificates,
)
from meshctl.pipeline.checking import (
    UNREADABLE,
    Loaded,
    Validated,
    capabilities,
    check,
    load,
    resolved_json,
    validate,
)
from meshctl.pipeline.comparing import diff, rendered_diff
from meshctl.pipeline.explaining import explain_request
from meshctl.pipeline.linting import lint
from meshctl.pipeline.rotation import (
    Evidence,
    Rotated,
    Standing,
    ca_due,
    ca_standing,
    check_rotation,
    renew_issuing,
    rotate_ca,
)
from meshctl.pipeline.route_tests import Tested, run_route_tests, run_route_tests_live
from meshctl.pipeline.rules import Rule, rules, service_of
from meshctl.pipeline.running import up
from meshctl.pipeline.settings import settings

__all__ = [
    "IDENTITIES",
    "UNREADABLE",
    "Built",
    "Evidence",
    "Loaded",
    "Revocation",
    "Rotated",
    "Rule",
    "Standing",
    "Tested",
    "Validated",
    "build",
    "ca_due",
    "ca_standing",
    "capabilities",
    "certificate_status",
    "check",
    "check_rotation",
    "create_authority",
    "diff",
    "emit",
    "explain_request",
    "issue_certificates",
    "lint",
    "load",
    "rendered_diff",
    "renew_issuing",
    "resolved_json",
    "revoke_certificates",
    "rotate_ca",
    "rules",
    "run_route_tests",
    "run_route_tests_live",
    "service_of",
    "settings",
    "up",
    "validate",
]
