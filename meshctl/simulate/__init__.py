"""What a request does, computed from the resolved model: the oracle for explain, test and the live tests.

Written from docs/wire-contract.md and never from an emitter, so that the two can disagree.
"""

from meshctl.simulate.authorization import conditions
from meshctl.simulate.call_path import Asked, CallPath, Inversion, Reach, explain_path
from meshctl.simulate.explanation import Explanation, Hop, explain
from meshctl.simulate.message import Request
from meshctl.simulate.narrowing import narrowing
from meshctl.simulate.outcome import Backend, Outcome
from meshctl.simulate.reach_change import reach_change
from meshctl.simulate.reachability import reachability
from meshctl.simulate.request import answer, connect, probe, receive, request
from meshctl.simulate.rerouted import rerouted
from meshctl.simulate.retries import tries_again
from meshctl.simulate.steps import Step, Topic
from meshctl.simulate.timeouts import WorstCase
from meshctl.simulate.ways_change import ways_change

__all__ = [
    "Asked",
    "Backend",
    "CallPath",
    "Explanation",
    "Hop",
    "Inversion",
    "Outcome",
    "Reach",
    "Request",
    "Step",
    "Topic",
    "WorstCase",
    "answer",
    "conditions",
    "connect",
    "explain",
    "explain_path",
    "narrowing",
    "probe",
    "reach_change",
    "reachability",
    "receive",
    "request",
    "rerouted",
    "tries_again",
    "ways_change",
]
