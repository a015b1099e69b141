"""The conditional U-Net: (x_t, t, label) -> prediction.

The shape is that of Ho et al. 2020 (Appendix B): residual blocks with group normalisation, self-attention at the
lowest resolution, skip connections. The stem folds squares of pixels into channels, since on a CPU most of the time
would otherwise go into the finest level.
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from mnistdiff.settings import NULL_LABEL, TrainSettings

_MAX_PERIOD = 10_000.0


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


def _group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(num_groups=math.gcd(8, channels), num_channels=channels)


def _zero(layer: nn.Conv2d) -> nn.Conv2d:
    """Start a branch as a no-op, so that a deep network starts as a shallow one."""
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


class ResidualBlock(nn.Module):
    """Two convolutions beside an identity; time and label scale and shift the second normalisation."""

    def __init__(self, in_channels: int, out_channels: int, embedding: int) -> None:
        super().__init__()
        self.norm_1 = _group_norm(in_channels)
        self.conv_1 = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)
        self.scale_shift = nn.Linear(embedding, 2 * out_channels)
        self.norm_2 = _group_norm(out_channels)
        self.conv_2 = _zero(nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1))
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, kernel_size=1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """(B, C_in, H, W), (B, E) -> (B, C_out, H, W)."""
        h = self.conv_1(F.silu(self.norm_1(x)))
        scale, shift = self.scale_shift(embedding)[:, :, None, None].chunk(2, dim=1)  # (B, C_out, 1, 1) each
        h = self.norm_2(h) * (1 + scale) + shift
        h = self.conv_2(F.silu(h))
        out: Tensor = self.shortcut(x) + h
        return out


class SelfAttention(nn.Module):
    """Every place of the image looks at every other."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = 4
        self.norm = _group_norm(channels)
        self.query_key_value = nn.Conv2d(channels, 3 * channels, kernel_size=1)
        self.project = _zero(nn.Conv2d(channels, channels, kernel_size=1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        batch, channels, height, width = x.shape
        qkv = self.query_key_value(self.norm(x)).reshape(batch, 3, self.heads, channels // self.heads, height * width)
        query, key, value = qkv.transpose(-1, -2).unbind(dim=1)  # (B, heads, H W, C / heads)
        mixed = F.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.project(mixed.transpose(-1, -2).reshape(batch, channels, height, width))
        return x + out


class Downsample(nn.Conv2d):
    """Halve height and width."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, kernel_size=3, stride=2, padding=1)


class Upsample(nn.Module):
    """Double height and width."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel_size=3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, 2 H, 2 W)."""
        out: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return out


class ConditionalUNet(nn.Module):
    """Predicts the noise (or v) in a noisy digit, given the timestep and the label.

    Args:
        channels: of each level, finest first; each a multiple of 4.
        blocks: residual blocks per level on the way down; one more on the way up.
        embedding: width of the embedding of time and label.
        patch_size: side of the squares of pixels that become channels.
    """

    def __init__(self, *, channels: tuple[int, ...], blocks: int, embedding: int, patch_size: int) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.time_width = channels[0]
        self.embed_time = nn.Sequential(
            nn.Linear(self.time_width, embedding), nn.SiLU(), nn.Linear(embedding, embedding)
        )
        # Uniform of variance 1: the usual normal_ makes torch import its compiler when a network is laid out on the
        # meta device, which took a third of the time of drawing a digit.
        label_weights = torch.empty(NULL_LABEL + 1, embedding).uniform_(-math.sqrt(3), math.sqrt(3))
        self.embed_label = nn.Embedding(NULL_LABEL + 1, embedding, _weight=label_weights)
        self.stem = nn.Conv2d(patch_size**2, channels[0], kernel_size=3, padding=1)

        self.down = nn.ModuleList()
        skips, width = [channels[0]], channels[0]
        for level, level_channels in enumerate(channels):
            if level > 0:
                self.down.append(Downsample(width))
                skips.append(width)
            for _ in range(blocks):
                self.down.append(ResidualBlock(width, level_channels, embedding))
                width = level_channels
                skips.append(width)

        self.middle_1 = ResidualBlock(width, width, embedding)
        self.middle_attention = SelfAttention(width)
        self.middle_2 = ResidualBlock(width, width, embedding)

        self.up = nn.ModuleList()
        for level, level_channels in reversed(list(enumerate(channels))):
            for _ in range(blocks + 1):
                self.up.append(ResidualBlock(width + skips.pop(), level_channels, embedding))
                width = level_channels
            if level > 0:
                self.up.append(Upsample(width))

        self.norm = _group_norm(width)
        self.head = _zero(nn.Conv2d(width, patch_size**2, kernel_size=3, padding=1))

    @classmethod
    def from_settings(cls, settings: TrainSettings) -> "ConditionalUNet":
        """The network that the settings describe."""
        return cls(
            channels=settings.channels,
            blocks=settings.blocks,
            embedding=settings.embedding,
            patch_size=settings.patch_size,
        )

    @property
    def num_parameters(self) -> int:
        """How many numbers are trained."""
        return sum(parameter.numel() for parameter in self.parameters())

    def forward(self, x_t: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        """Predict for a batch in which each image has its own timestep and label.

        Args:
            x_t: noisy images, shape (B, 1, 28, 28).
            t: timesteps in 0 ... T - 1, shape (B,).
            labels: digits 0 ... 9, or 10 for no label, shape (B,).

        Returns:
            the predicted noise or v, shape (B, 1, 28, 28).
        """
        embedding = F.silu(self.embed_time(timestep_embedding(t, self.time_width)) + self.embed_label(labels))
        x = self.stem(F.pixel_unshuffle(x_t, self.patch_size))
        skips = [x]
        for layer in self.down:
            x = layer(x, embedding) if isinstance(layer, ResidualBlock) else layer(x)
            skips.append(x)
        x = self.middle_2(self.middle_attention(self.middle_1(x, embedding)), embedding)
        for layer in self.up:
            x = layer(torch.cat([x, skips.pop()], dim=1), embedding) if isinstance(layer, ResidualBlock) else layer(x)
        out: Tensor = self.head(F.silu(self.norm(x)))
        return F.pixel_shuffle(out, self.patch_size)
