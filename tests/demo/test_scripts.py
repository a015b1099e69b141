"""The page's scripts in Node: noise, network, samplers, reading and completion, against the Python code."""

import shutil
import subprocess

import numpy as np
import pytest
import torch
from demo_pages import SCRIPTS, page_of, parts_of, random_network

import mnistdiff
from mnistdiff.engine.checkpoint.pretrained import bundled_models
from mnistdiff.engine.data.transforms import to_unit_range
from mnistdiff.engine.diffusion.schedule import NoiseSchedule
from mnistdiff.engine.evaluation.reference_classifier import load_reference_classifiers
from mnistdiff.engine.inference.diffusion_classifier import noisy_timesteps
from mnistdiff.engine.inference.editing import half
from mnistdiff.engine.outputs.demo_page import demo_page
from mnistdiff.engine.randomness import sampling_noise
from mnistdiff.settings import TrainSettings

TAIL = 3.6541
OPEN = """
import { Kernel } from './kernel.js';
import { Model, decodeBase64 } from './model.js';
const open = ({ facts, weights, kernel }, code = kernel) =>
  new Model(new Kernel(code && decodeBase64(code)), JSON.parse(facts), weights);
"""


def pixels_of(images):
    return np.array(images).reshape(len(images), 28, 28).astype(int)


def test_the_noise_is_that_of_numpy(node):
    """Bit for bit, but for the tail: there the last bit is that of the C library's logarithm."""
    seeds = [*range(40), 12345, 2**31, 2**32 - 1]
    found = node(
        """import { samplingNoise } from './noise.js';
        result(given.seeds.map((seed) => [0, 1, 77].map((draw) => [...samplingNoise(seed, draw, 784)])));""",
        seeds=seeds,
    )
    found = np.array(found, np.float32)
    expected = np.stack([[sampling_noise([seed], draw, (784,))[0] for draw in (0, 1, 77)] for seed in seeds])
    is_tail = np.abs(expected) > TAIL
    assert is_tail.sum() > 10
    assert np.array_equal(found[~is_tail], expected[~is_tail])
    assert np.abs(found - expected)[is_tail].max() <= 5e-7


NETWORKS = [
    {"channels": (8,), "patch_size": 4, "embedding": 16},
    {"channels": (12, 20), "down_blocks": (0, 1), "up_blocks": (2, 1), "patch_size": 2, "embedding": 12},
    {"channels": (4, 16, 24), "down_blocks": (0, 1, 2), "up_blocks": (1, 2, 2), "patch_size": 1, "embedding": 32},
]


@pytest.mark.parametrize("settings", NETWORKS, ids=lambda settings: str(settings["channels"]))
@pytest.mark.parametrize("size", [28, 32])
def test_both_kernels_predict_as_pytorch_does(node, settings, size):
    given = {"dataset": "mnist", **settings}
    if size != 28:
        record = {"title": "shapes", "class_names": ("a", "b"), "class_counts": (3, 3), "image_size": size}
        given |= {
            "dataset": "pictures",
            "pictures": {**record, "digest": "0" * 64, "fit": "pad", "inverted": False, "border": 0},
        }
    checkpoint, network = random_network(TrainSettings.model_validate(given))
    x = np.random.default_rng(1).standard_normal((2, 1, size, size)).astype(np.float32)
    found = node(
        OPEN
        + """
        result(['', given.parts.kernel].map((code) => {
          const { network } = open(given.parts, code);
          const predict = (x, i) => [...network.predict(Float32Array.from(x), given.t[i], i)];
          return [network.kernel.isFast, ...given.x.map(predict)];
        }));""",
        parts=parts_of(demo_page(checkpoint)),
        x=x.reshape(2, -1).tolist(),
        t=[3, 480],
    )
    with torch.no_grad():
        expected = network(torch.from_numpy(x), torch.tensor([3, 480]), torch.tensor([0, 1])).reshape(2, -1).numpy()
    assert [kernel[0] for kernel in found] == [False, True]
    for kernel in found:
        np.testing.assert_allclose(np.array(kernel[1:]), expected, atol=2e-4 * np.abs(expected).max())


def test_the_code_of_the_fast_kernel_is_made_of_its_source(tmp_path):
    if (assembler := shutil.which("wat2wasm")) is None:
        pytest.skip("there is no wat2wasm (npm install --global wabt)")
    subprocess.run([assembler, SCRIPTS / "kernel.wat", "-o", tmp_path / "kernel.wasm"], check=True)
    assert (tmp_path / "kernel.wasm").read_bytes() == (SCRIPTS / "kernel.wasm").read_bytes()


def test_timesteps_are_those_of_the_samplers_and_of_classification(node):
    cases = [(T, S, spacing) for T in (10, 500, 1000) for S in (1, 2, 3, 7, 10) for spacing in ("even", "trailing")]
    found = node(
        """import { Schedule } from './schedule.js';
        import { noisyTimesteps } from './reading.js';
        const schedule = (T) => new Schedule(new Float64Array(T), new Float64Array(T));
        result(given.cases.map(([T, S, spacing]) =>
          [schedule(T).inferenceTimesteps(S, spacing), noisyTimesteps(T, Math.min(S, 5))]));""",
        cases=cases,
    )
    for (T, S, spacing), (steps, noisy) in zip(cases, found, strict=True):
        schedule = NoiseSchedule.cosine(T)
        assert steps == [[*pair] for pair in schedule.inference_timesteps(S, spacing)]
        assert noisy == [[*pair] for pair in noisy_timesteps(schedule, min(S, 5))]


VARIANTS = [
    {"sampler": "ddpm", "steps": 10},
    {"sampler": "ddim", "steps": 4, "eta": 0.6, "guidance": 2.0, "guidance_interval": (0.2, 0.8)},
    {"sampler": "ddim", "steps": 3, "spacing": "even", "guidance": 0.0},
    {"sampler": "dpmpp_2m", "steps": 6, "guidance": 0.5},
]


def test_every_sampler_draws_what_python_draws(node, tiny_run):
    model = mnistdiff.load(tiny_run)
    found = node(
        OPEN
        + """
        import { sample, toLevels } from './samplers.js';
        const model = open(given.parts);
        result(given.variants.map((variant) => [3, 4].map((seed) => {
          const steps = [...sample(model, seed, seed, { ...model.facts.sampling, ...variant })];
          return [...toLevels(steps.at(-1).x)];
        })));""",
        parts=parts_of(page_of(tiny_run / "conditional_diffusion_mnist.safetensors")),
        variants=VARIANTS,
    )
    for variant, images in zip(VARIANTS, found, strict=True):
        expected = [model.sample(seed, seed=seed, **variant)[0] for seed in (3, 4)]
        assert np.abs(pixels_of(images) - np.array(expected, int)).max() <= 1, variant


def test_the_teacher_draws_what_python_draws(node):
    found = node(
        OPEN
        + """
        import { sample, toLevels } from './samplers.js';
        const model = open(given.parts);
        result([0, 1].map((seed) => [...toLevels([...sample(model, 7, seed, model.facts.sampling)].at(-1).x)]));""",
        parts=parts_of(page_of(bundled_models()["bundled-teacher"])),
    )
    expected = mnistdiff.load("bundled-teacher").sample(7, 2, seed=0)
    assert np.abs(pixels_of(found) - np.asarray(expected, int)).max() <= 1


def test_a_model_reads_and_completes_as_python_does(node, tiny_run):
    model = mnistdiff.load(tiny_run)
    image = mnistdiff.load("bundled").sample(7, seed=1)[0]
    found = node(
        OPEN
        + """
        import { complete } from './completing.js';
        import { readByDiffusion } from './reading.js';
        import { fromLevels, toLevels } from './samplers.js';
        const model = open(given.parts);
        const levels = Uint8Array.from(given.image);
        const read = [...readByDiffusion(model, levels, { evaluations: 5, seed: 0 })].filter(Boolean);
        const task = { known: fromLevels(levels), missing: given.missing, label: 4, seed: 9, rounds: 3 };
        const steps = [...complete(model, task, model.facts.sampling)];
        result({ read: read.at(-1), completed: [...toLevels(steps.at(-1).x)] });""",
        parts=parts_of(page_of(tiny_run / "conditional_diffusion_mnist.safetensors")),
        image=image.ravel().tolist(),
        missing=half("left", 28).astype(int).ravel().tolist(),
    )
    np.testing.assert_allclose(found["read"], model.classify(image, evaluations=5)[0].probabilities, atol=1e-3)
    completed = model.inpaint(image, "left", 4, seed=9, resample_steps=3)[0]
    assert np.abs(pixels_of([found["completed"]])[0] - completed.astype(int)).max() <= 1


def test_a_distilled_model_reads_with_the_reference_classifier_and_completes(node):
    images = np.asarray(mnistdiff.load("bundled-2").sample(range(10), seed=5))
    found = node(
        OPEN
        + """
        import { complete } from './completing.js';
        import { Classifier } from './reading.js';
        import { fromLevels, toLevels } from './samplers.js';
        const model = open(given.parts);
        const classifier = new Classifier(model.network.kernel, model.tensors, 28);
        result(given.images.map((image, label) => {
          const task = { known: fromLevels(image), missing: given.missing, label, seed: label };
          const x = [...complete(model, task, model.facts.sampling)].at(-1).x;
          return { read: classifier.probabilities(Uint8Array.from(image)), completed: [...toLevels(x)] };
        }));""",
        parts=parts_of(page_of(bundled_models()["bundled-2"])),
        images=images.reshape(10, -1).tolist(),
        missing=half("bottom", 28).astype(int).ravel().tolist(),
    )
    classifier = load_reference_classifiers()[0]
    with torch.no_grad():
        logits = classifier.model(torch.from_numpy(to_unit_range(images)))[0]
    np.testing.assert_allclose([each["read"] for each in found], logits.softmax(1).numpy(), atol=5e-3)
    completed = pixels_of([each["completed"] for each in found])
    assert np.array_equal(completed[:, :14], images[:, :14])
    assert (completed[:, 14:] != images[:, 14:]).any(axis=(1, 2)).all()
    assert (classifier.predict(completed.astype(np.uint8)).labels == np.arange(10)).sum() >= 9


def test_a_drawing_becomes_as_large_and_as_centred_as_digits_of_mnist(node):
    drawing = np.zeros((280, 280), np.float32)
    drawing[20:140, 200:230] = drawing[20:50, 160:230] = 255
    found = node(
        """import { centred } from './centring.js';
        const levels = centred(Float32Array.from(given.levels), 280, 28, 20);
        result([[...levels], [...centred(new Float32Array(280 * 280), 280, 28, 20)]]);""",
        levels=drawing.ravel().tolist(),
    )
    image = np.array(found[0]).reshape(28, 28)
    rows, columns = np.flatnonzero((image > 51).any(1)), np.flatnonzero((image > 51).any(0))
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (20, 12)
    at = [(image.sum(1 - axis) * np.arange(28)).sum() / image.sum() for axis in (0, 1)]
    assert all(abs(each - 13.5) <= 0.5 for each in at)
    assert not np.any(found[1])
