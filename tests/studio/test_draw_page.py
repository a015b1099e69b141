"""The Draw room in Chromium: what is typed is drawn, what a slider says is asked of the server, by mouse and keys."""

import base64
import re
from pathlib import Path

import numpy as np
from checkpoints import altered
from playwright.sync_api import expect

import mnistdiff

NAMES = ("き", "お", "二", "Straße", "Übergröße", "ankle-boot", "A", "a", "up/down", "<b>7</b>")
CANVASES = """canvases => canvases.map(canvas => {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return [...data.filter((_, i) => i % 4 == 0)];
})"""


def wall(page):
    return page.get_by_role("group", name="Drawn images").get_by_role("button")


def gallery(page):
    return page.get_by_role("group", name="Gallery").get_by_role("button")


def shown(page):
    """The pixels of the images on the page, uint8 (N, H, W)."""
    return pixels(wall(page).locator("canvas"))


def pixels(canvases):
    return np.array(canvases.evaluate_all(CANVASES), np.uint8).reshape(-1, 28, 28)


def drawing(page, act, **wanted):
    """Do something, wait for the drawing that it asks for (the one with these fields), and return its request."""
    images = page.get_by_role("group", name="Drawn images")
    expect(images).to_have_attribute("aria-busy", "false")
    with page.expect_request(
        lambda request: request.url.endswith("/api/draw") and wanted.items() <= request.post_data_json.items()
    ) as asked:
        act()
    expect(images).to_have_attribute("aria-busy", "false")
    return asked.value.post_data_json


def answer(studio, asked):
    """What the server says of a drawing in its last event."""
    *_, done = studio.stream("/api/draw", asked)
    return done.data


def images_of(done):
    return np.frombuffer(base64.b64decode(done["images"]), np.uint8).reshape(-1, 28, 28)


def slide(page, name, key):
    """Move a slider by a key."""
    slider = page.get_by_role("slider", name=name, exact=True)
    slider.focus()
    return drawing(page, lambda: slider.press(key))


def test_keys_pressed_anywhere_draw_what_sample_draws_and_every_step_can_be_seen(page):
    expect(wall(page)).to_have_count(16)
    asked = drawing(page, lambda: page.keyboard.type("2026"), text="2026")
    assert asked["n"] == 4
    expect(page.get_by_role("textbox", name="A digit or a number")).to_have_value("2026")
    expect(wall(page).nth(7)).to_have_attribute("aria-label", "6, seed 7")
    sampled = mnistdiff.load().sample("2026", n=4, seed=0)
    np.testing.assert_array_equal(shown(page), np.asarray(sampled))

    scrubber = page.get_by_role("slider", name="Step", exact=True)
    scrubber.press("Home")
    noise = shown(page)
    assert np.abs(noise.astype(int) - noise.mean()).mean() > 40  # noise fills the images
    scrubber.press("ArrowRight")
    state = shown(page)
    page.get_by_role("radio", name="predicted x0").check()
    predicted = shown(page)
    assert [np.array_equal(state, other) for other in (noise, predicted, sampled)] == [False] * 3
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_text("2 of 2", exact=True)).to_be_visible()
    np.testing.assert_array_equal(shown(page), np.asarray(sampled))


def test_every_slider_asks_for_what_it_shows_from_the_same_noise(page, studio):
    first = images_of(answer(studio, {"labels": [7], "n": 16, "seed": 0}))
    asked = slide(page, "Images", "ArrowLeft")
    assert (asked["n"], asked.keys() & {"steps", "guidance", "sampler"}) == (9, set())
    expect(wall(page)).to_have_count(9)
    asked = slide(page, "Seed", "ArrowRight")
    assert asked["seed"] == 1
    np.testing.assert_array_equal(shown(page), first[1:10])
    expect(page.get_by_text("bundled-2: 9 images in")).to_contain_text("2 evaluations")
    for key in (
        "ArrowRight",
        "ArrowRight",
        "ArrowLeft",
        "ArrowRight",
    ):  # faster than it draws
        page.keyboard.press(key)
    expect(wall(page).first).to_have_attribute("aria-label", "7, seed 3")
    for _ in range(2):
        drawing(page, lambda: page.keyboard.press("ArrowLeft"))

    asked = slide(page, "Steps", "ArrowRight")  # the teacher's from here
    assert (asked["steps"], asked["guidance"], asked["guidance_interval"]) == (3, 1.7, [0.2, 0.6])
    expect(page.get_by_text("bundled-teacher: 9 images in")).to_contain_text("4 evaluations")
    expect(page.get_by_role("radio", name="Teacher")).to_be_checked()
    expect(page.get_by_text("bundled-teacher draws, the teacher of bundled-2.")).to_be_visible()
    asked = slide(page, "Guidance", "ArrowLeft")
    assert (asked["guidance"], asked["seed"]) == (1.6, 1)
    choices = {"DPM++ 2M": ("sampler", "dpmpp_2m"), "DDPM": ("sampler", "ddpm"), "All": ("guidance_interval", [0, 1])}
    for name, (field, value) in choices.items():
        asked = drawing(page, page.get_by_role("radio", name=name, exact=True).check)
        assert asked[field] == value
    expect(page.get_by_text("bundled-teacher: 9 images in")).to_contain_text("6 evaluations")
    done = answer(studio, asked)
    assert (done["seeds"], done["evaluations"]) == ([*range(1, 10)], 6)
    np.testing.assert_array_equal(shown(page), images_of(done))

    asked = drawing(page, page.get_by_role("radio", name="Few steps").check)
    assert "steps" not in asked
    np.testing.assert_array_equal(shown(page), first[1:10])
    asked = drawing(page, page.get_by_role("button", name="New noise").click)
    assert asked["seed"] != 1


def test_an_image_is_opened_kept_saved_and_becomes_another_by_keys_alone_and_is_dragged_out(page, tmp_path):
    drawing(page, lambda: page.keyboard.press("3"))
    wall(page).first.focus()
    for key in ("ArrowDown", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    dialog = page.get_by_role("dialog", name="3")
    expect(dialog.get_by_role("textbox", name="Command")).to_have_text(
        "mnistdiff sample --digit 3 --seed 5 --checkpoint bundled-2 -o digit_3_5.png"
    )
    dialog.get_by_text("Provenance").focus()
    page.keyboard.press("Enter")
    expect(dialog.get_by_text("d1be6a94accd")).to_be_visible()
    with page.expect_download() as download:
        dialog.get_by_role("link", name="Save PNG").press("Enter")
    assert download.value.suggested_filename == "digit_3_5.png"
    mnistdiff.load().sample(3, seed=5).save(tmp_path / "sampled.png")
    assert Path(download.value.path()).read_bytes() == (tmp_path / "sampled.png").read_bytes()
    dialog.get_by_role("button", name="Keep").press("Enter")
    expect(dialog).to_have_count(0)
    expect(wall(page).nth(5)).to_be_focused()
    expect(gallery(page)).to_have_count(1)

    drawing(page, lambda: page.get_by_role("button", name="8", exact=True).press("Enter"))
    gallery(page).first.press("Enter")
    dialog.get_by_role("button", name="Morph").press("Enter")
    expect(page.get_by_role("tabpanel").get_by_text("Choose the image that 3, seed 5 becomes")).to_be_visible()
    wall(page).first.press("Enter")
    film = page.get_by_role("dialog", name="3 becomes 8")
    film.get_by_role("button", name="Pause").press("Enter")
    film.get_by_role("slider", name="Image").press("End")
    expect(film.get_by_text("24 of 24")).to_be_visible()
    np.testing.assert_array_equal(pixels(film.get_by_role("img", name="From 3"))[0], shown(page)[0])
    page.keyboard.press("Escape")
    gallery(page).first.press("Delete")
    expect(gallery(page)).to_have_count(0)
    page.get_by_role("button", name="Keep all").press("Enter")
    expect(gallery(page)).to_have_count(16)
    page.get_by_role("button", name="Clear").press("Enter")
    expect(page.get_by_text("Nothing kept yet")).to_be_visible()

    dragged = page.evaluate_handle("new DataTransfer()")
    wall(page).nth(2).dispatch_event("dragstart", {"dataTransfer": dragged})
    kind, name, address = dragged.evaluate("data => data.getData('DownloadURL')").split(":", 2)
    assert (kind, name) == ("image/png", "digit_8_2.png")
    loaded = "async url => { const image = new Image(); image.src = url; await image.decode(); return image.width; }"
    assert page.evaluate(loaded, address) == 28


def test_what_is_no_class_is_said_and_the_images_stay(open_page, studio):
    page = open_page(studio.url, expected="422")
    drawing(page, lambda: page.keyboard.press("7"))
    before = shown(page)
    field = page.get_by_role("textbox", name="A digit or a number")
    field.fill("seven")
    field.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("is no class")
    np.testing.assert_array_equal(shown(page), before)
    field.fill("")
    expect(page.get_by_text("Nothing to draw")).to_be_visible()
    drawing(page, lambda: field.fill("5"))
    expect(page.get_by_role("alert")).to_have_count(0)


def test_classes_of_other_pictures_are_chosen_by_their_names(open_page, start_studio, tmp_path):
    def rename(values):
        record = {"title": "signs", "class_names": NAMES, "class_counts": [6] * 10, "digest": "0" * 64, "border": 0}
        values["settings"]["dataset"] = "pictures"
        values["settings"]["pictures"] = {**record, "image_size": 28, "fit": "pad", "inverted": False}

    bundled = Path(mnistdiff.__file__).parent / "assets" / "pretrained-2.safetensors"
    (tmp_path / "signs.safetensors").write_bytes(altered(bundled.read_bytes(), rename))
    page = open_page(start_studio("--checkpoint", tmp_path / "signs.safetensors").url)
    chips = page.get_by_role("group", name="Classes").get_by_role("button")
    expect(chips).to_have_text(NAMES)
    for name in ("Übergröße", "<b>7</b>", "き"):
        asked = drawing(page, page.get_by_role("button", name=name, exact=True).click)
        assert asked["labels"] == [NAMES.index(name)]
        expect(wall(page).first).to_have_attribute("aria-label", f"{name}, seed 0")
    expect(page.get_by_role("slider", name="Guidance")).to_have_count(0)  # it has no teacher here


def test_with_reduced_motion_only_finished_images_are_painted(page):
    page.evaluate("""() => {
        const put = CanvasRenderingContext2D.prototype.putImageData;
        CanvasRenderingContext2D.prototype.putImageData = function (...all) {
            window.painted += 1;
            put.apply(this, all);
        };
    }""")
    drawing(page, lambda: page.keyboard.press("8"))
    painted = {}
    for motion, digit in {"reduce": "9", "no-preference": "1"}.items():
        page.emulate_media(reduced_motion=motion)
        page.evaluate("window.painted = 0")
        drawing(page, page.get_by_role("button", name=digit, exact=True).click)
        painted[motion] = page.evaluate("window.painted")
    assert painted["reduce"] == 16 < painted["no-preference"]
    np.testing.assert_array_equal(shown(page), np.asarray(mnistdiff.load().sample(1, n=16, seed=0)))


def test_a_page_waits_for_another_but_no_longer_than_that_is_there(open_page, studio):
    first, second = open_page(studio.url), open_page(studio.url)
    drawing(first, lambda: first.get_by_role("slider", name="Images").press("End"))
    drawing(second, lambda: second.keyboard.press("0"))
    first.get_by_role("slider", name="Steps").press("End")  # 500 steps of 64 images
    expect(first.get_by_text(re.compile(r"^\d+ of 500, t"))).to_be_visible()
    with first.expect_event("requestfailed", lambda request: request.url.endswith("/api/draw")):
        first.get_by_role("slider", name="Seed").press("ArrowRight")  # other noise; the drawing before ends
    second.keyboard.press("1")
    expect(second.get_by_text("Waiting: one computation is before this one.")).to_be_visible()
    first.close()
    expect(second.get_by_text("bundled-2: 16 images in")).to_be_visible()
    expect(wall(second).first).to_have_attribute("aria-label", "1, seed 0")
