"""The data sets in MNIST's format: Fashion-MNIST, KMNIST, EMNIST, QMNIST.

SHA-256 digests of the published ``.gz`` files of Fashion-MNIST, KMNIST and QMNIST are those of torchvision
(torchvision/prototype/datasets/_builtin/mnist.py, commit 1ec2509); the first two are also in TensorFlow Datasets
(url_checksums/fashion_mnist.txt, kmnist.txt). That of EMNIST's archive is from TensorFlow Datasets
(url_checksums/emnist.txt) and MLDatasets.jl, those of the files in it from Connor Olding's mnists, of which a second
project computed eight of twelve again. MD5 digests of uncompressed files are the git-annex keys of datasets-mila's
repositories, where the keys of the ``.gz`` files are torchvision's MD5 digests.
"""

import string

from mnistdiff.engine.data.class_names import DIGITS
from mnistdiff.engine.data.datasets import MNIST, DatasetSpec, Split
from mnistdiff.engine.data.idx_file import Archive, IdxFile
from mnistdiff.setting_types import DATASETS

_Files = dict[Split, tuple[IdxFile, IdxFile]]


def _mnist_files(*digests: tuple[str, str]) -> _Files:
    """Files of MNIST's names and sizes, with the SHA-256 of each ``.gz`` file and the MD5 of its content."""
    names = (file for pair in MNIST.files.values() for file in pair)
    files = [
        IdxFile(file.name, file.shape, gz_sha256=sha256, md5=md5)
        for file, (sha256, md5) in zip(names, digests, strict=True)
    ]
    return {"train": (files[0], files[1]), "test": (files[2], files[3])}


def _emnist_files(split: str, train: int, test: int, *digests: str) -> _Files:
    """Files of a split of EMNIST, with the SHA-256 of each ``.gz`` file."""
    found = iter(digests)

    def pair(part: Split, count: int) -> tuple[IdxFile, IdxFile]:
        """Images and labels of one split, with the next two digests."""
        name = f"emnist-{split}-{part}"
        return (
            IdxFile(f"{name}-images-idx3-ubyte", (count, 28, 28), gz_sha256=next(found)),
            IdxFile(f"{name}-labels-idx1-ubyte", (count,), gz_sha256=next(found)),
        )

    return {"train": pair("train", train), "test": pair("test", test)}


FASHION_MNIST = DatasetSpec(
    name="fashion-mnist",
    title="Fashion-MNIST",
    class_names=(
        *("t-shirt", "trouser", "pullover", "dress", "coat"),
        *("sandal", "shirt", "sneaker", "bag", "ankle-boot"),
    ),
    class_counts=(6_000,) * 10,
    class_aliases={"t-shirt/top": "t-shirt", "tshirt": "t-shirt", "top": "t-shirt", "trousers": "trouser"},
    fit="pad",
    files=_mnist_files(
        ("3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84", "f4a8712d7a061bf5bd6d2ca38dc4d50a"),
        ("a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845", "9018921c3c673c538a1fc5bad174d6f9"),
        ("346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073", "8181f5470baa50b63fa0f6fddb340f0a"),
        ("67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5", "15d484375f8d13e6eb1aabb0c3f46965"),
    ),
    torchvision_name="FashionMNIST",
    # The authors' repository: torchvision lists an address of http alone.
    mirrors=("https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",),
)
_ROMANISED = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
KMNIST = DatasetSpec(
    name="kmnist",
    title="KMNIST",
    class_names=tuple("おきすつなはまやれを"),
    class_counts=(6_000,) * 10,
    class_aliases=dict(zip(_ROMANISED, "おきすつなはまやれを", strict=True)),
    fit="pad",
    files=_mnist_files(
        ("51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4", "92be26ec9822e900ac425d0a0aa84ced"),
        ("e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17", "949e75301f8813e0dc5800dcc320fc52"),
        ("edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5", "bf305b8cd328700fbc17f5acbc2856d2"),
        ("20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c", "9f55f451c0988b028eccdf7d5cc265ab"),
    ),
    torchvision_name="KMNIST",
    mirrors=("https://codh.rois.ac.jp/kmnist/dataset/kmnist/",),  # torchvision's address, over https
)

_EMNIST_ARCHIVE = Archive(
    "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",
    561_753_746,
    "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e",
    "gzip/",
)
# Cohen et al. 2017 (arXiv 1702.05373): all classes of these three have equally many images.
EMNIST_LETTERS = DatasetSpec(
    name="emnist-letters",
    title="EMNIST letters",
    class_names=tuple(string.ascii_uppercase),  # each with the lower case
    class_counts=(4_800,) * 26,
    ink_size=24,
    files=_emnist_files(
        *("letters", 124_800, 20_800),
        "6288f418a917e007bf5fddb823a2dc7a5c6a35031401b93292a539cb12bd881f",
        "9759af91ea6bccdf07a6040fd085861f2ec88e37f7c3f5760f6feb57106fbe5c",
        "50f0e93d75b99b463e9760b8345866f22587fa2c2fba472730a5ba09c693412d",
        "924955c31fe7fd809b7303b5c0141282955f4b8390c74cdfd5d80435e0f4b4cb",
    ),
    first_label=1,
    is_transposed=True,
    torchvision_name="EMNIST",
    archive=_EMNIST_ARCHIVE,
)
EMNIST_BALANCED = DatasetSpec(
    name="emnist-balanced",
    title="EMNIST balanced",
    # Lower-case letters that look as their upper case are in one class with it (emnist-balanced-mapping.txt).
    class_names=(*DIGITS, *string.ascii_uppercase, *"abdefghnqrt"),
    class_counts=(2_400,) * 47,
    ink_size=24,
    files=_emnist_files(
        *("balanced", 112_800, 18_800),
        "74295e75e4e9fa2c102147460ee7eb763653d5132d883a84fb88932bfb8d2db4",
        "b46d41e5156a0a8aaaa4d18979fdd1588850fa8571018acffd5d93b325a7d6ed",
        "117fc12b015e37ea98bfb2cbba3f77c3782c056cdbd219b87abfc8661d7135db",
        "a67cac948379b67270b9a4d0a01c8ec661598accf2f2b1964340b7c83cb175cd",
    ),
    is_transposed=True,
    torchvision_name="EMNIST",
    archive=_EMNIST_ARCHIVE,
)
EMNIST_DIGITS = DatasetSpec(
    name="emnist-digits",
    title="EMNIST digits",
    class_names=DIGITS,
    class_counts=(24_000,) * 10,
    ink_size=24,
    files=_emnist_files(
        *("digits", 240_000, 40_000),
        "f7c95004d14d81af89522e67d8f0c781dfb3bd544181c81bfe1eb6b41c35b726",
        "6638a6ff5fe2eefd9cca2471995b46c82986b8e4b2a70d2f5ce8e05d7edb319e",
        "20ebe43509264f7639d37c835a3f0b009e90b29e00a099a03101abe1644a3f63",
        "bad1834c45d5988e270b99d43b13edc3fd898f658ffbc2caf2846ef27f7b05b0",
    ),
    is_transposed=True,
    torchvision_name="EMNIST",
    archive=_EMNIST_ARCHIVE,
)
QMNIST = DatasetSpec(
    name="qmnist",
    title="QMNIST",
    class_names=DIGITS,
    class_counts=MNIST.class_counts,  # its training images are those of MNIST, one by one (its README, 2.3)
    files={
        "train": (
            IdxFile(
                "qmnist-train-images-idx3-ubyte",
                (60_000, 28, 28),
                gz_sha256="9e26a7bf1683614e065d7b76460ccd52807165b3f22561fb782bd9f38c52b51d",
            ),
            IdxFile(
                "qmnist-train-labels-idx2-int",
                (60_000, 8),
                gz_sha256="2c05dc77f6b916b38e455e97ab129a42a444f3dbef09b278a366f82904e0dd9f",
                element="int32",
            ),
        ),
        "test": (
            IdxFile(
                "qmnist-test-images-idx3-ubyte",
                (60_000, 28, 28),
                gz_sha256="43fc22bf7498b8fc98de98369d72f752d0deabc280a43a7bcc364ab19e57b375",
            ),
            IdxFile(
                "qmnist-test-labels-idx2-int",
                (60_000, 8),
                gz_sha256="9fbcbe594c3766fdf4f0b15c5165dc0d1e57ac604e01422608bb72c906030d06",
                element="int32",
            ),
        ),
    },
    torchvision_name="QMNIST",
    mirrors=("https://raw.githubusercontent.com/facebookresearch/qmnist/master/",),
)

for _spec in (FASHION_MNIST, KMNIST, EMNIST_LETTERS, EMNIST_BALANCED, EMNIST_DIGITS, QMNIST):
    DATASETS.add(_spec.name, _spec)
