"""The rules of the catalogue are all there: most are `lint`'s, some `validate` or `certs status` had before."""

from __future__ import annotations

import pytest

from meshctl import pipeline

RULES = {
    "A1 unknown-key": "MSH1001 unknown-key",
    "A2 undefined-reference": "MSH1002 undefined-reference",
    "A3 unused-definition": "MSH1103 unused-definition",
    "A4 duplicate-name-or-host": "MSH1003 duplicate-definition",
    "A5 port-conflict": "MSH1004 port-conflict",
    "A6 protocol-mismatch": "MSH1013 needs-http",
    "A7 selector-matches-nothing": "MSH1107 route-for-nobody",
    "A8 ineffective-policy": "MSH3004 ineffective-setting",
    "B1 unreachable-route": "MSH2101 dead-route",
    "B2 ambiguous-overlap": "MSH2102 ambiguous-overlap",
    "B3 no-default-route": "MSH2103 no-default-route",
    "B4 split-weights": "MSH2104 split-weights",
    "B5 canary-without-guard": "MSH2105 canary-without-guard",
    "B6 mirror-of-writes": "MSH2106 mirror-of-writes",
    "B7 redirect-loop of one route": "MSH2008 redirect-loop",
    "B7 redirect-loop of several": "MSH2107 redirect-circle",
    "B8 route-to-empty-pool": "MSH2003 route-to-empty-pool",
    "B8 minimum endpoints": "MSH2108 thin-pool",
    "C1 missing-timeout": "MSH3101 missing-timeout",
    "C2 timeout-budget-inversion": "MSH3102 timeout-budget-inversion",
    "C3 per-try-exceeds-timeout": "MSH3002 per-try-timeout-too-long",
    "C4 attempts-do-not-fit": "MSH3104 attempts-do-not-fit",
    "C5 retry-amplification": "MSH3105 retry-amplification",
    "C6 retry-at-several-layers": "MSH3106 retry-at-several-layers",
    "C7 non-idempotent-retry": "MSH3107 non-idempotent-retry",
    "C8 retry-without-budget-or-breaker": "MSH3108 retry-without-budget",
    "C9 idle-timeout-shorter-than-request": "MSH3109 idle-timeout-too-short",
    "D1 missing-circuit-breaker": "MSH4101 missing-circuit-breaker",
    "D2 breaker-below-declared-load": "MSH4102 breaker-below-load",
    "D3 outlier-ejects-all": "MSH4103 outlier-ejects-all",
    "D4 failover-not-armed": "MSH4003 failover-unnoticed",
    "D5 zone-failover-coverage": "MSH4105 zone-loss",
    "D6 single-point-of-failure": "MSH4106 single-point-of-failure",
    "D7 dependency-cycle": "MSH4107 dependency-cycle",
    "D8 rate-limit-sum": "MSH4108 rate-limit-sum",
    "E1 plaintext-or-permissive": "MSH5101 plaintext-or-permissive",
    "E2 no-authorization": "MSH5102 no-authorization",
    "E3 wildcard-principal": "MSH5103 wildcard-principal",
    "E4 unverified-server": "MSH5104 unverified-server",
    "E5 unrestricted-egress": "MSH5105 unrestricted-egress",
    "E6 authorization-reachability": "MSH5106 exposed-to-gateway",
    "E7 allow-rule-without-a-call": "MSH5002 rule-without-call",
    "E7 call-without-an-allow-rule": "MSH5003 call-without-grant",
    "E8 policy-shadowed-by-deny": "MSH5108 policy-shadowed-by-deny",
    "E9 trust-domain-mismatch": "MSH5001 shared-trust-domain",
    "E9 SAN-mismatch": "MSH5109 verified-name-differs",
    "E10 path-normalisation-differs": "MSH5110 misread-path",
    "E11 admin-listener-exposed": "MSH5111 admin-exposed",
    "F1 expires-within": "MSH6009 certificate-due",
    "F2 chain-shorter-than-leaf": "MSH6010 issuer-ends-first",
    "F3 rotation-window": "MSH6103 rotation-window",
    "F5 validity-too-long": "MSH6105 certificate-lifetime",
    "G1 unsupported-on-target": "MSH7001 unsupported-on-target",
    "G2 approximated-on-target": "MSH7002 approximated-on-target",
    "G3 implicit-default": "MSH7103 implicit-default",
    "H1 blast-radius": "MSH8101 blast-radius",
    "H2 reachability-changed": "MSH8102 reachability-changed",
    "H3 simultaneous-caller-callee-change": "MSH8103 change-order",
    "H5 config-size": "MSH8105 config-size",
    "H6 no-owner": "MSH8106 no-owner",
    "H7 no-telemetry": "MSH8107 no-telemetry",
    "H8 expired-waiver": "MSH8001 expired-waiver",
}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_is_there_under_its_code(rule):
    known = {f"{each.code} {each.slug}" for each in pipeline.rules()}
    assert RULES[rule] in known
