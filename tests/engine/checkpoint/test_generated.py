"""Checkpoints that chance has damaged, and forged ones with a valid digest."""

import hashlib
import json
import random
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints import metadata_at, sealed
from hostile import framed_and_sealed, parts_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mnistdiff.engine.checkpoint import header
from mnistdiff.engine.checkpoint.describe import describe
from mnistdiff.engine.checkpoint.file import encode_checkpoint, read_checkpoint
from mnistdiff.engine.checkpoint.metadata import DIGEST_PLACEHOLDER, Fingerprint
from mnistdiff.engine.training.state import TrainState
from mnistdiff.errors import CheckpointError
from mnistdiff.settings import TrainSettings

SETTINGS = TrainSettings(
    batch_size=10,
    timesteps=20,
    beta_schedule="cosine",
    patch_size=4,
    channels=(4,),
    down_blocks=(0,),
    up_blocks=(0,),
    embedding=4,
)
CPU = torch.device("cpu")


def checkpoint(step, seed):
    """A whole state of a network of a few weights."""
    state = TrainState.initial(SETTINGS.model_copy(update={"seed": seed}), CPU)
    metadata = metadata_at(
        step,
        SETTINGS.model_copy(update={"seed": seed}),
        25,
        kind="training",
        recent_losses=(0.5, 0.25),
        epoch_loss_sum=0.75,
        fingerprint=Fingerprint(mnistdiff="1", torch="2", threads="3", device="cpu", layout="channels_last"),
    )
    return encode_checkpoint(metadata, state.to_tensors())


WHOLE, OTHER = checkpoint(7, 0), checkpoint(9, 1)


def damaged(chance):
    """The whole file, after what happens to files on disks and on the way through networks."""
    content, size = bytearray(WHOLE), len(WHOLE)
    start, length = chance.randrange(size), chance.choice([1, 4, 64, 512, 4096])
    kind = chance.randrange(7)
    if kind == 0:
        for _ in range(chance.choice([1, 1, 1, 2, 8])):
            content[chance.randrange(size)] ^= 1 << chance.randrange(8)
    elif kind == 1:
        content[start : start + length] = chance.randbytes(len(content[start : start + length]))
    elif kind == 2:
        content[start : start + length] = bytes(len(content[start : start + length]))
    elif kind == 3:
        del content[start:]
    elif kind == 4:
        content += chance.choice([b"\0", b"\n", chance.randbytes(length), WHOLE])
    elif kind == 5:
        content[start:] = OTHER[start:]
    else:
        del content[start : start + length]
    return bytes(content)


@pytest.mark.parametrize("trials", [3_000, pytest.param(1_000_000, marks=pytest.mark.soak)])
def test_no_damage_goes_unnoticed(monkeypatch, trials):
    """In memory: opening a file takes longer than all the rest."""
    chance, accepted, tried = random.Random(trials), 0, 0
    current = [b""]
    monkeypatch.setattr(header, "_read_regular_file", lambda path: current[0])
    while tried < trials:
        content = damaged(chance)
        if content in (WHOLE, OTHER):
            continue
        tried += 1
        current[0] = content
        with suppress(CheckpointError):
            read_checkpoint(Path("file"))
            accepted += 1
    assert accepted == 0


NUMBERS = st.one_of(
    st.integers(-(10**30), 10**30),
    st.sampled_from(
        [0, 1, -1, 2**31, 2**63, 2**64, 10**400, True, False, 0.5, -0.0, 1e308, float("nan"), float("inf")]
    ),
    st.floats(allow_nan=True, allow_infinity=True),
)
VALUES = st.recursive(
    st.one_of(st.none(), NUMBERS, st.text(max_size=20), st.sampled_from(["\x1b[2J", "../../x", "\ud800", "training"])),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=6,
)


def places(value, path=()):
    """The way to everything in a JSON value."""
    yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*path, key))


@st.composite
def mutated(draw, value):
    """A JSON value with one to three things in it replaced, deleted, added or doubled."""
    value = json.loads(json.dumps(value))
    for _ in range(draw(st.integers(1, 3))):
        way = draw(st.sampled_from(sorted(places(value), key=str)))
        if not way:
            continue
        parent = value
        for key in way[:-1]:
            parent = parent[key]
        what = draw(st.sampled_from(["replace", "replace", "replace", "delete", "add"]))
        if what == "replace":
            parent[way[-1]] = draw(VALUES)
        elif what == "delete":
            del parent[way[-1]]
        elif isinstance(parent, dict):
            parent[draw(st.text(max_size=10))] = draw(VALUES)
        else:
            parent.append(draw(VALUES))
    return value


class Content(bytes):
    """The bytes of a file, which would fill the screen; the file itself is left where the test wrote it."""

    def __repr__(self):
        return f"<{len(self)} bytes, SHA-256 {hashlib.sha256(self).hexdigest()}>"


@st.composite
def forged(draw):
    """A file with a valid digest whose metadata, index or weights are anything."""
    values, index, tensors = parts_of(WHOLE)
    kind = draw(st.sampled_from(["metadata", "metadata", "index", "weights"]))
    if kind == "metadata":
        changed = draw(mutated(values))
        # Without the digest's place nothing can be sealed: what is left is another program's file.
        return sealed({**changed, "sha256": DIGEST_PLACEHOLDER}, tensors)
    if kind == "index":
        body = WHOLE[8 + int.from_bytes(WHOLE[:8], "little") :]
        values["sha256"] = DIGEST_PLACEHOLDER
        entries = json.dumps(draw(mutated(index)))[1:-1]
        return framed_and_sealed("," + entries if entries else "", json.dumps(values, separators=(",", ":")), body)
    changed = {name: array.copy() for name, array in tensors.items()}
    name = draw(st.sampled_from(sorted(changed)))
    what = draw(st.sampled_from(["value", "shape", "kind", "missing", "added"]))
    if what == "value":
        changed[name].flat[0] = draw(st.floats(width=32))
    elif what == "shape":
        changed[name] = changed[name].reshape(draw(st.sampled_from([(1, -1), (-1,), (-1, 1, 1, 1, 1)])))
    elif what == "kind":
        changed[name] = changed[name].astype(draw(st.sampled_from(["float64", "float16", "int8", "uint8", "bool"])))
    elif what == "missing":
        del changed[name]
    else:
        changed[draw(st.text("abcdefghij._", min_size=1, max_size=10))] = np.zeros(draw(st.integers(0, 5)), np.float32)
    return sealed(values, changed)


def forgery_is_refused_or_a_model_of_the_schema(path, content):
    path.write_bytes(content)
    began = time.process_time()
    with suppress(CheckpointError):
        describe(path)
    with suppress(CheckpointError):
        checkpoint = read_checkpoint(path)
        metadata = checkpoint.metadata
        TrainState.from_tensors(checkpoint.tensors, metadata.settings, CPU, step=metadata.step, source="file")
        assert TrainSettings.model_validate(metadata.settings.model_dump()) == metadata.settings
    assert time.process_time() - began < 5


# The time is bounded below, in seconds of this process: in Hypothesis's own a pause of the machine would count.
LIMITS = {"deadline": None, "suppress_health_check": list(HealthCheck), "derandomize": True, "database": None}


@settings(max_examples=120, **LIMITS)
@given(content=forged().map(Content))
def test_a_forged_file_is_refused_or_a_model_of_the_schema(tmp_path_factory, content):
    forgery_is_refused_or_a_model_of_the_schema(tmp_path_factory.getbasetemp() / "forged", content)


@pytest.mark.soak
@settings(max_examples=100_000, **LIMITS)
@given(content=forged().map(Content))
def test_a_hundred_thousand_forged_files(tmp_path_factory, content):
    forgery_is_refused_or_a_model_of_the_schema(tmp_path_factory.getbasetemp() / "forged", content)
