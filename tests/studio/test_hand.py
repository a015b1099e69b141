"""Your hand: drawn by mouse, finger and keys, read, drawn again and completed; pictures of every kind are taken."""

import base64
import io
import re

import numpy as np
import pytest
from browsers import TIME_OUT_MS, axe_faults
from PIL import Image
from playwright.sync_api import expect
from scans import BLANKS

import mnistdiff

expect.set_options(timeout=TIME_OUT_MS)
GREY_LEVELS = """canvas => {
  const context = new OffscreenCanvas(28, 28).getContext('2d');
  context.drawImage(canvas, 0, 0);
  return [...context.getImageData(0, 0, 28, 28).data].filter((_, i) => i % 4 === 0);
}"""
SEVEN = [(0.25, 0.25), (0.75, 0.25), (0.45, 0.85)]
THREE = [(0.3, 0.2), (0.6, 0.15), (0.7, 0.3), (0.45, 0.45), (0.72, 0.62), (0.6, 0.83), (0.28, 0.8)]


@pytest.fixture(scope="module")
def model():
    return mnistdiff.load()


@pytest.fixture(scope="module")
def nine(model):
    return model.sample(9, seed=3)[0]


def text(pixels):
    return base64.b64encode(np.asarray(pixels, np.uint8).tobytes()).decode()


def images(encoded):
    return np.frombuffer(base64.b64decode(encoded), np.uint8).reshape(-1, 28, 28)


def picture(pixels, kind="PNG"):
    file = io.BytesIO()
    Image.fromarray(np.asarray(pixels)).save(file, kind)
    return file.getvalue()


def page_of(shape=(90, 70)):
    """A dark 1 on light paper."""
    paper = np.full(shape, 230, np.uint8)
    paper[20:70, 30:38] = 20
    return paper


def read(studio, content, kind="image/png", until="done"):
    """The names and the data of the events of reading a picture, up to one of a name, without those of waiting."""
    found = []
    for event in studio.stream("/api/read", content, content_type=kind):
        found += [event] * (event.name != "queued")
        if event.name == until:
            break
    return [event.name for event in found], [event.data for event in found]


def test_a_picture_is_read_as_classify_reads_it(studio, model, nine):
    content = picture(page_of(), "JPEG")
    names, (seen, first, final, _) = read(studio, content, "image/jpeg")
    assert names == ["seen", "probabilities", "probabilities", "done"]
    prepared = images(seen["image"])[0]
    assert np.array_equal(prepared, model.preprocess(content).image)
    assert first["values"] == list(model.classify(prepared, evaluations=12)[0].probabilities)
    assert final["values"] == list(model.classify(content)[0].probabilities)
    _, (*_, seen) = read(studio, picture(nine), "image/unknown", until="seen")
    assert np.array_equal(images(seen["image"])[0], nine)


def test_what_shows_no_digit_is_no_error_and_what_is_no_picture_is_one(studio):
    blank = picture(BLANKS["vignette"](np.random.default_rng(0)))
    assert read(studio, blank)[0] == ["nothing", "done"]
    _, (*_, seen) = read(studio, picture(np.hstack([page_of(), page_of()])), until="seen")
    assert seen["notices"][0].startswith("The picture shows 2 parts")
    for content in (b"", b"GIF89a", picture(page_of())[:90], b"\0" * 1000):
        assert read(studio, content)[0] == ["failed"]
    assert studio.post("/api/read", b"x", content_type="text/plain").status == 415


def test_a_picture_is_changed_as_edit_and_inpaint_change_it(studio, model, nine):
    body = {"image": text(nine), "label": 4, "strength": 0.6, "seed": 5, "n": 2}
    start, *steps, done = (event for event in studio.stream("/api/redraw", body) if event.name != "queued")
    own = model.edit(nine, 4, strength=0.6, seed=5, n=2)
    assert np.array_equal(images(done.data["images"]), own)
    assert [step.data["number"] for step in steps] == [*range(1, steps[-1].data["of"] + 1)]
    assert steps[-1].data["x_t"] == done.data["images"]
    assert (start.data["number"], start.data["t"]) == (0, 299)
    noisy = model.denoise(nine, 4, 299, seed=6).x_t
    np.testing.assert_allclose(images(start.data["x_t"])[1], np.clip((noisy + 1) * 127.5, 0, 255), atol=0.51)

    mask = np.zeros((28, 28), bool)
    mask[14:, 5:20] = True
    del body["strength"]
    *_, done = studio.stream("/api/complete", body | {"mask": text(mask)})
    assert np.array_equal(images(done.data["images"]), model.inpaint(nine, mask, 4, seed=5, n=2))
    for change, field in (({"mask": text(mask * 0)}, "mask"), ({"mask": text(mask[1:])}, "mask"), ({"n": 9}, "n")):
        events = studio.post("/api/complete", body | {"mask": text(mask)} | change)
        assert field in events.body.decode()
        assert events.status == 422 or b"event: failed" in events.body


class Hand:
    """The room as a person uses it."""

    def __init__(self, page):
        page.get_by_role("tab", name="Your hand").click()
        self.page = page
        self.canvas = page.get_by_role("application", name="Drawing area")
        self.rub = page.get_by_role("application", name=re.compile("^Rub out"))
        self.verdict = page.locator(".verdict")
        self.said = page.locator("#live")
        self.variants = page.get_by_role("group", name="Variants").get_by_role("button")

    def places(self, canvas, points):
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        return [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]

    def draw(self, points, canvas=None):
        first, *rest = self.places(canvas or self.canvas, points)
        self.page.mouse.move(*first)
        self.page.mouse.down()
        for place in rest:
            self.page.mouse.move(*place, steps=5)
        self.page.mouse.up()

    def shares(self):
        return [int(each.rstrip(" %")) for each in self.page.locator(".bars .share").all_inner_texts()]

    def seen(self):
        return np.array(self.page.get_by_role("img", name="What the program sees").evaluate(GREY_LEVELS))


def test_the_mouse_draws_and_the_model_reads_redraws_and_completes(open_page, studio):
    page = open_page(studio.url, reduced_motion="reduce")
    hand = Hand(page)
    expect(page.get_by_text("Nothing is drawn.")).to_be_visible()
    expect(page.get_by_role("button", name="Redraw")).to_be_disabled()
    hand.draw(SEVEN)
    expect(hand.said).to_have_text(re.compile("^Reads 7, "))
    expect(hand.verdict).to_have_text("7")
    assert hand.shares()[7] == max(hand.shares()) > 50
    assert 20 < (hand.seen() > 127).sum() < 200
    page.get_by_role("button", name="Clear").first.click()
    expect(page.get_by_text("Nothing is drawn.")).to_be_visible()
    assert not hand.seen().any()
    hand.draw(THREE)
    expect(hand.verdict).to_have_text("3")
    page.get_by_role("button", name="Clear").first.click()
    expect(page.get_by_text("Nothing is drawn.")).to_be_visible()
    page.get_by_role("button", name="Undo").first.click()  # of clearing
    expect(hand.verdict).to_have_text("3")

    page.get_by_role("group", name="Redraw as").get_by_role("radio", name="8").check()
    page.get_by_role("button", name="Redraw").click()
    expect(hand.said).to_have_text("4 variants of 8.")
    expect(hand.variants).to_have_count(4)
    expect(page.locator(".states li")).to_have_count(8)
    hand.variants.nth(2).click()
    expect(hand.variants.nth(2)).to_have_attribute("aria-pressed", "true")

    expect(page.get_by_role("button", name="Complete")).to_be_disabled()
    hand.draw([(0.2, 0.6), (0.8, 0.6), (0.8, 0.7), (0.2, 0.7), (0.2, 0.8), (0.8, 0.8)], hand.rub)
    with page.expect_request("**/api/complete") as asked:
        page.get_by_role("button", name="Complete").click()
    mask = images(asked.value.post_data_json["mask"])[0] > 0
    assert mask[16:23, 7:21].all()
    assert not mask[:14].any()
    expect(hand.said).to_have_text("4 variants of 3.")
    page.get_by_role("button", name="Undo").nth(1).click()
    expect(page.get_by_role("button", name="Complete")).to_be_disabled()
    with page.expect_response("**/api/read"):
        page.get_by_role("button", name="Read this one").click()
    expect(hand.said).to_have_text("Variant 3 is read.")
    page.get_by_role("tab", name="How it works").click()
    page.get_by_role("button", name="My drawing").click()
    expect(hand.said).to_have_text("Your drawing is the image now.")


def test_the_keyboard_alone_draws_rubs_out_and_completes(page):
    hand = Hand(page)
    hand.canvas.focus()
    keys = page.keyboard
    for key in ["ArrowUp"] * 6 + [" "] + ["ArrowDown"] * 13 + [" "]:
        keys.press(key)
    expect(hand.said).to_have_text(re.compile("^Reads 1, "))
    keys.press("Control+z")
    expect(page.get_by_text("Nothing is drawn.")).to_be_visible()
    keys.press("Control+Shift+z")
    expect(hand.verdict).to_have_text("1")
    hand.rub.focus()
    for key in ["ArrowDown"] * 3 + ["Enter"] + ["ArrowDown"] * 6 + ["Escape"]:
        keys.press(key)
    page.get_by_role("button", name="Complete").focus()
    keys.press("Enter")
    expect(hand.said).to_have_text("4 variants of 1.")


def test_pictures_are_chosen_pasted_and_dropped(page, nine):
    hand = Hand(page)
    choose = page.locator("#hand-file")
    photograph = picture(np.kron(page_of(), np.ones((40, 40), np.uint8)), "JPEG")
    choose.set_input_files({"name": "1.jpg", "mimeType": "image/jpeg", "buffer": photograph})
    expect(hand.verdict).to_have_text("1")
    give = """({canvas, kind, bytes}) => {
      const files = new DataTransfer();
      files.items.add(new File([Uint8Array.from(bytes)], 'digit.png', {type: 'image/png'}));
      const event = kind === 'paste' ? new ClipboardEvent(kind, {clipboardData: files, bubbles: true, cancelable: true})
        : new DragEvent(kind, {dataTransfer: files, bubbles: true, cancelable: true});
      canvas.dispatchEvent(event);
    }"""
    for kind, pixels in (("paste", nine), ("drop", page_of())):
        canvas = hand.canvas.element_handle()
        page.evaluate(give, {"canvas": canvas, "kind": kind, "bytes": list(picture(pixels))})
        expect(hand.verdict).to_have_text({"paste": "9", "drop": "1"}[kind])
        if kind == "paste":
            assert np.array_equal(hand.seen(), nine.ravel())  # an image of the data set remains as it is
    tiff = picture(np.kron(255 - nine, np.ones((8, 8), np.uint8)), "TIFF")  # of which the browser knows nothing
    choose.set_input_files({"name": "9.tif", "mimeType": "image/tiff", "buffer": tiff})
    expect(hand.verdict).to_have_text("9")


def test_a_finger_draws_on_a_small_screen_in_the_dark(open_page, studio):
    page = open_page(
        studio.url,
        viewport={"width": 360, "height": 740},
        color_scheme="dark",
        reduced_motion="reduce",
        has_touch=True,
        is_mobile=True,
    )
    hand = Hand(page)
    places = hand.places(hand.canvas, SEVEN)
    session = page.context.new_cdp_session(page)

    def touch(kind, *points):
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})

    touch("touchStart", places[0])
    for (x, y), (to_x, to_y) in zip(places, places[1:], strict=False):
        for k in range(1, 6):
            touch("touchMove", (x + (to_x - x) * k / 5, y + (to_y - y) * k / 5))
    touch("touchEnd")
    expect(hand.said).to_have_text(re.compile("^Reads 7, "))
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    expect(page.get_by_role("button", name="Camera …")).to_be_visible()
    page.get_by_role("button", name="Redraw").tap()
    expect(hand.variants).to_have_count(4)
    expect(hand.variants.first).to_be_in_viewport()
    assert axe_faults(page) == []


def test_a_distilled_model_alone_says_what_it_cannot_do(start_studio, open_page):
    page = open_page(start_studio("--checkpoint", "bundled-2").url)
    hand = Hand(page)
    hand.draw(SEVEN)
    expect(page.get_by_text("This model cannot read.")).to_be_visible()
    expect(page.get_by_text("This model cannot change pictures.")).to_be_visible()
    page.get_by_role("tab", name="How it works").click()
    expect(page.get_by_text("This model has no predictions at single timesteps.")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
