"""Two small image classifiers of different architectures, so that they make different errors.

Most of the computation is at 14x14 and 7x7 pixels: an epoch of 60,000 images takes about a minute on one core.
"""

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

NUM_FEATURES = 128


class ConvClassifier(nn.Module):
    """A stack of convolutions and poolings, after Simonyan & Zisserman 2015 (arXiv 1409.1556)."""

    def __init__(self, num_classes: int, image_size: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_conv(1, 16, pool=2),  # (B, 16, 14, 14) of (B, 1, 28, 28)
            *_conv(16, 32),
            *_conv(32, 32, pool=2),  # (B, 32, 7, 7)
            *_conv(32, 64),
            *_conv(64, 64, pool=2),  # (B, 64, 3, 3)
            *_conv(64, 128),
            nn.Flatten(),
            nn.Linear(128 * (image_size // 8) ** 2, NUM_FEATURES, bias=False),
            nn.BatchNorm1d(NUM_FEATURES),
            nn.ReLU(inplace=True),
        )
        self.head = nn.Linear(NUM_FEATURES, num_classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images in [0, 1], shape (B, 1, H, W) -> logits (B, num_classes) and features (B, 128), at least 0."""
        features = self.body(images)
        return self.head(features), features


class ResidualClassifier(nn.Module):
    """Residual blocks and global average pooling, after He et al. 2016 (arXiv 1512.03385)."""

    def __init__(self, num_classes: int, image_size: int) -> None:
        del image_size  # pooling is global
        super().__init__()
        self.body = nn.Sequential(
            *_conv(1, 24, kernel_size=5, stride=2),  # (B, 24, 14, 14) of (B, 1, 28, 28)
            _Block(24, 24),
            _Block(24, 48, stride=2),  # (B, 48, 7, 7)
            _Block(48, NUM_FEATURES, stride=2),  # (B, 128, 4, 4)
        )
        self.head = nn.Linear(NUM_FEATURES, num_classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images in [0, 1], shape (B, 1, H, W) -> logits (B, num_classes) and features (B, 128), at least 0."""
        features = self.body(images).mean(dim=(2, 3))
        return self.head(features), features


class _Block(nn.Module):
    """Two convolutions with a skip connection: the identity, or a 1x1 convolution where the shape changes."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            *_conv(in_channels, out_channels, stride=stride),
            nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.shortcut = nn.Sequential()  # the identity
        if in_channels != out_channels or stride > 1:
            self.shortcut.append(nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False))
            self.shortcut.append(nn.BatchNorm2d(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) -> (B, C_out, H / stride, W / stride)."""
        return F.relu(self.shortcut(x) + self.branch(x))


def _conv(
    in_channels: int, out_channels: int, *, kernel_size: int = 3, stride: int = 1, pool: int = 1
) -> tuple[nn.Module, ...]:
    """A convolution (without bias, which batch normalisation would cancel), batch normalisation and a ReLU."""
    return (
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2, bias=False),
        # Pooling before the normalisation, a third of the cost of training, makes that four times as fast.
        *([nn.MaxPool2d(pool)] if pool > 1 else []),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )
