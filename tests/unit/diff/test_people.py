"""What changes alike is told once."""

from __future__ import annotations

import pytest

from meshctl.diff import Change, Sign, for_people
from meshctl.diff.people import MANY


def changed(what, before="1s", after="2s", name="", **more):
    return Change(Sign.CHANGED, what, name, before, after, **more)


def service(name, *changes, sign=Sign.CHANGED):
    return Change(sign, "service", name, changes=changes)


def route(name, *changes, **more):
    return Change(Sign.CHANGED, "route", name, changes=changes, **more)


def test_a_value_that_changes_in_many_services_is_told_once_with_their_number():
    services = [service(f"s{number}", route("r", changed("timeout"))) for number in range(30)]
    others = (
        Change(Sign.CHANGED, "mesh", "m", changes=(changed("domain"),)),
        service("t", route("r", changed("timeout"), changed("fault"))),
    )
    mesh, once, rest = for_people((*services, *others))
    assert mesh == others[0]
    assert once == changed("timeout", name="of 31 services", of="s0, s1, s2, s3, s4, s5, s6, s7 and 23 more")
    assert rest == service("t", route("r", changed("fault")))


@pytest.mark.parametrize("number", range(1, MANY))
def test_in_few_services_it_is_told_of_each(number):
    services = tuple(service(f"s{each}", route("r", changed("timeout"))) for each in range(number))
    assert for_people(services) == services


def test_what_comes_or_goes_or_is_a_share_is_told_of_each():
    came = Change(Sign.ADDED, "caller", "web")
    services = tuple(
        service(f"s{each}", came, route("r", changed("weight", name="v1"), meaning="moves"))
        for each in range(MANY)
    )
    assert for_people(services) == services


def test_another_value_is_another_change():
    services = tuple(service(f"s{each}", changed("timeout", after=f"{each}s")) for each in range(MANY))
    assert for_people(services) == services


def test_a_service_that_has_another_name_is_told_so_whatever_else_changes():
    services = [service(f"s{each}", changed("timeout")) for each in range(MANY)]
    renamed = Change(Sign.RENAMED, "service", "new", "old", "new", (changed("timeout"),))
    once, told = for_people((*services, renamed))
    assert once.name == f"of {MANY + 1} services"
    assert told == Change(Sign.RENAMED, "service", "new", "old", "new")


def test_routes_that_change_alike_are_one_and_only_one_alone_says_what_it_takes():
    (both,) = for_people(
        (service("s", route("a", changed("timeout"), of="/a"), route("b", changed("timeout"), of="/b")),)
    )
    assert [(each.name, each.of) for each in both.changes] == [("a, b", "")]
    alone = service("s", route("a", changed("timeout"), of="/a"))
    assert for_people((alone,)) == (alone,)


def test_of_a_listener_its_kind_is_told():
    def listeners(number):
        return (changed("listener", name="admin"), changed("listener", "3s", name=f"local port of s{number}"))

    first, *rest = for_people([service(f"s{each}", *listeners(each)) for each in range(MANY)])
    assert first == changed("listener admin", name=f"of {MANY} services", of="s0, s1, s2")
    assert [len(each.changes) for each in rest] == [1] * MANY


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("10.0.0.%d:1", "10.0.0.%d:2", ("port 1", "port 2")),
        ("[fd00::%d]:1", "[fd00::%d]:2", ("port 1", "port 2")),
        ("10.0.0.%d:1, [::1]:1 /h", "10.0.0.%d:2, [::1]:2 /h", ("port 1, port 1 /h", "port 2, port 2 /h")),
        ("", "10.0.0.%d:2 /h", ("", "port 2 /h")),
        ("10.0.0.%d:1", "10.0.1.%d:1", None),
        ("10.0.0.%d:1", "10.0.0.%d0:1", None),
    ],
)
def test_ports_that_change_alike_at_many_addresses_are_told_once(before, after, told):
    def instance(number):
        old, new = (each % number if each else "" for each in (before, after))
        sign = Sign.CHANGED if before else Sign.ADDED
        inside = Change(sign, "listener", "health", old, new)
        return Change(Sign.CHANGED, "instance", f"i{number}", changes=(inside,))

    few = service("s", *map(instance, range(1, MANY)))
    assert for_people((few,)) == (few,)
    many = service("s", *map(instance, range(1, MANY + 1)))
    if told is None:
        assert for_people((many,)) == (many,)
        return
    (once,) = for_people((many,))[0].changes
    assert once.name == ", ".join(f"i{each}" for each in range(1, MANY + 1))
    assert [(each.before, each.after) for each in once.changes] == [told]
