"""The report of a real run in Chromium: four widths, light, dark and printed, by mouse and keyboard, and by axe."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from sizes import SIZES, WIDTHS


@pytest.fixture
def opened(browser, page_file):
    """Opens the page; fails where it asks for anything or its script complains."""
    pages = []

    def open_(width="wide", file=page_file, **options):
        size = dict(zip(("width", "height"), SIZES[width], strict=True))
        context = browser.new_context(viewport=size, **options)
        page = context.new_page()
        page.set_default_timeout(120_000)  # on a busy machine
        page.asked, page.complaints = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.goto(file.as_uri())
        pages.append(page)
        return page

    yield open_
    for page in pages:
        assert page.complaints == []
        assert [url for url in page.asked if not url.startswith(("file:", "data:"))] == []
        page.context.close()


CUT = """[...document.querySelectorAll(".scroll")].filter((part) => part.scrollWidth > part.clientWidth + 1)
  .map((part) => part.ariaLabel)"""
"""The tables of which columns are out of sight."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_fits_every_width(opened, pictures, width, scheme):
    page = opened(width, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == WIDTHS[width][0]
    verdict = page.locator(".verdict").first
    assert verdict.is_visible() and verdict.bounding_box()["y"] < 200
    assert page.evaluate(CUT) == []
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 100)")
    page.screenshot(path=pictures / f"report-{width}-{scheme}.png", full_page=True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", ["phone", "wide"])
@pytest.mark.parametrize("many", [False, True])
def test_axe_finds_nothing(opened, page_file, many_file, many, width, scheme):
    page = opened(width, many_file if many else page_file, color_scheme=scheme)
    page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_a_click_sorts_and_another_turns_it_round(opened):
    page = opened()
    table = page.locator("#accuracy table").first
    heading = table.get_by_role("button", name="Parameters")
    column = """[...document.querySelector('#accuracy table').tBodies[0].rows].map(
        row => +[...row.cells].at(-1).dataset.value)"""
    heading.click()
    up = page.evaluate(column)
    heading.click()
    down = page.evaluate(column)
    assert up == sorted(up) and down == sorted(up, reverse=True) and up != down
    assert table.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"


def test_the_keyboard_sorts_and_opens_too(opened):
    page = opened()
    heading = page.locator("#accuracy table").first.get_by_role("button", name="Parameters")
    heading.focus()
    page.keyboard.press("Enter")
    assert page.locator("#accuracy th[aria-sort=ascending]").count() == 1
    outline = heading.evaluate("button => getComputedStyle(button).outlineStyle")
    assert outline == "solid", "the focus cannot be seen"
    page.locator("#cases summary").focus()
    page.keyboard.press("Enter")
    assert page.locator("#cases details table").is_visible()


@pytest.mark.parametrize("name, begins", [("CSV", "arch,width,"), ("LaTeX", "% needs"), ("Markdown", "# demo"),
                                          ("BibTeX", "@article")])
def test_what_is_copied_is_what_is_shown(opened, name, begins):
    page = opened(permissions=["clipboard-read", "clipboard-write"])
    page.get_by_text(f"As {name}", exact=True).click()
    page.get_by_role("button", name=f"Copy {name}").click()
    page.get_by_text(f"{name} copied.").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(begins)
    shown = page.locator(f"details:has-text('As {name}') pre").text_content()
    assert re.sub(r"\s+", " ", copied).strip() == re.sub(r"\s+", " ", shown).strip()


@pytest.mark.parametrize("width", WIDTHS)
def test_many_networks_fit_and_their_cases_can_be_searched(opened, many_file, pictures, width):
    page = opened(width, many_file)
    assert page.evaluate("document.documentElement.scrollWidth") == WIDTHS[width][0] and page.evaluate(CUT) == []
    page.screenshot(path=pictures / f"many-{width}.png", full_page=True)
    rows = page.locator("#gallery tbody tr")
    assert rows.count() == 31 and page.locator("#gallery img").count() == 93
    page.get_by_label("Search cases").fill("0_07 fold 0")
    page.get_by_text("1 of 31 cases").wait_for()
    assert [row.is_visible() for row in rows.all()].count(True) == 1
    page.get_by_label("Search cases").fill("")
    assert [row.is_visible() for row in rows.all()].count(True) == 31


def test_the_summary_is_copied_as_plain_text(opened):
    page = opened(permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy summary").click()
    page.get_by_text("summary copied.").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("demo: ") and page.locator(".verdict h2").first.text_content() in " ".join(copied.split())


def test_prints_with_everything_that_is_open(opened, pictures):
    page = opened()
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible() and not page.locator("button.copy").first.is_visible()
    assert page.locator(".verdict").first.is_visible() and page.locator(".pictures img").first.is_visible()
    printed = page.pdf(path=pictures / "report.pdf", format="A4", prefer_css_page_size=True)
    assert printed.startswith(b"%PDF")
    page.set_viewport_size({"width": 720, "height": 1000})  # an A4 page's text is 186 mm wide
    assert page.evaluate("document.documentElement.scrollWidth") <= 720


ONLY = """
for (const part of document.querySelectorAll("nav, footer, main > section:not(.verdict, #figures, #pictures)"))
  part.remove();
for (const label of [...document.querySelectorAll("#figures h3")].slice(2)) {
  label.nextElementSibling.remove();
  label.remove();
}
for (const picture of document.querySelectorAll(".pictures figure"))
  if (!picture.textContent.includes("worst")) picture.remove();
"""


def test_the_readmes_picture(opened, pictures):
    """What `docs/pictures/report.png` shows: verdict, learning curves, a label's box plots, the worst cases."""
    page = opened("picture")
    page.evaluate(ONLY)
    assert page.locator("#figures h3").count() == 2 and page.locator(".pictures figure").count() == 2
    page.screenshot(path=pictures / "readme.png", full_page=True)
