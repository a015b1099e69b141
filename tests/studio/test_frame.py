"""The frame of the page: tabs, colours, accessibility, and a server that goes and comes back."""

from playwright.sync_api import expect

ROOMS = ("Draw", "Your hand", "How it works", "Runs")


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
