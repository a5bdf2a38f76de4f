"""A row as it happens: its requests and what is wrong with them, or its steps one after the other."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import Any

from tests.behaviour.arrivals import check_effects
from tests.behaviour.asking import ask_all
from tests.behaviour.crowds import check_crowd, placement
from tests.behaviour.expectations import check_answer, check_lines, check_logs, check_shares

GLANCE = 0.05
"""Seconds between two looks whether it is so far."""


def expectation(row, caller, callee):
    """What the row expects of this pair: its own, or that of a declared emulation."""
    proxies = {"caller": caller, "callee": callee}
    for each in row.differs:
        if proxies[each.role] == each.proxy:
            return each.expect
    return row.expect


def play(world, row, caller, callee):
    """What is wrong with a row, if anything; after a step that went wrong the others mean nothing."""
    with contextlib.ExitStack() as stack:
        story = Story(world, (caller, callee), stack)
        for step in row.steps or [row]:
            faults = list(story.faults(step))
            yield from (f"{step.name}: {fault}" for fault in faults) if row.steps else faults
            if faults:
                return


@dataclass
class Story:
    """What steps remember of those before them."""

    world: Any
    pair: tuple[str, str]
    stack: contextlib.ExitStack
    placements: list[dict[str, Any]] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    ended: float = field(default_factory=time.monotonic)
    _connections: dict[Any, Any] = field(default_factory=dict)

    def faults(self, step):
        """What is wrong with one step."""
        if step.do:
            self.began = time.monotonic()
            for order in step.do:
                self.world.do(order)
                if order.keys() & {"revoke", "renew"}:
                    # Who is told of it may close what is idle.
                    self._connections.clear()
            self.ended = time.monotonic()
        time.sleep(step.wait)
        began = time.monotonic()
        if step.until:
            yield from self._await(step)
        else:
            yield from self._ask(step)
        self.began, self.ended = began, time.monotonic()

    def _await(self, step):
        earliest, latest = step.until
        faults = list(self._ask(step))
        while faults and time.monotonic() < self.ended + latest:
            time.sleep(GLANCE)
            faults = list(self._ask(step))
        took = time.monotonic() - self.began
        yield from faults
        if not faults and took < earliest:
            yield f"was so after {took:.2f} s, not {earliest} to {latest}"

    def _ask(self, step):
        expect = expectation(step, *self.pair)
        answers = ask_all(self.world, step, self._connection(step))
        if step.times == 1 and step.lasting is None:
            yield from check_answer(expect, answers[0], self.world)
        else:
            yield from check_shares(expect, answers, self.world)
        yield from check_crowd(expect, answers, self.placements)
        yield from check_effects(expect, answers, self.world)
        yield from check_logs(expect, step, self.world)
        yield from check_lines(expect, step, self.world)
        if step.vary:
            self.placements.append(placement(answers))

    def _connection(self, step):
        spoken = (step.http, step.grpc is not None, step.websocket)
        name = step.host if step.via in ("gateway", "tls") else ""
        way = (step.via, step.caller, step.to, spoken, name)
        if way not in self._connections:
            self._connections[way] = self.stack.enter_context(self.world.connection(step))
        return self._connections[way]
