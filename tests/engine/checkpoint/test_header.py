import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
from checkpoints import metadata_at

from mnistdiff.engine.checkpoint.describe import describe
from mnistdiff.engine.checkpoint.file import encode_checkpoint
from mnistdiff.engine.checkpoint.header import digest_of, digest_offset, read_checkpoint_file
from mnistdiff.engine.checkpoint.metadata import CheckpointMetadata, Fingerprint
from mnistdiff.errors import CheckpointError
from mnistdiff.settings import TrainSettings

HERE = Fingerprint(mnistdiff="1", torch="2", threads="3", device="cpu", layout="channels_last")
SETTINGS = TrainSettings(epochs=4, batch_size=10, seed=5)


def metadata(step=7, kind="training", losses=(0.5, 0.25)):
    return metadata_at(step, SETTINGS, 25, kind=kind, recent_losses=losses, epoch_loss_sum=0.5, fingerprint=HERE)


def arrays(*prefixes):
    return {f"{prefix}.{name}": np.ones((2, n), np.float32) for prefix in prefixes for name, n in (("a", 3), ("b", 5))}


TRAINING = encode_checkpoint(metadata(), arrays("model", "ema", "optimizer.exp_avg"))


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file.safetensors"
    path.write_bytes(TRAINING)
    return path


@pytest.mark.parametrize(("step", "epoch", "images_seen"), [(0, 0, 0), (2, 0, 20), (3, 1, 25), (7, 2, 60), (9, 3, 75)])
def test_epoch_images_and_seed_follow_from_the_step_and_the_settings(step, epoch, images_seen):
    found = metadata(step)
    assert (found.epoch, found.images_seen, found.seed) == (epoch, images_seen, 5)


def test_the_loss_is_the_mean_of_the_recent_ones():
    assert metadata().loss == 0.375
    assert metadata(0, losses=()).loss is None


def test_metadata_survive_the_way_through_their_json():
    values = json.loads(metadata().to_json("ab" * 32))
    assert values.pop("sha256") == "ab" * 32
    assert CheckpointMetadata.model_validate(values) == metadata()


def test_the_digest_is_that_of_the_file_with_its_own_digits_zeroed():
    start = digest_offset(TRAINING)
    zeroed = TRAINING[:start] + b"0" * 64 + TRAINING[start + 64 :]
    assert digest_of(TRAINING) == hashlib.sha256(zeroed).hexdigest()
    stated = TRAINING[start : start + 64]
    for digits in (stated, b"0" * 64, b"f" * 64):
        assert digest_of(TRAINING[:start] + digits + TRAINING[start + 64 :]) == stated.decode()
    assert digest_of(TRAINING[:-1] + b"\x01") != stated.decode()


def test_fingerprints_say_in_words_what_differs():
    assert HERE.differences(HERE) == []
    elsewhere = HERE.model_copy(update={"torch": "9", "device": "cuda"})
    assert HERE.differences(elsewhere) == ["torch was 2 and is 9", "device was cpu and is cuda"]


def test_a_description_tells_what_the_file_holds(path):
    found = describe(path).to_dict()
    assert found == {
        "path": str(path),
        "bytes": len(TRAINING),
        "format_version": 1,
        "kind": "training",
        "step": 7,
        "total_steps": 12,
        "epoch": 2,
        "images_seen": 60,
        "num_train_images": 25,
        "seed": 5,
        "class_names": tuple("0123456789"),
        "loss": 0.375,
        "parameters": 2 * 3 + 2 * 5,
        "has_ema": True,
        "has_raw": True,
        "settings": SETTINGS.model_dump(mode="json"),
        "fingerprint": HERE.model_dump(),
        "held_out": None,
        "sha256": digest_of(TRAINING),
        "digest_valid": True,
    }
    assert json.loads(json.dumps(found)) == {**found, "class_names": [*found["class_names"]]}


def test_averaged_weights_alone_are_described_as_such(path):
    path.write_bytes(encode_checkpoint(metadata(0, "weights", ()), arrays("ema")))
    found = describe(path)
    assert (found.kind, found.has_ema, found.has_raw, found.parameters, found.loss) == (
        "weights",
        True,
        False,
        16,
        None,
    )


def test_an_altered_weight_is_described_as_damage_and_refused_when_insisted_on(path):
    path.write_bytes(TRAINING[:-1] + b"\x01")
    found = describe(path)
    assert not found.digest_valid
    assert (found.step, found.parameters, found.sha256) == (7, 16, digest_of(TRAINING))
    with pytest.raises(CheckpointError, match="SHA-256"):
        read_checkpoint_file(path).require_valid()


def test_an_intact_file_passes_when_insisted_on(path):
    file = read_checkpoint_file(path)
    file.require_valid()
    assert file.metadata == metadata()
    assert file.shapes["model.a"] == (2, 3)


@pytest.mark.parametrize("shape", ["[2,-3]", "[2,1.5]", '[2,"3"]', "null", "7"])
def test_a_shape_that_is_none_is_refused(path, shape):
    head_end = 8 + int.from_bytes(TRAINING[:8], "little")
    head = TRAINING[8:head_end].replace(b'"shape":[2,3]', b'"shape":' + shape.encode())
    path.write_bytes(len(head).to_bytes(8, "little") + head + TRAINING[head_end:])
    with pytest.raises(CheckpointError, match="is corrupt"):
        read_checkpoint_file(path)


def test_a_shape_beyond_all_bounds_is_described_or_refused(path):
    """Its product has more digits than Python turns into text."""
    head_end = 8 + int.from_bytes(TRAINING[:8], "little")
    head = TRAINING[8:head_end].replace(b'"shape":[2,3]', b'"shape":[' + b",".join([b"9" * 4000] * 3) + b"]")
    path.write_bytes(len(head).to_bytes(8, "little") + head + TRAINING[head_end:])
    try:
        described = describe(path)
    except CheckpointError:
        return
    assert json.dumps(described.to_dict())


def test_describing_needs_neither_torch_nor_numpy(path):
    program = (
        "import sys; from pathlib import Path; from mnistdiff.engine.checkpoint.describe import describe;"
        "print(describe(Path(sys.argv[1])).step, {'torch', 'numpy', 'safetensors'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert done.stdout == "7 set()\n"
