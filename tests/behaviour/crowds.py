"""What many answers show together: who answered, how many, how fast, and which key leads where."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict

from tests.behaviour.binomial import bounds

EARLY = 0.05
"""Seconds by which a proxy may be early: timers count in whole milliseconds, and where Lua or another hop keeps a
deadline, the inner one ends a little before the outer."""

LATE = 0.5
"""Seconds by which an answer may be later than the worst case: that counts no connecting, no handshakes and no work of
the two sidecars and of a machine that runs other worlds too. Less than the time of one more try in every row."""

OK, LIMITED = 200, 429


def instance_of(answer):
    """``service/instance`` of the application that answered, or None."""
    document = answer.document
    if isinstance(document, dict) and "instance" in document:
        return f"{document['service']}/{document['instance']}"
    return answer.values("greeting")[0] if answer.values("greeting") else None


def belongs(name, key):
    """``v1`` stands for all instances of the subset: v1, v1-1, v1-2."""
    service, _, instance = (name or "").partition("/")
    wanted_service, _, wanted = key.rpartition("/")
    return wanted_service in ("", service) and (instance == wanted or instance.startswith(f"{wanted}-"))


def check_crowd(expect, answers, before=()):
    """Faults of all answers of a row; ``before``: which key had which instance, in the steps before."""
    taken = Counter(instance_of(answer) for answer in answers)
    yield from _check_reached(expect, taken)
    yield from _check_repeats(expect, [instance_of(answer) for answer in answers])
    for key, most in expect.at_most.items():
        share = sum(count for name, count in taken.items() if belongs(name, key)) / len(answers)
        if share > most:
            yield f"instance {key} has {share:.1%} of {len(answers)}, which is more than {most:.1%}"
    statuses = Counter(answer.status for answer in answers)
    for status, count in expect.counts.items():
        low, high = count if isinstance(count, list) else (count, count)
        if not low <= statuses[status] <= high:
            yield f"{statuses[status]} answers {status}, not {count}: {dict(statuses)}"
    yield from _check_times(expect, answers)
    if expect.longest is not None:
        yield from _check_longest(expect, max(answer.duration for answer in answers))
    if expect.admitted:
        yield from _check_admitted(expect.admitted, answers)
    if expect.keys:
        yield from _check_keys(expect.keys, placement(answers), before)


def _check_reached(expect, taken):
    names = set(taken) - {None}
    if isinstance(expect.reaches, int):
        if len(names) != expect.reaches:
            yield f"{sorted(names)} answered, not {expect.reaches} instances"
    elif expect.reaches is not None:
        missing = [key for key in expect.reaches if not any(belongs(name, key) for name in names)]
        if missing:
            yield f"{dict(taken)} answered, not {missing}"
    allowed = expect.among or (expect.reaches if isinstance(expect.reaches, list) else None)
    if allowed is not None:
        odd = [name for name in taken if not any(belongs(name, key) for key in allowed)]
        if odd:
            yield f"{dict(taken)} answered, which is not only {allowed}"


def _check_repeats(expect, names):
    if expect.repeats is not None:
        rarest = min(Counter(names).items(), key=lambda each: each[1])[0]
        twice = sum(name == after == rarest for name, after in itertools.pairwise(names))
        if twice < expect.repeats:
            yield f"{rarest} answered {twice} times twice in a row, not {expect.repeats}"


def _check_times(expect, answers):
    for status, (shortest, longest) in expect.durations.items():
        times = [answer.duration for answer in answers if answer.status == status]
        if times and not (shortest - EARLY <= min(times) and max(times) <= longest):
            yield f"answers {status} took {min(times):.3f} to {max(times):.3f} s, not {shortest} to {longest}"
    yield from _check_slow(expect.slow, [answer.duration for answer in answers])
    for status, shares in expect.slow_among.items():
        yield from _check_slow(shares, [answer.duration for answer in answers if answer.status == status])


def _check_longest(expect, slowest):
    """Beside the worst case that was told: not later, nor far below it where this is the worst."""
    if slowest > expect.longest + LATE:
        yield f"took {slowest:.3f} s, where {expect.longest} is the longest"
    if expect.short is not None and slowest < expect.longest - expect.short - EARLY:
        yield f"took {slowest:.3f} s, where all but {expect.short} of {expect.longest} is spent"


def _check_slow(shares, durations):
    for seconds, share in shares.items():
        count = sum(each >= seconds - EARLY for each in durations)
        low, high = bounds(len(durations), share)
        if not low <= count <= high:
            yield f"{count} of {len(durations)} took {seconds} s, which is not {share:.1%}: {low} to {high}"


def _check_admitted(bucket, answers):
    """What a bucket may do at the times at which each was asked, however long the client or the machine rested between.

    One token to either side is for counting in whole tokens and whole milliseconds.
    """
    burst, rate = bucket["burst"], bucket["per_second"]
    taken = [each for each in answers if each.status == OK]
    refused = [each for each in answers if each.status == LIMITED]
    kept = max((_kept(burst, rate, taken, each) for each in refused), default=0)
    if kept > 2:
        yield f"one of {len(answers)} was refused, where {kept:.1f} tokens were left"
    for first, last in itertools.product(taken, taken):
        tokens = burst + max(0, last.ended - _asked(first)) * rate
        count = sum(_asked(first) <= _asked(each) and each.ended <= last.ended for each in taken)
        if count > tokens + 1:
            yield f"{count} were let in one after the other, where {tokens:.1f} tokens came"
            break
    odd = Counter(answer.status for answer in answers if answer.status not in (OK, LIMITED))
    if odd or not refused:
        yield f"nothing was refused, or otherwise: {dict(odd)}"


def _kept(burst, rate, taken, refused):
    """The tokens that the bucket had at least when ``refused`` was asked: full at some time, and what came and went since."""
    came = _asked(refused)
    before = [each for each in taken if _asked(each) <= refused.ended]
    full = [came, *(each.ended for each in before if each.ended <= came)]
    return min(burst + rate * (came - since) - sum(each.ended >= since for each in before) for since in full)


def _asked(answer):
    return answer.ended - answer.duration


def placement(answers):
    """Every key with the instances that answered its requests."""
    placed = defaultdict(set)
    for answer in answers:
        placed[answer.key].add(instance_of(answer))
    return dict(placed)


def _check_keys(wanted, placed, before):
    torn = {key: names for key, names in placed.items() if len(names) > 1}
    if wanted.get("sticky") and torn:
        yield f"keys with more than one instance: {torn}"
    if "spread" in wanted:
        fair = len(wanted["spread"])
        low, high = bounds(len(placed), 1 / fair)
        for each in wanted["spread"]:
            count = sum(any(belongs(name, each) for name in names) for names in placed.values())
            if not low <= count <= high:
                yield f"{each} has {count} of {len(placed)} keys, not {low} to {high}"
    if "moved_from" in wanted:
        yield from _check_moved(before[-1], placed, wanted["moved_from"])
    if "back_to" in wanted:
        moved = {key for key in placed if placed[key] != before[wanted["back_to"]][key]}
        if moved:
            yield f"{len(moved)} of {len(placed)} keys are not back: {sorted(moved)}"


def _check_moved(before, placed, gone):
    for key, names in placed.items():
        was_there = any(belongs(name, each) for name in before[key] for each in gone)
        is_there = any(belongs(name, each) for name in names for each in gone)
        if is_there or (not was_there and names != before[key]):
            yield f"{key} went from {before[key]} to {names}, where only those of {gone} should move"
