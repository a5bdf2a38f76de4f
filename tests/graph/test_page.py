"""The page in a real Chromium: what is seen, found, clicked and pressed, and that it asks nobody for anything."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from meshctl import pipeline
from meshctl.graph.model import dying
from meshctl.pipeline import Picture
from tests.graph.browser import browser
from tests.graph.large import mesh
from tests.graph.spec import HOSTILE, SPEC

# One browser for all of them.
pytestmark = pytest.mark.xdist_group("chromium")

ROOT = Path(__file__).resolve().parents[2]
TODAY = date(2026, 11, 22)
LOADED = 1.0
"""Seconds of a processor until the page of 500 services stands."""


def drawn(location, to, **options):
    found = pipeline.graph(str(location), today=TODAY)
    to.write_text(pipeline.draw(found, Picture.HTML, **options), "utf-8")
    return found


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("browser")) as started:
        yield started


class Pages:
    """A page for each mesh, and its graph, made when it is first asked for."""

    def __init__(self, folder):
        self.folder = folder
        self.graphs = {}

    def __getitem__(self, name):
        path = self.folder / f"{name}.html"
        if name not in self.graphs:
            location = ROOT / "examples" / "shop"
            if name != "shop":
                location = self.folder / f"{name}.yaml"
                location.write_text(SPEC if name == "bazaar" else mesh(int(name)), "utf-8")
            self.graphs[name] = drawn(location, path)
        return path

    def number(self, name, service):
        return [each.name for each in self.graphs[name].nodes].index(service)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    return Pages(tmp_path_factory.mktemp("pages"))


def texts(page, selector):
    return page.value(f"[...document.querySelectorAll('{selector}')].map(each => each.textContent)")


def is_quiet(page):
    assert page.faults == []
    assert len(page.requests) == 1
    assert page.requests[0].startswith("file:///")


LARGE = pytest.param("500", marks=pytest.mark.soak)


@pytest.mark.parametrize("name", ["bazaar", "10", "90", LARGE])
@pytest.mark.parametrize("dark", [False, True])
def test_every_service_is_there_and_nothing_is_asked_for(name, dark, page, pages):
    page.open(pages[name], dark=dark)
    shown = set(texts(page, "#boxes .name"))
    assert {each.name for each in pages.graphs[name].nodes} == shown
    is_quiet(page)


def test_the_page_of_500_services_stands_within_a_second(page, pages):
    where = pages["500"]
    page.ask("Performance.enable", timeDomain="threadTicks")
    page.open(where)
    told = {each["name"]: each["value"] for each in page.ask("Performance.getMetrics")["metrics"]}
    assert 0 < told["TaskDuration"] < LOADED
    assert len(texts(page, "#boxes .name")) == 503
    page.ask("Performance.disable")
    is_quiet(page)


@pytest.mark.parametrize("name", ["bazaar", "10", "90", LARGE])
def test_no_box_lies_on_another(name, page, pages):
    page.open(pages[name])
    boxes = page.value(
        "[...document.querySelectorAll('#boxes .card')].map(each => each.getBoundingClientRect()).map(r => [r.x, r.y, r.right, r.bottom])"
    )
    assert len(boxes) == len(pages.graphs[name].nodes)
    assert not [(a, b) for nth, a in enumerate(boxes) for b in boxes[nth + 1 :] if overlap(a, b)]


def overlap(a, b):
    return a[0] < b[2] - 0.1 and b[0] < a[2] - 0.1 and a[1] < b[3] - 0.1 and b[1] < a[3] - 0.1


def test_names_stay_in_their_boxes_when_they_are_read(page, pages):
    page.open(pages["90"])
    page.press("0", *"+++++")
    assert page.value("!document.getElementById('map').classList.contains('far')")
    wide = page.value(
        "[...document.querySelectorAll('#boxes .chip')].filter(each => each.querySelector('.name').getBBox().width + 20 > each.querySelector('.card').getBBox().width).length"
    )
    assert wide == 0


def test_a_click_shows_all_about_a_service(page, pages):
    page.open(pages["shop"])
    page.click(f"#node-{pages.number('shop', 'catalog')}")
    panel = page.value("document.getElementById('panel').textContent")
    for said in (
        "catalog",
        "team-catalog",
        "mutual TLS: strict",
        "canary-without-guard",
        "examples/shop/catalog.yaml:24",
    ):
        assert said in panel
    assert texts(page, "#callers .link") == ["web"]
    assert texts(page, "#calls .link") == ["inventory"]
    assert [each.split(" → ")[0] for each in texts(page, "#routes tr")][-1] == "everybodyeverything"
    assert "v1 90% · v2 10%" in texts(page, "#routes tr")[-1]
    assert "authorizationdeclared" in texts(page, "#policies tr")
    page.click("#panel .close")
    assert page.value("document.getElementById('panel').hidden")


@pytest.mark.parametrize("name", ["shop", "bazaar"])
def test_what_dies_is_what_the_model_says(name, page, pages):
    page.open(pages[name])
    for nth, node in enumerate(pages.graphs[name].nodes):
        page.click(f"#node-{nth}")
        found = dying(pages.graphs[name], node.name)
        assert texts(page, "#dies .link") == [*found.whole, *found.part], node.name
        page.click("#blast")
        marked = page.value("[...document.querySelectorAll('.dying')].map(each => Number(each.dataset.node))")
        assert {pages.graphs[name].nodes[each].name for each in marked} == {*found.whole, *found.part}
        page.press("Escape")


def test_search_finds_by_name_owner_and_label(page, pages):
    page.open(pages["90"])
    page.press("/", *"catalog-w")
    assert texts(page, "#hits li")[0].startswith("catalog-w")
    page.press("ArrowDown", "ArrowUp", "Enter")
    assert page.value("document.querySelector('#panel h2').textContent").startswith("catalog-w")
    assert page.value("document.getElementById('hits').hidden")
    assert page.value("document.activeElement.id") == "map"
    page.press("/", *"tier:core")
    assert len(texts(page, "#hits li")) == 12
    page.press("Escape")
    assert page.value("document.getElementById('hits').hidden")
    page.press("/", *"no such")
    assert texts(page, "#hits li") == []


def test_the_whole_way_by_keys(page, pages):
    page.open(pages["shop"])
    page.press("Tab")
    assert page.value("document.activeElement.id") == "search"
    page.value("document.getElementById('map').focus()")
    page.press("ArrowRight")
    assert page.value("document.querySelector('.here').id") == f"node-{pages.number('shop', 'web')}"
    page.press("ArrowRight", "ArrowDown")
    assert page.value("document.querySelector('.here').id") == f"node-{pages.number('shop', 'orders')}"
    assert page.value("document.getElementById('map').getAttribute('aria-activedescendant')") == "node-3"
    assert page.value("document.getElementById('told').textContent").startswith("orders, service")
    page.press("Enter")
    assert page.value("document.querySelector('#panel h2').textContent") == "orders"
    assert page.value("document.activeElement.id") == "panel"
    page.press("Tab")
    assert page.value("document.activeElement.getAttribute('aria-label')") == "Close"
    assert page.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.press("Escape", "f")
    assert texts(page, "#boxes .name") == ["web", "orders", "inventory", "payments"]
    page.press("Escape", "Escape")
    assert len(texts(page, "#boxes .name")) == 6
    assert page.value("document.getElementById('back').hidden")


def test_groups_open_and_close(page, pages):
    page.open(pages["90"])
    titles = texts(page, "#boxes .title")
    assert "catalog" in titles
    page.value(
        "(each => { each.value = [...each.options].findIndex(it => it.textContent === 'by owner, closed'); each.dispatchEvent(new Event('change')); })(document.getElementById('view'))"
    )
    assert texts(page, "#boxes .title") == titles
    assert texts(page, "#boxes .name") == []
    page.value("document.getElementById('map').focus()")
    page.press("ArrowRight", "Enter")
    assert texts(page, "#boxes .name")
    page.press("Escape")
    assert texts(page, "#boxes .title") == titles


def test_from_afar_a_click_opens_the_group(page, pages):
    page.open(pages["90"])
    page.press(*"----")
    assert page.value("document.getElementById('map').classList.contains('farther')")
    page.click(f"#node-{pages.number('90', 'catalog-worker')}")
    assert page.value("document.getElementById('panel').hidden")
    assert {each for each in texts(page, "#boxes .name") if each.startswith("catalog-")} == {
        each.name for each in pages.graphs["90"].nodes if each.about.owner == "catalog"
    }
    page.press("Escape")
    assert "catalog" in texts(page, "#boxes .title")


def test_light_and_dark(page, pages):
    ground = "getComputedStyle(document.body).backgroundColor"
    page.open(pages["shop"])
    light = page.value(ground)
    page.press("t")
    dark = page.value(ground)
    assert dark != light
    page.click("#theme")
    assert page.value(ground) == light
    page.open(pages["shop"], dark=True)
    assert page.value(ground) == dark
    is_quiet(page)


def test_words_of_the_spec_are_text_and_nothing_else(page, pages):
    page.open(pages["bazaar"])
    page.click(f"#node-{pages.number('bazaar', 'web')}")
    assert HOSTILE in page.value("document.getElementById('panel').textContent")
    assert page.value("document.title") == "bazaar: the mesh"
    assert page.value("document.querySelectorAll('img').length") == 0
    is_quiet(page)


def test_the_policy_stops_what_is_not_of_the_page(page, pages):
    page.open(pages["shop"])
    page.value(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'document.title = 1'}), Object.assign(new Image(), {src: 'http://127.0.0.1:9/x.png'}))"
    )
    assert page.value("document.title") == "shop: the mesh"
    assert any("Content Security Policy" in each for each in page.faults)


def test_the_picture_shows_the_same(page, pages):
    shown = pages["bazaar"].with_suffix(".svg")
    picture = pipeline.draw(pages.graphs["bazaar"], Picture.SVG)
    shown.write_text(picture.replace("<svg ", "<svg data-ready='yes' ", 1), "utf-8")
    page.open(shown)
    assert texts(page, ".name") == [each.name for each in pages.graphs["bazaar"].nodes]
    is_quiet(page)
