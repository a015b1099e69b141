"""What is written is read, and nothing else is."""

import json
import os
import random
import re

import numpy as np
import pytest
import safetensors.numpy
import torch
from checkpoints import metadata_at, sealed

from mnistdiff.engine.checkpoint import header
from mnistdiff.engine.checkpoint.file import encode_checkpoint, read_checkpoint
from mnistdiff.engine.checkpoint.header import digest_of
from mnistdiff.engine.checkpoint.metadata import Fingerprint
from mnistdiff.errors import CheckpointError, DivergedError, NewerFormatError
from mnistdiff.settings import TrainSettings

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x1c\x00\x00\x00\x1c\x08\x00\x00\x00\x00"
TENSORS = {
    "model.head.weight": np.linspace(-1, 1, 24, dtype=np.float32).reshape(2, 3, 4),
    "ema.head.weight": np.full((2, 3, 4), 0.5, dtype=np.float32),
    "optimizer.exp_avg.head.weight": np.zeros((2, 3, 4), dtype=np.float32),
}
METADATA = metadata_at(
    7,
    TrainSettings(batch_size=10, seed=5, patch_size=4, channels=(8,)),
    25,
    kind="training",
    recent_losses=(0.5, 0.25),
    epoch_loss_sum=0.75,
    fingerprint=Fingerprint(mnistdiff="1", torch="2", threads="3", device="cpu", layout="channels_last"),
)
CONTENT = encode_checkpoint(METADATA, TENSORS)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.safetensors"


def read(path, content):
    path.write_bytes(content)
    return read_checkpoint(path)


def resealed(values=None, tensors=TENSORS, **changes):
    """The sample file with other metadata or other tensors."""
    return sealed({**json.loads(METADATA.to_json()), **changes} if values is None else values, tensors)


def with_settings(**changes):
    return {"settings": {**METADATA.settings.model_dump(mode="json"), **changes}}


def with_header(head: bytes, length: int | None = None) -> bytes:
    return (len(head) if length is None else length).to_bytes(8, "little") + head


def test_what_is_written_is_read(path):
    checkpoint = read(path, CONTENT)
    assert checkpoint.metadata == METADATA
    assert checkpoint.tensors.keys() == TENSORS.keys()
    for name, array in TENSORS.items():
        assert checkpoint.tensors[name].dtype == np.float32
        np.testing.assert_array_equal(checkpoint.tensors[name], array)
    np.testing.assert_array_equal(checkpoint.weights("ema")["head.weight"], TENSORS["ema.head.weight"])
    np.testing.assert_array_equal(checkpoint.weights("raw")["head.weight"], TENSORS["model.head.weight"])
    assert checkpoint.sha256 == digest_of(path.read_bytes())


def test_the_same_content_gives_the_same_bytes():
    assert encode_checkpoint(METADATA, dict(reversed(TENSORS.items()))) == CONTENT
    assert resealed() != CONTENT  # json.dumps with other separators: resealed() does not merely repeat the encoder
    assert len(re.findall(rb"[0-9a-f]{64}", CONTENT)) == 1


def test_a_view_is_written_as_it_looks(path):
    square = np.arange(16, dtype=np.float32).reshape(4, 4)
    tensors = read(path, encode_checkpoint(METADATA, {"model.a": square.T, "model.b": square[::2, ::-1]})).tensors
    np.testing.assert_array_equal(tensors["model.a"], square.T)
    np.testing.assert_array_equal(tensors["model.b"], square[::2, ::-1])


def test_a_flipped_bit_is_noticed_wherever_it_is(path):
    rng = random.Random(0)
    for position in {*range(0, len(CONTENT), 7), *range(9), len(CONTENT) - 1}:
        altered = bytearray(CONTENT)
        altered[position] ^= 1 << rng.randrange(8)
        with pytest.raises(CheckpointError):
            read(path, bytes(altered))


def test_a_torn_file_is_noticed_wherever_it_ends(path):
    for length in {*range(0, len(CONTENT), 29), *range(12), len(CONTENT) - 1}:
        with pytest.raises(CheckpointError):
            read(path, CONTENT[:length])


def test_a_header_nested_beyond_all_bounds_is_refused(path):
    head = CONTENT[8 : 8 + int.from_bytes(CONTENT[:8], "little")]
    with pytest.raises(CheckpointError, match="is corrupt"):
        read(path, with_header(head.replace(b"{", b'{"deep":' + b"[" * 100_000, 1)))


@pytest.mark.parametrize("more", [b"\0", b"\n", CONTENT])
def test_appended_bytes_are_noticed(path, more):
    with pytest.raises(CheckpointError, match="is corrupt"):
        read(path, CONTENT + more)


def pickled(path):
    torch.save({"weights": torch.zeros(3)}, path)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda path: b"", "not safetensors"),
        (lambda path: bytes(8), "not safetensors"),
        (lambda path: b"\xff" * 8, "not safetensors"),
        (lambda path: PNG, "not safetensors"),
        (lambda path: b"<!DOCTYPE html><html><body>404</body></html>", "not safetensors"),
        (pickled, "pickled"),
        (lambda path: b"\x80\x04\x95 a bare pickle", "pickled"),
        (lambda path: safetensors.numpy.save(TENSORS), "another program"),
        (lambda path: safetensors.numpy.save(TENSORS, {"format": "pt"}), "another program"),
        (lambda path: with_header(b"{" + b" " * 300_000 + b"}"), "300,002 bytes"),
        (lambda path: with_header(b"{}", 2**63), "9,223,372,036,854,775,808 bytes"),
        (lambda path: with_header(b"{" * 10_000), "another program"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_of_another_program_is_refused_for_what_it_is(path, content, said):
    with pytest.raises(CheckpointError, match=f"is not a mnistdiff checkpoint .*{said}") as refused:
        read(path, content(path))
    assert str(path) in refused.value.message
    assert refused.value.hint


def test_a_missing_file_is_refused(path):
    for missing in (path, path / "below", path.parent / "no" / "folder"):
        with pytest.raises(CheckpointError, match="there is no checkpoint at"):
            read_checkpoint(missing)
        path.touch()


def test_a_folder_a_pipe_and_a_device_are_refused_at_once(path):
    pipe = path.with_name("pipe")
    os.mkfifo(pipe)
    for other in (path.parent, pipe, "/dev/zero"):
        with pytest.raises(CheckpointError, match="is not a file but a folder or device"):
            read_checkpoint(path.parent / other)


def test_a_file_larger_than_any_checkpoint_is_refused_unread(path):
    with path.open("wb") as file:
        file.write(CONTENT)
        file.truncate(header.MAX_FILE_BYTES + 1)
    with pytest.raises(CheckpointError, match=f"{header.MAX_FILE_BYTES + 1:,} bytes"):
        read_checkpoint(path)


def test_a_newer_format_is_refused_as_such(path):
    with pytest.raises(NewerFormatError, match="format version 2"):
        read(path, resealed(format_version=2, invented_later=[1, 2, 3]))


@pytest.mark.parametrize(("name", "value"), [*zip(TENSORS, [np.nan, np.inf, -np.inf], strict=True)])
def test_a_value_that_is_not_finite_is_neither_written_nor_read(path, name, value):
    tensors = {key: array.copy() for key, array in TENSORS.items()}
    tensors[name][1, 2, 3] = value
    with pytest.raises(DivergedError, match=re.escape(name)):
        encode_checkpoint(METADATA, tensors)
    with pytest.raises(CheckpointError, match=f"not finite in {name!r}"):
        read(path, resealed(tensors=tensors))


@pytest.mark.parametrize("dtype", ["float16", "float64", "int32", "bool"])
def test_numbers_of_another_kind_are_refused(path, dtype):
    with pytest.raises(CheckpointError, match="is corrupt"):
        read(path, resealed(tensors={**TENSORS, "model.head.weight": np.ones((2, 3), dtype)}))


@pytest.mark.parametrize(
    "changes",
    [
        with_settings(channels=[10**9]),
        with_settings(channels=[]),
        with_settings(channels=[4] * 4),
        with_settings(up_blocks=(10**6, 10**6)),
        with_settings(embedding=10**9),
        with_settings(timesteps=10**12),
        with_settings(timesteps=1),
        with_settings(patch_size=3),
        with_settings(lr=float("nan")),
        with_settings(beta_end=1e-9),
        with_settings(seed=6),
        with_settings(unknown=1),
        {"settings": []},
        {"step": -1},
        {"step": 10**13},
        {"step": 7.5},
        {"epoch": 3},
        {"images_seen": 71},
        {"num_train_images": 0},
        {"num_train_images": 26},
        {"seed": 6},
        {"seed": -1},
        {"kind": "other"},
        {"recent_losses": [0.1] * 101},
        {"recent_losses": [float("inf")]},
        {"epoch_loss_sum": float("nan")},
        {"fingerprint": {}},
        {"fingerprint": {**METADATA.fingerprint.model_dump(), "torch": "x" * 81}},
        {"format_version": 0},
        {"invented": 1},
    ],
    ids=lambda changes: "-".join(changes.get("settings", changes)) if len(str(changes)) < 60 else "",
)
def test_metadata_that_cannot_be_true_are_refused_though_sealed(path, changes):
    with pytest.raises(CheckpointError, match="is corrupt"):
        read(path, resealed(**changes))


@pytest.mark.parametrize("name", [name for name in json.loads(METADATA.to_json()) if name != "sha256"])
def test_metadata_that_lack_a_field_are_refused_though_sealed(path, name):
    values = json.loads(METADATA.to_json())
    del values[name]
    with pytest.raises(CheckpointError):
        read(path, resealed(values))


@pytest.mark.parametrize(
    "values",
    [
        [{"sha256": "0" * 64}],
        {"inner": {"sha256": "0" * 64}},
        *({**json.loads(METADATA.to_json()), "format_version": version} for version in ("1", None, True, 1.0)),
    ],
    ids=str,
)
def test_metadata_of_another_form_are_refused_though_sealed(path, values):
    with pytest.raises(CheckpointError, match="is not a mnistdiff checkpoint"):
        read(path, resealed(values))


def test_weights_alone_may_be_stored_in_half_and_are_read_as_floats(path):
    weights = METADATA.model_copy(update={"kind": "weights"})
    halves = {"ema.head.weight": np.linspace(-1, 1, 24, dtype=np.float16).reshape(2, 3, 4)}
    array = read(path, encode_checkpoint(weights, halves)).tensors["ema.head.weight"]
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, halves["ema.head.weight"])
    with pytest.raises(CheckpointError, match="is corrupt"):
        read(path, encode_checkpoint(weights, {"ema.head.weight": np.zeros(3)}))


def test_a_model_of_an_entry_that_another_program_registered_is_no_damage(path):
    with pytest.raises(CheckpointError, match="the network 'theirs', which is not registered"):
        read(path, resealed(**with_settings(network="theirs")))


def test_the_usual_network_is_stored_as_before_it_had_a_name(path):
    """So earlier versions of the program read the file, and its bytes are the same."""
    assert b"network" not in CONTENT
    assert read(path, CONTENT).metadata.settings.network == "unet"
