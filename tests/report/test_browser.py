"""The page in a real Chromium: nothing is fetched, tables sort, keys work, it fits a phone, axe agrees."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from tests.report.drawn import given as inputs_of
from tests.report.results import build_page, tabulate, write_results
from vidkd.methods.converters.figures import draw_quality
from vidkd.methods.ffn.figures import draw_tfd
from vidkd.methods.fusion.figures import draw_fusion
from vidkd.report.sections import sections

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DEMO = Path(__file__).resolve().parents[2] / "results/report/index.html"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: tests/system_packages.sh installs it")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The page of every method."""
    root = tmp_path_factory.mktemp("results")
    tabulate(root, write_results(root))
    given, figures = root / "given", root / "report/figures"
    for name, draw in (("any_frame", draw_tfd), ("converters", draw_quality), ("fusion", draw_fusion)):
        stem = "tfd" if name == "any_frame" else name
        draw(
            inputs_of({"table": given / f"{name}.csv"}),
            [figures / f"{stem}.{kind}" for kind in ("svg", "png")],
        )
    build_page(root)
    return root / "report/index.html"


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(params=["made", "demo"])
def file(request):
    """The page of the fixtures, and that of `make demo` where it was run here."""
    if request.param == "demo" and not DEMO.is_file():
        pytest.skip("make demo was not run in this folder")
    return request.getfixturevalue("made") if request.param == "made" else DEMO


@pytest.fixture
def opened(browser, file):
    """Opens the page at a width and in a colour scheme; no error and no request may come of it."""
    heard: list[str] = []

    def opening(width=1440, scheme="light"):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("request", lambda request: heard.append(request.url))
        page.goto(f"file://{file}")
        return page

    yield opening
    assert set(heard) == {f"file://{file}"}


def column(page, table, number):
    rows = page.locator(f"table[data-table={table}] tbody tr")
    return [rows.nth(row).locator("th, td").nth(number).inner_text() for row in range(rows.count())]


def test_tables_sort_by_number_and_by_name(opened):
    page = opened()
    head = page.locator("table[data-table=summary] thead th")
    titles = [text.rstrip(" ↕") for text in head.all_inner_texts()]
    place = titles.index("top-1")
    for expected, order in (("descending", True), ("ascending", False)):
        head.nth(place).locator("button").click()
        assert head.nth(place).get_attribute("aria-sort") == expected
        values = [float(text.split(" ")[0]) for text in column(page, "summary", place)]
        assert values == sorted(values, reverse=order)
        assert len(set(values)) > 1
    head.nth(1).locator("button").click()
    names = column(page, "summary", 1)
    assert names == sorted(names, key=str.lower, reverse=True)
    assert head.nth(place).get_attribute("aria-sort") == "none"


def test_what_is_empty_stays_last(opened):
    page = opened()
    titles = page.locator("table[data-table=summary] thead th").all_inner_texts()
    place = [text.rstrip(" ↕") for text in titles].index("gain")
    button = page.locator("table[data-table=summary] thead th").nth(place).locator("button")
    for _ in range(2):
        button.click()
        values = column(page, "summary", place)
        empty = values.count("–")
        assert 0 < empty < len(values)
        assert values[-empty:] == ["–"] * empty


def test_keys_are_enough(opened):
    page = opened()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.url.endswith("#main")
    button = page.locator("table[data-table=summary] thead button").first
    button.focus()
    page.keyboard.press("Enter")
    head = page.locator("table[data-table=summary] thead th").first
    assert head.get_attribute("aria-sort") == "descending"
    summary = page.locator("details summary").first
    summary.focus()
    page.keyboard.press("Space")
    assert page.locator("details").first.get_attribute("open") is not None


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_screen(opened, width, scheme):
    page = opened(width, scheme)
    page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    cut = page.evaluate(
        """[...document.querySelectorAll('h1, h2, h3, p, li, figcaption, th, td')].filter(part =>
            !part.closest('.scroll') && (part.scrollWidth > part.clientWidth + 1
            || part.getBoundingClientRect().right > innerWidth)).map(part => part.textContent)"""
    )
    assert cut == []
    paper, ink = page.evaluate("(s => [s.backgroundColor, s.color])(getComputedStyle(document.body))")
    dark = sum(map(int, paper[4:-1].split(", "))) < 200
    assert dark == (scheme == "dark")
    assert paper != ink


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(opened, scheme):
    page = opened(1440, scheme)
    page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_every_section_is_there(opened, file):
    page = opened()
    there = page.eval_on_selector_all("section h2", "heads => heads.map(head => head.id)")
    assert there == [section.name for section in sections() if section.name in there]
    # No published result is of generated videos.
    assert {section.name for section in sections()} - set(there) == {"published"}
    for link in page.locator("nav a").all():
        link.click()
        name = page.url.partition("#")[2]
        assert page.locator(f"#{name}").is_visible()


def test_no_drawing_is_empty(opened):
    """Marks, or words where there is nothing to draw: a network without mistakes has none to show."""
    page = opened()
    shapes = page.eval_on_selector_all(
        "figure svg",
        "all => all.map(one => [one.querySelectorAll('path, use, image, text').length, one.textContent])",
    )
    assert len(shapes) >= 3
    assert [text for marks, text in shapes if marks <= 10 and "no mistake" not in text] == []
    sizes = page.eval_on_selector_all("figure svg", "all => all.map(one => one.clientHeight)")
    assert min(sizes) > 20
