"""The page of ``export --html`` in Chromium, opened from a file."""

import re

import numpy as np
import pytest
from browsers import axe_faults
from demo_pages import page_of, random_network
from PIL import Image

import mnistdiff
from mnistdiff.engine.checkpoint.pretrained import bundled_models
from mnistdiff.engine.outputs.demo_page import demo_page
from mnistdiff.settings import TrainSettings

IMAGES = """() => [...document.querySelectorAll('.digits canvas')].map((canvas) =>
  [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data].filter((_, i) => i % 4 === 0))"""
COMPLETED = IMAGES.replace(".digits", ".few")
SEEN = "() => document.querySelector('.seen canvas').toDataURL()"
HOSTILE = ["</script><script>document.title='no'</script>", "<img src=x onerror=alert(1)>", "-rf '$(x)`", "夜\u2028"]


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    """The page of the bundled model of two steps."""
    file = tmp_path_factory.mktemp("student") / "page.html"
    file.write_bytes(page_of(bundled_models()["bundled-2"]))
    return file.as_uri()


def wait_until_drawn(page, number=10):
    page.wait_for_selector(f".digits[aria-busy=false] > :nth-child({number}):last-child")


def images_of(page, which=IMAGES):
    found = np.array(page.evaluate(which))
    return found.reshape(len(found), 28, 28).astype(int)


def test_100_seeds_give_the_images_of_sample(open_page, student):
    page = open_page(student, reduced_motion="reduce")
    labels, model, found = np.arange(100) % 10, mnistdiff.load("bundled-2"), []
    for start in range(0, 100, 20):
        page.fill("input[type=number]", str(start))
        page.fill("#digits", "".join(map(str, labels[start : start + 20])))
        wait_until_drawn(page, 20)
        found.append(images_of(page))
    expected = np.concatenate([np.asarray(model.sample("0123456789", seed=10 * row), int) for row in range(10)])
    assert page.evaluate("document.documentElement.dataset.engine") == "worker wasm"
    assert np.abs(np.concatenate(found) - expected).max() <= 1


def test_a_digit_comes_out_of_noise_and_its_command_draws_the_same(open_page, student, forked, tmp_path):
    page = open_page(student, expected="willReadFrequently")  # as this test does
    page.get_by_role("button", name="7", exact=True).first.click()
    wait_until_drawn(page, 1)
    slider = page.get_by_role("slider", name="Step")
    page.get_by_text("2 of 2").wait_for()
    states = []
    for key in ("End", "ArrowLeft", "ArrowLeft"):
        slider.press(key)
        states.append(images_of(page)[0])
    assert states[2].std() > states[1].std() / 2  # noise everywhere
    assert (states[0][:3] < 30).all()
    assert (states[2][:3] > 60).any()
    command = page.locator(".command code").inner_text()
    assert forked(*command.split()[1:], "-o", "same.png", cwd=tmp_path).returncode == 0
    assert np.abs(np.asarray(Image.open(tmp_path / "same.png")).astype(int) - states[0]).max() <= 1


def drag(page, *points):
    box = page.locator(".paper").bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=6)
    page.mouse.up()


def test_what_is_drawn_by_mouse_and_by_keys_is_read_and_completed(open_page, student):
    page = open_page(student)
    wait_until_drawn(page)
    verdict = page.locator(".verdict")
    page.locator(".paper").scroll_into_view_if_needed()
    drag(page, (0.3, 0.2), (0.7, 0.2), (0.6, 0.45), (0.45, 0.85))
    page.get_by_text("Reads as 7", exact=True).first.wait_for()
    page.get_by_role("button", name="Complete as 3").click()
    page.wait_for_selector(".few[aria-busy=false]")
    completed = images_of(page, COMPLETED)
    assert completed.shape == (4, 28, 28)
    assert (completed[:, :14] == completed[0, :14]).all()
    assert completed[0, :14].max() == 255
    assert len({image.tobytes() for image in completed}) == 4
    assert "3" in page.locator("#live").inner_text()
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Nothing is drawn yet").wait_for()
    page.locator(".paper").focus()
    for key in ("Space", *["Shift+ArrowDown"] * 8, "Space"):
        page.keyboard.press(key)
    page.get_by_text("Reads as 1", exact=True).first.wait_for()
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("button", name="8, seed 15").click()
    page.get_by_role("button", name="Use the image").click()
    page.get_by_text("Reads as 8", exact=True).first.wait_for()
    assert verdict.inner_text() == "Reads as 8"


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1280, "dark")])
def test_it_is_accessible_and_fits_the_screen(open_page, student, width, scheme):
    screen = {"width": width, "height": 740}
    page = open_page(student, viewport=screen, color_scheme=scheme, reduced_motion="reduce")
    wait_until_drawn(page)
    assert axe_faults(page) == []
    assert not re.search(r"\[object|undefined|NaN", page.locator("body").inner_text())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("body").focus()
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.className + document.activeElement.type"))
    assert {"text", "number", "range", "radio", "tilebutton", "paperundefined", "chipbutton"} <= reached


def test_without_workers_and_webassembly_the_page_itself_computes_in_javascript(open_page, student):
    page = open_page(student, reduced_motion="reduce")
    page.add_init_script("delete globalThis.Worker; WebAssembly.Module = undefined;")
    page.reload()
    page.fill("#digits", "42")
    wait_until_drawn(page, 2)
    assert page.evaluate("document.documentElement.dataset.engine") == "page js"
    expected = mnistdiff.load("bundled-2").sample("42", seed=7)
    assert np.abs(images_of(page) - np.asarray(expected, int)).max() <= 1


def test_a_teacher_has_settings_and_reads_by_itself(open_page, forked, tmp_path):
    file = tmp_path / "teacher.html"
    file.write_bytes(page_of(bundled_models()["bundled-teacher"]))
    page = open_page(file.as_uri(), reduced_motion="reduce")
    page.fill("#digits", "5")
    assert "[object" not in page.locator("body").inner_text()
    for name, keys in (("Steps", ["Home", *["ArrowRight"] * 3]), ("Guidance", ["ArrowRight"] * 5)):
        for key in keys:
            page.get_by_role("slider", name=name).press(key)
    page.get_by_role("radio", name="DDPM").check()
    wait_until_drawn(page, 1)
    command = page.locator(".command code").inner_text()
    assert {"--steps 4", "--guidance 2.2", "--sampler ddpm"} <= set(re.findall(r"--\w+ \S+", command))
    assert forked(*command.split()[1:], "-o", "same.png", cwd=tmp_path).returncode == 0
    same = np.asarray(Image.open(tmp_path / "same.png")).astype(int)
    assert np.abs(same - images_of(page)[0]).max() <= 1
    page.get_by_role("button", name="Use the image").click()
    page.locator(".verdict").get_by_text("Reads as").or_(page.get_by_text("No class is likelier")).wait_for()


def test_hostile_names_of_classes_are_only_shown(open_page, tmp_path):
    record = {"title": HOSTILE[0], "class_names": HOSTILE, "class_counts": (3,) * 4, "image_size": 32}
    record |= {"digest": "0" * 64, "fit": "pad", "inverted": False, "border": 255}
    settings = {"dataset": "pictures", "pictures": record, "channels": (8,), "patch_size": 4, "embedding": 8}
    checkpoint, _ = random_network(TrainSettings.model_validate({**settings, "timesteps": 10}))
    file = tmp_path / "hostile.html"
    file.write_bytes(demo_page(checkpoint))
    page = open_page(file.as_uri(), reduced_motion="reduce")
    wait_until_drawn(page, 4)
    assert page.title().endswith(HOSTILE[0])
    assert page.locator("#draw .chip").all_text_contents() == HOSTILE
    assert page.locator("img").count() == 0
    page.locator(".tile").nth(2).click()
    assert """--class='-rf '"'"'$(x)`'""" in page.locator(".command code").inner_text()
    page.get_by_role("button", name="Use the image").click()
    page.locator(".verdict").filter(has_text=re.compile("Reads|No class")).wait_for()
    assert page.evaluate(SEEN) == page.evaluate(SEEN.replace(".seen", ".tile[aria-pressed=true]"))
    assert axe_faults(page) == []
