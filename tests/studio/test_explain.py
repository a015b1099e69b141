"""How it works: what the page shows is what `Model.denoise` computes; its equations are in the code; the slider."""

import base64
import re
import tomllib

import numpy as np
import pytest
from browsers import TIME_OUT_MS, axe_faults
from documents import table, text_of
from playwright.sync_api import expect

import mnistdiff
from mnistdiff.setting_types import SCHEDULES
from mnistdiff.studio import explain

expect.set_options(timeout=TIME_OUT_MS)
IMAGE = np.zeros((28, 28), np.uint8)
IMAGE[4:24, 13:16] = 255


def text(pixels):
    return base64.b64encode(np.asarray(pixels, np.uint8).tobytes()).decode()


def image(encoded):
    return np.frombuffer(base64.b64decode(encoded), np.uint8).reshape(28, 28)


def grey(x):
    return np.clip((x + 1) * 127.5, 0, 255)


@pytest.fixture(scope="module")
def model():
    return mnistdiff.load()


def test_what_is_sent_is_what_the_model_computes(studio, model):
    body = {"image": text(IMAGE), "label": 3, "seed": 4, "t": 300, "guidance": 2.5}
    found, own = studio.post("/api/explain", body).json, model.denoise(IMAGE, 3, 300, seed=4, guidance=2.5)
    for name in ("t", "alpha", "sigma", "guidance", "loss", "unconditional_loss"):
        assert found[name] == pytest.approx(getattr(own, name)), name
    np.testing.assert_allclose(image(found["x_t"]), grey(own.x_t), atol=0.51)
    for name in ("conditional", "unconditional", "guided"):
        predicted = getattr(own, name)
        np.testing.assert_allclose(image(found["x_0"][name]), grey(predicted.x_0), atol=0.51)
        signed = found["predicted_eps"][name]
        shown = (image(signed["pixels"]) - 128.0) / 127 * signed["scale"]
        np.testing.assert_allclose(shown, predicted.eps.clip(-3, 3), atol=0.012)
    difference = own.guided.eps - own.unconditional.eps
    assert found["eps_difference"]["scale"] == pytest.approx(np.abs(difference).max())
    assert image(found["eps_difference"]["pixels"]).flat[np.argmax(np.abs(difference))] in (1, 255)
    losses = studio.post(
        "/api/losses", {name: body[name] for name in ("image", "label", "seed")} | {"timesteps": [0, 300]}
    ).json
    assert losses["losses"] == pytest.approx([model.denoise(IMAGE, 3, t, seed=4).loss for t in (0, 300)])
    curves = studio.get("/api/schedule").json
    assert curves["alphas"] == model.teacher.schedule.alphas.tolist()
    assert curves["sigmas"] == model.teacher.schedule.sigmas.tolist()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"t": 500}, "t"),
        ({"label": 10}, "label"),
        ({"guidance": 101.0}, "guidance"),
        ({"image": text(IMAGE[:27])}, "image"),
        ({"image": "no base64"}, "image"),
        ({"seed": -1}, "seed"),
        ({"time": 3}, "time"),
    ],
)
def test_a_wrong_value_is_named(studio, change, field):
    answer = studio.post("/api/explain", {"image": text(IMAGE), "label": 1, "seed": 0, "t": 5} | change)
    assert (answer.status, answer.json["error"]["field"]) == (422, field)


def test_each_equation_of_the_page_is_in_the_table_whose_functions_are_tested():
    rows = [row[2] for row in table(text_of(".github/docs/paper-to-code.md"))]
    for equation in (*explain.EQUATIONS, *explain.BY_SETTING.values()):
        file, name = equation.function.split(" ")
        assert f"`{file}` `{name}`" in rows
    repository = tomllib.loads(text_of("pyproject.toml"))["project"]["urls"]["Repository"]
    assert f"{repository}/blob/HEAD/.github/docs/paper-to-code.md" == explain.PAPER_TO_CODE
    assert {name for field, name in explain.BY_SETTING if field == "beta_schedule"} == set(SCHEDULES.names)


def levels(page, selector):
    """The grey levels of a canvas, of the first colour."""
    script = """canvas => {
      const context = new OffscreenCanvas(28, 28).getContext('2d');
      context.drawImage(canvas, 0, 0);
      return [...context.getImageData(0, 0, 28, 28).data].filter((_, i) => i % 4 === 0);
    }"""
    return np.array(page.locator(selector).evaluate(script)).reshape(28, 28)


def test_the_slider_moves_the_noise_and_the_predictions_follow(page, studio, model):
    with page.expect_response("**/api/schedule") as schedule:
        page.get_by_role("tab", name="How it works").click()
    functions = [each["function"].split(" ")[1] for each in schedule.value.json()["equations"].values()]
    for name in functions:
        expect(page.get_by_role("link", name=name)).to_have_attribute("href", explain.PAPER_TO_CODE)
    slider = page.get_by_role("slider", name="Timestep t")
    expect(slider).to_have_value("200")
    panel = page.get_by_role("tabpanel", name="How it works")
    expect(panel.locator("code.function")).to_have_count(len(functions))
    assert sorted(panel.locator("code.function").all_inner_texts()) == sorted(functions)
    expect(panel.locator(".at-t .of-t dd")).to_have_text("200")
    seven = model.sample([7], seed=0)[0]
    assert np.array_equal(levels(page, ".sum .term:nth-child(1) canvas"), seven)

    slider.focus()
    page.keyboard.press("End")
    own = model.denoise(seven, 7, 499, seed=1, guidance=1.7)
    expect(panel.locator(".at-t .of-t dd")).to_have_text("499")
    expect(panel.locator(".at-t .of-loss dd")).to_have_text(f"{own.loss:.4f}")
    np.testing.assert_allclose(levels(page, ".sum .term:nth-child(3) canvas"), grey(own.x_t), atol=0.51)
    np.testing.assert_allclose(levels(page, ".matrix canvas:nth-of-type(7)"), grey(own.guided.x_0), atol=1.01)

    panel.get_by_role("group", name="The label that the network is told").get_by_role("radio", name="3").check()
    strength = panel.get_by_role("slider", name="Guidance s")
    strength.fill("4")
    told = model.denoise(seven, 3, 499, seed=1, guidance=4)
    expect(panel.locator(".at-t .of-loss dd")).to_have_text(f"{told.loss:.4f}")
    expect(panel.get_by_text("guided, s = 4.0")).to_be_visible()
    np.testing.assert_allclose(levels(page, ".matrix canvas:nth-of-type(7)"), grey(told.guided.x_0), atol=1.01)

    box = panel.locator(".curves").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 100 / 499, box["y"] + 20)
    expect(panel.locator(".at-t .of-t dd")).to_have_text("100")
    # The curve of losses comes in parts, all of one image and noise.
    expect(panel.locator(".curve.of-loss")).to_have_attribute("points", re.compile(r"^(\S+ ){47}\S+$"))
    assert axe_faults(page) == []
