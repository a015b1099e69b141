from itertools import pairwise

import numpy as np
import pytest
import torch

from mnistdiff.engine.checkpoint.pretrained import PRETRAINED
from mnistdiff.engine.inference.model import DiffusionModel, load_model
from mnistdiff.engine.inference.sampling import SampleSpec, sample, specs_for_labels, specs_in_order
from mnistdiff.engine.network.build import build_network
from mnistdiff.engine.network.denoiser import TorchDenoiser
from mnistdiff.engine.progress import collect
from mnistdiff.errors import CheckpointError, DivergedError, OutOfMemoryError, SettingsError
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import MAX_SEED, SAMPLERS
from mnistdiff.settings import TrainSettings

TIMESTEPS = 10
SETTINGS = TrainSettings(
    timesteps=TIMESTEPS, beta_schedule="cosine", patch_size=4, channels=(4,), embedding=8, prediction="v_prediction"
)


class Counted:
    """A network that remembers what it was asked."""

    def __init__(self, network):
        self.network, self.calls = network, []

    def __call__(self, x_t, t, labels):
        self.calls.append((len(x_t), t, labels.tolist()))
        return self.network(x_t, t, labels)


@pytest.fixture(scope="module")
def model():
    """Random weights throughout, also where training starts from zeros: every input matters."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        network = build_network(SETTINGS)
        for parameter in network.parameters():
            parameter.normal_(std=0.3)
    return DiffusionModel(TorchDenoiser(network), SETTINGS)


def counted(model):
    return DiffusionModel(Counted(model.denoiser), model.settings)


def sample_settings(**changes):
    return SampleSettings(**{"steps": 4, **changes})


def sampled(model, specs, settings=None, **options):
    return collect(sample(model, specs, settings or sample_settings(), **options))


def pixels(found):
    return np.stack([image.pixels for image in found]).astype(int)


def levels_apart(one, other):
    return np.abs(pixels(one) - pixels(other)).max()


SETTINGS_CASES = [
    {},
    {"sampler": "ddim", "eta": 0.0},
    {"sampler": "ddim", "eta": 1.0},
    {"sampler": "ddpm"},
    {"sampler": "ddpm", "steps": TIMESTEPS, "guidance": 1.0},
    {"steps": 1, "guidance": 0.5},
]


@pytest.mark.parametrize("changes", SETTINGS_CASES)
def test_an_image_does_not_depend_on_the_images_beside_it(model, changes):
    specs, settings = specs_for_labels((3, 1, 4), 3, 5), sample_settings(**changes)
    together = sampled(model, specs, settings)
    assert levels_apart(together, sampled(model, specs, settings, batch_size=1)) <= 1
    assert levels_apart(together, sampled(model, specs, settings, batch_size=4)) <= 1
    assert len({image.pixels.tobytes() for image in together}) == len(specs)


@pytest.mark.parametrize("changes", SETTINGS_CASES)
def test_the_same_request_gives_the_same_pixels(model, changes):
    specs, settings = specs_for_labels((7,), 2, 0), sample_settings(**changes)
    assert levels_apart(sampled(model, specs, settings), sampled(model, specs, settings)) == 0


def test_image_k_of_a_seed_is_the_image_of_that_seed_plus_k(model):
    many = sampled(model, specs_for_labels((7,), 3, 40))
    alone = [sampled(model, specs_for_labels((7,), 1, 40 + k))[0] for k in range(3)]
    assert [image.seed for image in many] == [image.seed for image in alone] == [40, 41, 42]
    assert levels_apart(many, alone) <= 1
    assert levels_apart(many[:1], many[1:2]) > 1


def test_the_digit_and_the_settings_matter(model):
    reference = sampled(model, [SampleSpec(3, 0)])
    for other in (
        sampled(model, [SampleSpec(4, 0)]),
        sampled(model, [SampleSpec(3, 0)], sample_settings(guidance=5)),
        sampled(model, [SampleSpec(3, 0)], sample_settings(guidance=0)),
        sampled(model, [SampleSpec(3, 0)], sample_settings(sampler="ddpm")),
        sampled(model, [SampleSpec(3, 0)], sample_settings(steps=9)),
    ):
        assert levels_apart(reference, other) > 1


def test_guidance_1_asks_with_labels_alone_and_0_without(model):
    for guidance, labels in ((1.0, [3, 8]), (0.0, [10] * 2)):
        watched = counted(model)
        sampled(watched, [SampleSpec(3, 0), SampleSpec(8, 1)], sample_settings(guidance=guidance))
        assert [call[0] for call in watched.denoiser.calls] == [2] * 4
        assert all(call[2] == labels for call in watched.denoiser.calls)


@pytest.mark.parametrize("guidance", [0.5, 2.0])
def test_other_guidance_asks_with_and_without_labels_in_one_call(model, guidance):
    watched = counted(model)
    sampled(watched, [SampleSpec(3, 0), SampleSpec(8, 1)], sample_settings(guidance=guidance))
    assert [call[0] for call in watched.denoiser.calls] == [4] * 4
    assert all(sorted(call[2]) == [3, 8, 10, 10] for call in watched.denoiser.calls)


def test_guidance_1_is_the_limit_of_guided_sampling(model):
    specs = specs_for_labels((2, 5), 2, 0)
    plain = sampled(model, specs, sample_settings(guidance=1.0))
    assert levels_apart(plain, sampled(model, specs, sample_settings(guidance=1.0 + 1e-9))) <= 1


def test_guidance_acts_in_its_interval_and_plain_conditional_sampling_outside(model):
    """Ten steps at t = 9 ... 0: the first two and the last three on labels alone."""
    watched = counted(model)
    sampled(watched, [SampleSpec(3, 0)], sample_settings(steps=TIMESTEPS, guidance=2, guidance_interval=(0.2, 0.7)))
    assert [call[0] for call in watched.denoiser.calls] == [1] * 2 + [2] * 5 + [1] * 3
    assert all(call[2][-1] == 3 for call in watched.denoiser.calls)


def test_guidance_in_an_empty_interval_is_none_and_weak_guidance_has_no_interval(model):
    specs, never = specs_for_labels((2, 5), 2, 0), {"guidance_interval": (0.4, 0.4)}
    none = sampled(model, specs, sample_settings(guidance=3, **never))
    assert levels_apart(none, sampled(model, specs, sample_settings(guidance=1))) == 0
    for weak in (0.0, 0.5):
        asked = sampled(model, specs, sample_settings(guidance=weak, **never))
        assert levels_apart(asked, sampled(model, specs, sample_settings(guidance=weak))) == 0


def test_unconditional_images_do_not_depend_on_the_digit(model):
    unconditional = sample_settings(guidance=0.0)
    assert (
        levels_apart(
            sampled(model, [SampleSpec(1, 9)], unconditional), sampled(model, [SampleSpec(8, 9)], unconditional)
        )
        == 0
    )


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpmpp_2m"])
@pytest.mark.parametrize("steps", [1, 2, 7, TIMESTEPS])
def test_every_step_is_one_evaluation_from_the_last_timestep_down(model, sampler, steps):
    watched = counted(model)
    progress = [
        *sample(watched, specs_for_labels((0,), 3, 0), sample_settings(sampler=sampler, steps=steps), batch_size=2)
    ]
    assert [p.done for p in progress] == [*range(1, 2 * steps + 1)]
    assert {p.total for p in progress} == {2 * steps}
    assert [len(p.results) for p in progress] == [*[0] * (steps - 1), 2, *[0] * (steps - 1), 1]
    timesteps = [t for _, t, _ in watched.denoiser.calls]
    assert timesteps[:steps] == timesteps[steps:]
    assert timesteps[0] == TIMESTEPS - 1
    assert all(later < earlier for earlier, later in pairwise(timesteps[:steps]))


def test_images_come_in_the_order_asked_for(model):
    specs = [SampleSpec(9, 3), SampleSpec(0, 3), SampleSpec(9, 1), SampleSpec(4, 1000), SampleSpec(0, 2)]
    found = sampled(model, specs, batch_size=2)
    assert [(image.label, image.seed) for image in found] == [(r.label, r.seed) for r in specs]
    assert levels_apart(found[3:4], sampled(model, specs[3:4])) <= 1


def test_specs_go_label_by_label_with_consecutive_seeds():
    assert specs_for_labels((4, 2), 2, 7) == [SampleSpec(4, 7), SampleSpec(4, 8), SampleSpec(2, 7), SampleSpec(2, 8)]
    assert specs_in_order([4, 2, 4, 2], 7) == [SampleSpec(4, 7), SampleSpec(2, 8), SampleSpec(4, 9), SampleSpec(2, 10)]


def test_images_are_grey_levels(model):
    for image in sampled(model, specs_for_labels(range(10), 1, 0)):
        assert image.pixels.shape == (28, 28)
        assert image.pixels.dtype == np.uint8
        assert image.pixels.min() < image.pixels.max()


def test_more_steps_than_trained_with_are_refused_before_the_first(model):
    watched = counted(model)
    with pytest.raises(SettingsError, match="`steps` 11 is more than the 10") as refusal:
        next(sample(watched, [SampleSpec(0, 0)], sample_settings(steps=11)))
    assert "1 to 10" in refusal.value.hint
    assert watched.denoiser.calls == []


@pytest.mark.parametrize("room", [64, 21, 5, 2])
def test_a_batch_that_does_not_fit_is_halved_until_it_does(model, monkeypatch, room):
    """Guidance evaluates two images for each sample."""
    asked = []
    forward = type(model.denoiser._model).forward

    def cramped(self, x_t, t, labels):
        asked.append(len(x_t))
        if len(x_t) > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return forward(self, x_t, t, labels)

    specs = specs_for_labels(range(10), 4, 3)
    expected = sampled(model, specs)
    monkeypatch.setattr(type(model.denoiser._model), "forward", cramped)
    progress = list(sample(model, specs, sample_settings()))
    found = [image for one in progress for image in one.results]
    assert [(d.label, d.seed) for d in found] == [(r.label, r.seed) for r in specs]
    assert levels_apart(found, expected) <= 1
    assert (progress[-1].done, progress[-1].total) == (len(progress), len(progress))
    too_large = [count for count in asked if count > room]
    assert too_large == [count for count in (80, 40, 20, 10, 4) if count > room]


def test_where_not_even_one_image_fits_it_is_said(model, monkeypatch):
    def full(self, x_t, t, labels):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes.")

    monkeypatch.setattr(type(model.denoiser._model), "forward", full)
    with pytest.raises(OutOfMemoryError, match="evaluate the network on 2 images"):
        sampled(model, specs_for_labels([7], 3, 0))


def test_seeds_end_at_their_range():
    assert specs_for_labels((0,), 2, MAX_SEED - 1)[-1].seed == MAX_SEED
    with pytest.raises(SettingsError, match=str(MAX_SEED)):
        specs_for_labels((0,), 3, MAX_SEED - 1)


@pytest.mark.parametrize("sampler", SAMPLERS.names)
@pytest.mark.parametrize("output", [-1e12, 1e12])
def test_a_predicted_image_never_leaves_its_range(sampler, output):
    absurd, steps = DiffusionModel(lambda x_t, t, labels: np.full_like(x_t, output), SETTINGS), []
    sampled(absurd, [SampleSpec(0, 0)], sample_settings(sampler=sampler, eta=1.0), on_step=steps.append)
    assert all(np.abs(step.x_0_pred).max() <= 1 for step in steps)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_network_that_has_diverged_is_reported(value):
    def broken(x_t, t, labels):
        return np.full_like(x_t, value) if t == 0 else np.zeros_like(x_t)

    with np.errstate(invalid="ignore"), pytest.raises(DivergedError, match="not finite"):
        sampled(DiffusionModel(broken, SETTINGS), [SampleSpec(0, 0)], sample_settings(sampler="ddpm", steps=TIMESTEPS))


def test_missing_weights_are_named():
    with pytest.raises(CheckpointError, match="raw"):
        load_model(PRETRAINED, weights="raw", device="cpu")
