"""Codes of range 3: timeouts and retries."""

from __future__ import annotations

from meshctl.catalogue.code import Code
from meshctl.diagnostics import Severity

CODES = (
    Code(
        "MSH3001",
        "retries-without-condition",
        "Without a condition nothing is ever tried again, although the spec looks as if it were.",
        "Say when to retry, for example `retryOn: [connect-failure]`, or write `attempts: 0`.",
    ),
    Code(
        "MSH3002",
        "per-try-timeout-too-long",
        "The whole request is over before the first try is, so the limit of one try never counts and nothing is tried again.",
        "Make `perTryTimeout` shorter than `timeout`: all tries together have to fit into it.",
    ),
    Code(
        "MSH3003",
        "retry-condition-impossible",
        "What it waits for cannot happen here, so nothing would ever be tried again for it.",
        "Remove the condition, or write the one that is meant.",
    ),
    Code(
        "MSH3004",
        "ineffective-setting",
        "Something else that is written makes it do nothing, although the spec looks as if it did.",
        "Remove it, or change what stands in its way.",
        Severity.WARNING,
        fixable="safe",
    ),
    Code(
        "MSH3005",
        "timeout-of-a-stream",
        "With `streaming: true` only the idle timeout is left: a limit for the whole would cut the stream.",
        "Remove the limit, or write `streaming: false` beside it.",
    ),
    Code(
        "MSH3006",
        "backoff-out-of-order",
        "The pause grows from `base` to `max`, so it cannot begin above its end.",
        "Make `max` at least as long as `base`.",
    ),
)
