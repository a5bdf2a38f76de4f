"""Table of contents: what meshctl can do, each as one function that composes the rooms.

Nothing here prints, or asks the clock, the environment or the terminal. Errors are the typed ones of
``meshctl.diagnostics``; findings come back as values. The rooms are imported when they are first needed.
"""

from meshctl.pipeline.applying import Outcome, State, Wanted, apply, recover
from meshctl.pipeline.blame import blame
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
from meshctl.pipeline.comparing import (
    Compared,
    change_between,
    compare,
    merge_base,
    renamed_spec,
    rendered_diff,
    validate_sides,
)
from meshctl.pipeline.deployed import DeployedSpec, deployed_files, deployed_spec
from meshctl.pipeline.deploying import PLATFORMS, deploy, write_deployment
from meshctl.pipeline.drifting import Deployed, Drift, drift
from meshctl.pipeline.enrolling import (
    install_certificate,
    issuer_command,
    issuer_in,
    renew_certificate,
    request_certificate,
    sign_request,
    sign_requests,
)
from meshctl.pipeline.explaining import explain_request
from meshctl.pipeline.exporting import cert_manager, decrypt_bundle, encrypt_bundles
from meshctl.pipeline.fixing import Fixed, Question, fix, offers, write_fixes
from meshctl.pipeline.graphing import Picture, draw, graph
from meshctl.pipeline.history import history
from meshctl.pipeline.linting import Linted, lint, policy_faults, run_policy_tests
from meshctl.pipeline.observing import OBSERVABILITY, observe, write_observability
from meshctl.pipeline.publishing import PublishedOutputs, publish, published_branch, published_source
from meshctl.pipeline.reaching import Reached, who_can_reach
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
from meshctl.pipeline.segmenting import SEGMENTATION, segment, write_segmentation
from meshctl.pipeline.settings import settings

__all__ = [
    "IDENTITIES",
    "OBSERVABILITY",
    "PLATFORMS",
    "SEGMENTATION",
    "UNREADABLE",
    "Built",
    "Compared",
    "Deployed",
    "DeployedSpec",
    "Drift",
    "Evidence",
    "Fixed",
    "Linted",
    "Loaded",
    "Outcome",
    "Picture",
    "PublishedOutputs",
    "Question",
    "Reached",
    "Revocation",
    "Rotated",
    "Rule",
    "Standing",
    "State",
    "Tested",
    "Validated",
    "Wanted",
    "apply",
    "blame",
    "build",
    "ca_due",
    "ca_standing",
    "capabilities",
    "cert_manager",
    "certificate_status",
    "change_between",
    "check",
    "check_rotation",
    "compare",
    "create_authority",
    "decrypt_bundle",
    "deploy",
    "deployed_files",
    "deployed_spec",
    "draw",
    "drift",
    "emit",
    "encrypt_bundles",
    "explain_request",
    "fix",
    "graph",
    "history",
    "install_certificate",
    "issue_certificates",
    "issuer_command",
    "issuer_in",
    "lint",
    "load",
    "merge_base",
    "observe",
    "offers",
    "policy_faults",
    "publish",
    "published_branch",
    "published_source",
    "recover",
    "renamed_spec",
    "rendered_diff",
    "renew_certificate",
    "renew_issuing",
    "request_certificate",
    "resolved_json",
    "revoke_certificates",
    "rotate_ca",
    "rules",
    "run_policy_tests",
    "run_route_tests",
    "run_route_tests_live",
    "segment",
    "service_of",
    "settings",
    "sign_request",
    "sign_requests",
    "up",
    "validate",
    "validate_sides",
    "who_can_reach",
    "write_deployment",
    "write_fixes",
    "write_observability",
    "write_segmentation",
]
