"""What a request does, computed from the resolved model: the oracle for explain, test and the live tests.

Written from docs/wire-contract.md and never from an emitter, so that the two can disagree.
"""

from meshctl.simulate.explanation import Explanation, Hop, explain
from meshctl.simulate.message import Request
from meshctl.simulate.outcome import Backend, Outcome
from meshctl.simulate.request import answer, connect, probe, receive, request
from meshctl.simulate.retries import tries_again
from meshctl.simulate.steps import Step, Topic
from meshctl.simulate.timeouts import WorstCase

__all__ = [
    "Backend",
    "Explanation",
    "Hop",
    "Outcome",
    "Request",
    "Step",
    "Topic",
    "WorstCase",
    "answer",
    "connect",
    "explain",
    "probe",
    "receive",
    "request",
    "tries_again",
]
