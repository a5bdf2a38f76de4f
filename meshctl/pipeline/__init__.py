"""Table of contents: what meshctl can do, each as one function that composes the rooms.

Nothing here prints, or asks the clock, the environment or the terminal. Errors are the typed ones of
``meshctl.diagnostics``; findings come back as values. The rooms, and the modules
here, are imported when they are first needed: no command pays for another's.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

# These modules have a function of their own name, whose place on the package a later import would take.
from meshctl.pipeline.blame import blame
from meshctl.pipeline.history import history
from meshctl.pipeline.rules import Rule, rules, service_of
from meshctl.pipeline.settings import settings

if TYPE_CHECKING:
    from meshctl.pipeline.applying import Outcome, State, Wanted, apply, recover
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
    from meshctl.pipeline.running import up
    from meshctl.pipeline.segmenting import SEGMENTATION, segment, write_segmentation

_CONTENTS: Mapping[str, str] = {
    "applying": "Outcome State Wanted apply recover",
    "building": "Built build emit",
    "certificates": "IDENTITIES Revocation certificate_status create_authority issue_certificates revoke_certificates",
    "checking": "UNREADABLE Loaded Validated capabilities check load resolved_json validate",
    "comparing": "Compared change_between compare merge_base renamed_spec rendered_diff validate_sides",
    "deployed": "DeployedSpec deployed_files deployed_spec",
    "deploying": "PLATFORMS deploy write_deployment",
    "drifting": "Deployed Drift drift",
    "enrolling": "install_certificate issuer_command issuer_in renew_certificate request_certificate sign_request sign_requests",
    "explaining": "explain_request",
    "exporting": "cert_manager decrypt_bundle encrypt_bundles",
    "fixing": "Fixed Question fix offers write_fixes",
    "graphing": "Picture draw graph",
    "linting": "Linted lint policy_faults run_policy_tests",
    "observing": "OBSERVABILITY observe write_observability",
    "publishing": "PublishedOutputs publish published_branch published_source",
    "reaching": "Reached who_can_reach",
    "rotation": "Evidence Rotated Standing ca_due ca_standing check_rotation renew_issuing rotate_ca",
    "route_tests": "Tested run_route_tests run_route_tests_live",
    "running": "up",
    "segmenting": "SEGMENTATION segment write_segmentation",
}
_MODULES = {name: module for module, names in _CONTENTS.items() for name in names.split()}

if not TYPE_CHECKING:  # or mypy would take any name for one of these

    def __getattr__(name: str) -> object:
        """The function or type of that name, once its module is imported (PEP 562)."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = value
        return value


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
