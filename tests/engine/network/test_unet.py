import pytest
import torch

from mnistdiff.engine.network.build import build_network
from mnistdiff.engine.network.unet import ConditionalUNet, ResidualBlock, timestep_embedding
from mnistdiff.presets import resolve
from mnistdiff.settings import TrainSettings

SHAPES = [
    (1, (4,), (0,), (1,)),
    (1, (4, 8, 12), (0, 1, 2), (1, 1, 2)),
    (1, (4, 8, 12), (1, 0, 1), (0, 2, 0)),
    (2, (8,), (2,), (1,)),
    (2, (4, 8), (1, 2), (2, 2)),
    (4, (12,), (1,), (1,)),
]
SHAPE_NAMES = ("patch_size", "channels", "down_blocks", "up_blocks")


def unet(patch_size=2, channels=(8, 16), down_blocks=(1, 2), up_blocks=(2, 2)):
    """A network with random weights: at the start of a training some are zero."""
    torch.manual_seed(0)
    model = ConditionalUNet(
        TrainSettings(
            patch_size=patch_size, channels=channels, down_blocks=down_blocks, up_blocks=up_blocks, embedding=16
        )
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


def inputs(batch=5):
    torch.manual_seed(1)
    return torch.randn(batch, 1, 28, 28), torch.arange(batch) * 97, torch.arange(batch) % 11


def preset(name):
    return build_network(resolve([("test", {"preset": name})]).train)


def test_the_base_network_has_about_one_and_a_half_million_parameters():
    assert 1_400_000 <= preset("base").num_parameters <= 1_600_000


def test_the_tiny_network_is_tiny():
    assert preset("tiny").num_parameters <= 50_000


@pytest.mark.parametrize("name", ["base", "tiny"])
def test_an_untrained_network_predicts_zero(name):
    with torch.no_grad():
        assert not preset(name)(*inputs()).any()


def test_the_embeddings_of_the_labels_start_random_with_variance_one():
    weight = preset("base").embed_label.weight
    assert weight.std().item() == pytest.approx(1, abs=0.1)
    assert torch.pdist(weight).min() > 1


@pytest.mark.parametrize(SHAPE_NAMES, SHAPES)
def test_an_image_goes_in_and_an_image_comes_out(patch_size, channels, down_blocks, up_blocks):
    with torch.no_grad():
        out = unet(patch_size, channels, down_blocks, up_blocks)(*inputs())
    assert out.shape == (5, 1, 28, 28)
    assert out.isfinite().all()
    assert out.std() > 1e-3


@pytest.mark.parametrize(SHAPE_NAMES, SHAPES)
def test_a_batch_is_its_images_one_by_one(patch_size, channels, down_blocks, up_blocks):
    model, (x_t, t, labels) = unet(patch_size, channels, down_blocks, up_blocks), inputs()
    with torch.no_grad():
        together = model(x_t, t, labels)
        alone = torch.cat([model(x_t[[k]], t[[k]], labels[[k]]) for k in range(5)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("changed", ["x_t", "t", "label"])
def test_an_image_depends_on_its_own_noise_timestep_and_label_alone(changed):
    model, (x_t, t, labels) = unet(), inputs()
    with torch.no_grad():
        before = model(x_t, t, labels)
        if changed == "x_t":
            x_t[2] += 0.5
        elif changed == "t":
            t[2] += 1
        else:
            labels[2] = 10
        difference = (model(x_t, t, labels) - before).abs().amax(dim=(1, 2, 3))
    assert difference[2] > 1e-3
    assert difference[[0, 1, 3, 4]].max() < 1e-5


def test_every_pixel_may_depend_on_every_other():
    x_t, t, labels = inputs(1)
    x_t.requires_grad_()
    unet()(x_t, t, labels)[0, 0, 0, 0].backward()
    assert (x_t.grad != 0).all()


def test_each_label_changes_the_prediction():
    x_t, t, _ = inputs(1)
    with torch.no_grad():
        out = unet()(x_t.expand(11, -1, -1, -1), t.expand(11), torch.arange(11)).flatten(1)
    assert torch.pdist(out).min() > 1e-2


@pytest.mark.parametrize(SHAPE_NAMES, [shape for shape in SHAPES if len(shape[1]) > 1])
def test_each_skip_connection_reaches_the_output_by_itself(patch_size, channels, down_blocks, up_blocks):
    model, skips = unet(patch_size, channels, down_blocks, up_blocks), []

    def keep_the_skip_alone(layer, inputs):
        """Zero the input from below, so that only the skip connection is left."""
        x, skip = inputs
        skips.append(skip.detach().requires_grad_())
        return torch.zeros_like(x), skips[-1]

    for layer in model.upsample:
        layer.register_forward_pre_hook(keep_the_skip_alone)
    model(*inputs()).square().sum().backward()

    sides = [skip.shape[-1] for skip in skips]
    assert sides == [28 // patch_size // 2**level for level in reversed(range(len(channels) - 1))]
    # The finer level's own skip cuts off the levels below; only the finest is still connected.
    assert skips[-1].grad.abs().max() > 1e-4


def test_each_level_has_its_number_of_blocks_on_the_way_down_and_up():
    model, sides = unet(1, (4, 8, 12), (0, 1, 2), (1, 3, 2)), []
    for module in model.modules():
        if isinstance(module, ResidualBlock):
            module.register_forward_hook(lambda layer, inputs, output: sides.append(output.shape[-1]))
    with torch.no_grad():
        model(*inputs(1))
    assert sides == [14, 7, 7, 7, 7, 14, 14, 14, 28]


@pytest.mark.parametrize(SHAPE_NAMES, SHAPES)
def test_every_parameter_is_trained(patch_size, channels, down_blocks, up_blocks):
    model = unet(patch_size, channels, down_blocks, up_blocks)
    x_t, t, _ = inputs(11)
    model(x_t, t, torch.arange(11)).square().sum().backward()
    untrained = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert untrained == []
    queries_keys_values = model.attention.query_key_value.weight.grad.chunk(3)
    assert all(gradient.any() for gradient in queries_keys_values)


@pytest.mark.parametrize("part", [0, 1], ids=["scale", "shift"])
def test_time_and_label_scale_and_shift_in_every_residual_block(part):
    model = unet()
    blocks = [module for module in model.modules() if isinstance(module, ResidualBlock)]
    assert len(blocks) == 3 + 4
    with torch.no_grad():
        before = model(*inputs())
        for block in blocks:
            half = block.scale_shift.bias.chunk(2)[part]
            half.add_(0.5)
            assert (model(*inputs()) - before).abs().max() > 1e-3
            half.sub_(0.5)


@pytest.mark.parametrize("width", [4, 8, 48])
def test_every_timestep_has_an_embedding_of_its_own(width):
    embedding = timestep_embedding(torch.arange(10_000), width)
    assert embedding.shape == (10_000, width)
    assert embedding.abs().max() <= 1
    assert len(torch.unique(embedding, dim=0)) == 10_000
    assert torch.pdist(embedding[:500]).min() > 1e-3


def test_muon_gets_all_kernels_but_the_first_and_the_last():
    model = unet()
    inner = {id(kernel) for kernel in model.muon_parameters()}
    names = {name for name, p in model.named_parameters() if p.ndim == 4 and id(p) not in inner}
    assert names == {"stem.weight", "head.weight"}


def test_the_embedding_is_cosines_and_sines_of_falling_frequency():
    t = torch.tensor([0, 1, 250])
    frequencies = torch.tensor([1.0, 0.1, 0.01, 0.001])
    expected = torch.cat([(t[:, None] * frequencies).cos(), (t[:, None] * frequencies).sin()], dim=1)
    torch.testing.assert_close(timestep_embedding(t, 8), expected, rtol=0, atol=1e-4)
