"""The frame of the page: tabs, colours, accessibility, widths, and a server that goes and comes back."""

import re

from browsers import axe_faults
from playwright.sync_api import expect

ROOMS = ("Draw", "Your hand", "How it works", "Runs")
SIZES = ({"width": 360, "height": 740}, {"width": 1280, "height": 800})


def show(page, room):
    page.get_by_role("tab", name=room, exact=True).click()
    panel = page.get_by_role("tabpanel", name=room)
    expect(panel).to_contain_text(re.compile("[a-z]"))
    expect(panel).not_to_contain_text("Loading")
    page.wait_for_timeout(300)  # what it asks of the server


def test_tabs_are_walked_by_arrow_keys_and_named_by_the_address(page):
    tabs = page.get_by_role("tab")
    expect(tabs).to_have_text(ROOMS)
    tabs.first.focus()
    for name in (*ROOMS[1:], ROOMS[0]):
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("tab", name=name, exact=True, selected=True)).to_be_focused()
        expect(page.get_by_role("tabpanel")).to_have_count(1)
    page.keyboard.press("End")
    page.reload()
    expect(page.get_by_role("tabpanel", name="Runs")).to_be_visible()


def test_every_room_is_accessible_in_both_colours_and_fits_a_phone_and_a_desk(open_page, studio):
    page = open_page(studio.url, reduced_motion="reduce")  # no colours in between
    page.get_by_role("button", name="Keep all").click()
    for room in ROOMS:
        show(page, room)
        fits(page)
        for colours in ("dark", "light"):
            page.emulate_media(color_scheme=colours)
            assert axe_faults(page) == [], (room, colours)
    show(page, "Draw")
    page.get_by_role("group", name="Gallery").get_by_role("button").first.click()
    expect(page.get_by_role("dialog").get_by_role("button", name="Copy")).to_be_visible()
    fits(page)
    assert axe_faults(page) == []


def fits(page):
    """Nothing is wider than the screen."""
    for size in SIZES:
        page.set_viewport_size(size)
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def test_colours_follow_the_system_until_they_are_chosen(open_page, studio):
    page = open_page(studio.url, color_scheme="dark")
    paper = "getComputedStyle(document.body).backgroundColor"
    button = page.get_by_role("button", name="Dark colours")
    expect(button).to_have_attribute("aria-pressed", "true")
    dark = page.evaluate(paper)
    button.click()
    assert page.evaluate(paper) != dark
    button.click()
    assert page.evaluate(paper) == dark


def test_the_page_says_that_the_server_has_gone_and_works_again_when_it_is_back(open_page, start_studio):
    studio = start_studio("--checkpoint", "bundled")
    page = open_page(studio.url, expected="ERR_CONNECTION|403")
    expect(page.get_by_text("bundled-2: 16 images in")).to_be_visible()
    studio.process.kill()
    studio.process.wait()
    page.keyboard.press("3")
    banner = page.get_by_role("alert").filter(has_text="Start it again")
    expect(banner).to_contain_text(f"mnistdiff studio --port {studio.port}")
    expect(page.get_by_role("group", name="Drawn images").get_by_role("button")).to_have_count(16)  # they stay

    again = start_studio("--checkpoint", "bundled", "--port", studio.port)
    expect(page.get_by_role("alert").filter(has_text="started again")).to_be_visible()
    page.context.new_page().goto(again.url)  # its token becomes the cookie of both
    expect(page.get_by_role("alert").filter(has_text="again")).to_have_count(0)
    page.keyboard.press("4")
    expect(page.get_by_role("button", name="4, seed 0", exact=True)).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
