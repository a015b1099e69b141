"""The network ``unet``: a conditional U-Net, (x_t, t, labels) -> prediction.

Its architecture is that of Ho et al. 2020 (Appendix B): residual blocks with group normalisation, self-attention at the
lowest resolution, skip connections. It is made to be trained on a CPU: the layers that change the width or the
resolution are convolutions without overlap, so that nearly all multiplications are those of the residual blocks, of
which the encoder may have none at the finest level.
"""

import itertools
import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from mnistdiff.engine.network.build import AUGMENTATION_NUMBERS, Network
from mnistdiff.setting_types import NETWORKS
from mnistdiff.settings import TrainSettings

_MAX_PERIOD = 10_000.0
_TIME_WIDTH = 64


def timestep_embedding(t: Tensor, width: int) -> Tensor:
    """Sinusoids of the timestep (Vaswani et al. 2017, Section 3.5; arXiv 1706.03762).

    Args:
        t: timesteps, shape (B,).
        width: of the embedding, even.

    Returns:
        shape (B, width), in [-1, 1].
    """
    half = width // 2
    frequencies = torch.exp(-math.log(_MAX_PERIOD) / half * torch.arange(half, dtype=torch.float32, device=t.device))
    angles = t[:, None].float() * frequencies  # (B, width / 2)
    return torch.cat([angles.cos(), angles.sin()], dim=1)


class GroupNorm(nn.GroupNorm):
    """Group normalisation in up to 8 groups.

    Attributes:
        by_rows: compute it as a layer normalisation: ONNX Runtime has no kernel for the former, and then samples in
            three quarters of the time.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(num_groups=math.gcd(8, channels), num_channels=channels)
        self.by_rows = False

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W), in float32: its statistics need that, and a CPU is slow at it in bfloat16."""
        x = x.float()
        if not self.by_rows:
            return super().forward(x)
        rows = x.reshape(x.shape[0], self.num_groups, -1)  # (B, groups, C / groups H W)
        normalised = F.layer_norm(rows, rows.shape[2:], eps=self.eps).reshape(x.shape)
        return normalised * self.weight[:, None, None] + self.bias[:, None, None]


def _zero(layer: nn.Conv2d) -> nn.Conv2d:
    """Initialise the last layer of a residual branch with zeros: the branch then starts as a no-op."""
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


class ResidualBlock(nn.Module):
    """Two convolutions and a skip connection; time and label scale and shift the second normalisation."""

    def __init__(self, channels: int, embedding: int) -> None:
        super().__init__()
        self.norm_1 = GroupNorm(channels)
        self.conv_1 = nn.Conv2d(channels, channels, kernel_size=3, padding=1)
        self.scale_shift = nn.Linear(embedding, 2 * channels)
        self.norm_2 = GroupNorm(channels)
        self.conv_2 = _zero(nn.Conv2d(channels, channels, kernel_size=3, padding=1))

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """(B, C, H, W), (B, E) -> (B, C, H, W)."""
        h = self.conv_1(F.silu(self.norm_1(x)))
        scale, shift = self.scale_shift(embedding)[:, :, None, None].chunk(2, dim=1)  # (B, C, 1, 1) each
        h = self.norm_2(h) * (1 + scale) + shift
        out: Tensor = x + self.conv_2(F.silu(h))
        return out


class Level(nn.ModuleList):
    """A sequence of residual blocks of one width and resolution; without blocks it is the identity."""

    def __init__(self, channels: int, blocks: int, embedding: int) -> None:
        super().__init__(ResidualBlock(channels, embedding) for _ in range(blocks))

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """(B, C, H, W), (B, E) -> (B, C, H, W)."""
        for block in self:
            x = block(x, embedding)
        return x


def _attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Scaled dot-product attention in float32, which on a CPU is faster than in bfloat16."""
    if query.dtype == torch.float32:
        return F.scaled_dot_product_attention(query, key, value)
    with torch.autocast(query.device.type, enabled=False):
        return F.scaled_dot_product_attention(query.float(), key.float(), value.float())


class SelfAttention(nn.Module):
    """Self-attention over all positions of the image, with 4 heads."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = 4
        self.norm = GroupNorm(channels)
        self.query_key_value = nn.Conv2d(channels, 3 * channels, kernel_size=1)
        self.project = _zero(nn.Conv2d(channels, channels, kernel_size=1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        batch, channels, height, width = x.shape
        qkv = self.query_key_value(self.norm(x)).reshape(batch, 3, self.heads, channels // self.heads, height * width)
        query, key, value = qkv.transpose(-1, -2).unbind(dim=1)  # (B, heads, H W, C / heads)
        mixed = _attention(query, key, value)
        out: Tensor = self.project(mixed.transpose(-1, -2).reshape(batch, channels, height, width))
        return x + out


class Upsample(nn.Module):
    """Double height and width by a pixel shuffle, and merge the skip connection of this level."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(in_channels, 4 * out_channels, kernel_size=1)
        self.merge = nn.Conv2d(2 * out_channels, out_channels, kernel_size=1)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(B, C_in, H, W), (B, C_out, 2 H, 2 W) -> (B, C_out, 2 H, 2 W)."""
        x = F.pixel_shuffle(self.expand(x), upscale_factor=2)
        out: Tensor = self.merge(torch.cat([x, skip], dim=1))
        return out


@NETWORKS.register("unet")
class ConditionalUNet(Network):
    """A U-Net that is conditioned on the timestep and the label.

    Args:
        settings: with ``channels`` of each level, ``down_blocks`` and ``up_blocks`` of the encoder and the decoder,
            the width ``embedding`` of time and label, and the ``patch_size`` that the stem folds into channels.
    """

    def __init__(self, settings: TrainSettings) -> None:
        super().__init__()
        channels, embedding, patch_size = settings.channels, settings.embedding, settings.patch_size
        down_blocks, up_blocks = settings.blocks_by_level()
        num_labels = settings.spec.num_classes + 1  # one means "no label"
        self.patch_size = patch_size
        self.embed_time = nn.Sequential(nn.Linear(_TIME_WIDTH, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        # Uniform of variance 1: the default normal_ makes torch import its compiler when a network is built on the
        # meta device, which took a third of the time of sampling a digit.
        label_weights = torch.empty(num_labels, embedding).uniform_(-math.sqrt(3), math.sqrt(3))
        self.embed_label = nn.Embedding(num_labels, embedding, _weight=label_weights)
        self.stem = nn.Conv2d(patch_size**2, channels[0], kernel_size=3, padding=1)

        steps = list(itertools.pairwise(channels))
        self.down = nn.ModuleList(
            Level(width, blocks, embedding) for width, blocks in zip(channels, down_blocks, strict=True)
        )
        self.downsample = nn.ModuleList(nn.Conv2d(fine, coarse, kernel_size=2, stride=2) for fine, coarse in steps)
        self.attention = SelfAttention(channels[-1])
        self.upsample = nn.ModuleList(Upsample(coarse, fine) for fine, coarse in steps)
        self.up = nn.ModuleList(
            Level(width, blocks, embedding) for width, blocks in zip(channels, up_blocks, strict=True)
        )
        self.norm = GroupNorm(channels[0])
        self.head = _zero(nn.Conv2d(channels[0], patch_size**2, kernel_size=3, padding=1))

    def muon_parameters(self) -> list[nn.Parameter]:
        """The kernels of all convolutions but the first and the last, which read and write pixels."""
        ends = {id(self.stem.weight), id(self.head.weight)}
        return [p for p in self.parameters() if p.ndim == 4 and id(p) not in ends]

    def add_augmentation(self) -> None:
        """Add the numbers of the augmentation, times a matrix that starts at zero, to the embedding."""
        self.augmentation = nn.Linear(AUGMENTATION_NUMBERS, self.embed_label.embedding_dim, bias=False)
        nn.init.zeros_(self.augmentation.weight)

    def label_table(self) -> str:
        """The label embeddings."""
        return "embed_label.weight"

    def for_export(self) -> nn.Module:
        """This network with its group normalisation in a form that ONNX Runtime computes fast."""
        for module in self.modules():
            if isinstance(module, GroupNorm):
                module.by_rows = True
        return self

    def forward(self, x_t: Tensor, t: Tensor, labels: Tensor, augmentation: Tensor | None = None) -> Tensor:
        """Predict for a batch: (B, 1, H, W), (B,), (B,), in training (B, 5) -> (B, 1, H, W)."""
        embedding = self.embed_time(timestep_embedding(t, _TIME_WIDTH)) + self.embed_label(labels)
        if augmentation is not None:
            embedding = embedding + self.augmentation(augmentation)
        embedding = F.silu(embedding)
        x = self.stem(F.pixel_unshuffle(x_t, self.patch_size))
        skips: list[Tensor] = []
        for number, level in enumerate(self.down):
            if number > 0:
                skips.append(x)
                x = self.downsample[number - 1](x)
            x = level(x, embedding)
        x = self.attention(x)
        for number, level in reversed(list(enumerate(self.up))):
            x = level(x, embedding)
            if number > 0:
                x = self.upsample[number - 1](x, skips.pop())
        out: Tensor = self.head(F.silu(self.norm(x)))
        return F.pixel_shuffle(out, self.patch_size)
