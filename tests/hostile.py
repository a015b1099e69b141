"""Files made to break a reader of checkpoints: each a function that makes one at a path, from a whole checkpoint.

Those with ``canary`` in their hands would make that file if anything in them were executed.
"""

import gzip
import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from checkpoints import altered, sealed

from mnistdiff.engine.checkpoint.header import digest_of, digest_offset
from mnistdiff.engine.checkpoint.metadata import DIGEST_PLACEHOLDER, METADATA_KEY

ESCAPE = "\x1b[2J\x1b]0;owned\x07"
Maker = Callable[[Path, bytes, Path], None]


class _Calls:
    """What unpickling turns into a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.reduced = function, arguments

    def __reduce__(self) -> Any:
        return self.reduced


def framed(head: bytes, body: bytes = b"") -> bytes:
    """A safetensors file of any head."""
    return len(head).to_bytes(8, "little") + head + body


def framed_and_sealed(index: str, metadata: str, body: bytes = b"") -> bytes:
    """A file whose head is ``index`` with ``metadata`` in it, both written as they are, with a valid digest."""
    stored = json.dumps(metadata)
    content = bytearray(framed(f'{{"__metadata__":{{"{METADATA_KEY}":{stored}}}{index}}}'.encode(), body))
    try:
        start = digest_offset(bytes(content))
    except AssertionError:
        return bytes(content)
    content[start : start + 64] = digest_of(bytes(content)).encode()
    return bytes(content)


def parts_of(content: bytes) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The metadata, the index and the tensors of a checkpoint."""
    length = int.from_bytes(content[:8], "little")
    index = json.loads(content[8 : 8 + length])
    values = json.loads(index.pop("__metadata__")[METADATA_KEY])
    return values, index, safetensors.numpy.load(content)


def _torch_zip(payload: bytes, *, compression: int = zipfile.ZIP_STORED, data: bytes = b"") -> bytes:
    """What torch.save writes: a zip with a pickle in it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("archive/data.pkl", payload)
        archive.writestr("archive/version", "3\n")
        if data:
            archive.writestr("archive/data/0", data)
    return file.getvalue()


def _tar(payload: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        entry = tarfile.TarInfo("../pickle")
        entry.size = len(payload)
        archive.addfile(entry, io.BytesIO(payload))
    return file.getvalue()


def _bytes(make: Callable[[bytes], bytes]) -> Maker:
    return lambda path, whole, canary: path.write_bytes(make(whole)) and None


def _pickled(make: Callable[[bytes], bytes], function: str = "os.system") -> Maker:
    def write(path: Path, whole: bytes, canary: Path) -> None:
        calls = {
            "os.system": _Calls(os.system, f"touch '{canary}'"),
            "exec": _Calls(exec, f"open({str(canary)!r}, 'w')"),
            "eval": _Calls(eval, f"open({str(canary)!r}, 'w')"),
            "open": _Calls(open, str(canary), "w"),
        }
        path.write_bytes(make(pickle.dumps({"model": calls[function]})))

    return write


def _metadata(change: Callable[[dict[str, Any]], Any]) -> Maker:
    return _bytes(lambda whole: altered(whole, change))


def _settings(**changes: Any) -> Maker:
    return _metadata(lambda values: values["settings"].update(changes))


def _tensors(change: Callable[[dict[str, Any]], Any]) -> Maker:
    def make(whole: bytes) -> bytes:
        values, _, tensors = parts_of(whole)
        tensors = {name: array.copy() for name, array in tensors.items()}
        change(tensors)
        return sealed(values, tensors)

    return _bytes(make)


def _first(tensors: dict[str, Any]) -> str:
    return next(name for name in tensors if name.startswith("ema."))


def _index(change: Callable[[dict[str, Any], bytes], str]) -> Maker:
    """A head whose index of tensors is what ``change`` writes for it."""

    def make(whole: bytes) -> bytes:
        values, index, _ = parts_of(whole)
        length = int.from_bytes(whole[:8], "little")
        values["sha256"] = DIGEST_PLACEHOLDER
        return framed_and_sealed(change(index, whole), json.dumps(values, separators=(",", ":")), whole[8 + length :])

    return _bytes(make)


def _raw_metadata(change: Callable[[str], str]) -> Maker:
    """Metadata written in a way that no JSON encoder would."""

    def make(whole: bytes) -> bytes:
        values, index, _ = parts_of(whole)
        length = int.from_bytes(whole[:8], "little")
        values["sha256"] = DIGEST_PLACEHOLDER
        text = change(json.dumps(values, separators=(",", ":")))
        return framed_and_sealed("," + json.dumps(index)[1:-1], text, whole[8 + length :])

    return _bytes(make)


def _entries(index: dict[str, Any]) -> str:
    return "," + json.dumps(index)[1:-1]


def _with_entry(index: dict[str, Any], **changes: Any) -> str:
    name = _first(index)
    return _entries({**index, name: {**index[name], **changes}})


def _sparse(path: Path, whole: bytes, canary: Path) -> None:
    path.write_bytes(whole)
    os.truncate(path, 10 * 1024**3)


def _set(tensors: dict[str, Any], value: float) -> None:
    tensors[_first(tensors)].flat[0] = value


def _cast(tensors: dict[str, Any], dtype: str) -> None:
    name = _first(tensors)
    tensors[name] = tensors[name].astype(dtype)


def _reshape(tensors: dict[str, Any]) -> None:
    name = _first(tensors)
    tensors[name] = tensors[name].reshape(1, -1)


def _polyglot(path: Path, whole: bytes, canary: Path) -> None:
    """A whole checkpoint to one program and an archive with a pickle to another."""
    _pickled(lambda payload: whole + _torch_zip(payload))(path, whole, canary)


HOSTILE: dict[str, Maker] = {
    # Not safetensors at all.
    "empty": _bytes(lambda whole: b""),
    "seven-bytes": _bytes(lambda whole: whole[:7]),
    "eight-bytes": _bytes(lambda whole: whole[:8]),
    "zeros": _bytes(lambda whole: bytes(4096)),
    "html": _bytes(lambda whole: b"<!DOCTYPE html><title>404</title>"),
    "png": _bytes(lambda whole: b"\x89PNG\r\n\x1a\n" + bytes(100)),
    "gzip": _bytes(gzip.compress),
    "escape-sequences": _bytes(lambda whole: ESCAPE.encode() * 100),
    # Pickles, which would execute.
    "pickle-system": _pickled(lambda payload: payload),
    "pickle-exec": _pickled(lambda payload: payload, "exec"),
    "pickle-protocol-0": _pickled(lambda payload: pickle.dumps(pickle.loads(pickle.dumps([1])), 0) + payload),
    "torch-zip-system": _pickled(_torch_zip),
    "torch-zip-exec": _pickled(_torch_zip, "exec"),
    "torch-zip-eval": _pickled(_torch_zip, "eval"),
    "torch-zip-open": _pickled(_torch_zip, "open"),
    "torch-legacy": _pickled(lambda payload: pickle.dumps(0x1950A86A20F9469CFC6C) + pickle.dumps(1001) + payload),
    "torch-tar": _pickled(_tar),
    "zip-bomb": _pickled(
        lambda payload: _torch_zip(payload, compression=zipfile.ZIP_DEFLATED, data=bytes(64 * 1024**2))
    ),
    # Not a file.
    "folder": lambda path, whole, canary: path.mkdir(),
    "pipe": lambda path, whole, canary: os.mkfifo(path),
    "device": lambda path, whole, canary: path.symlink_to("/dev/zero"),
    "loop-of-links": lambda path, whole, canary: path.symlink_to(path),
    "link-to-nothing": lambda path, whole, canary: path.symlink_to(path.with_name("nowhere")),
    "ten-gigabytes-of-nothing": _sparse,
    # A head that lies about itself.
    "head-of-100-megabytes": _bytes(lambda whole: (100 * 1024**2).to_bytes(8, "little") + b'{"a":1}'),
    "head-of-2-to-the-63": _bytes(lambda whole: struct.pack("<Q", 2**63) + b"{}"),
    "head-ends-in-the-middle": _bytes(lambda whole: whole[:200]),
    "head-nested-100000-deep": _bytes(lambda whole: framed(b'{"a":' * 50_000 + b"1" + b"}" * 50_000)),
    "head-of-one-number": _bytes(lambda whole: framed(b'{"a":' + b"9" * 100_000 + b"}")),
    "head-is-not-utf-8": _bytes(lambda whole: framed(b'{"\xff\xfe":1}')),
    "head-with-null-bytes": _bytes(lambda whole: framed(b"{" + bytes(100) + b"}")),
    "no-metadata": _bytes(lambda whole: safetensors.numpy.save(parts_of(whole)[2])),
    "metadata-of-another-program": _bytes(lambda whole: safetensors.numpy.save(parts_of(whole)[2], {"format": "pt"})),
    # A whole file, then something was done to it.
    "flipped-bit": _bytes(lambda whole: whole[:-50] + bytes([whole[-50] ^ 1]) + whole[-49:]),
    "torn": _bytes(lambda whole: whole[: len(whole) // 2]),
    "appended-byte": _bytes(lambda whole: whole + b"\0"),
    "polyglot-zip": _polyglot,
    # Sealed with a valid digest, by somebody who knows the format.
    "tensor-missing": _tensors(lambda tensors: tensors.pop(_first(tensors))),
    "tensor-unknown": _tensors(lambda tensors: tensors.update({"ema.extra": np.zeros(3, np.float32)})),
    "tensor-of-another-shape": _tensors(_reshape),
    "tensor-nan": _tensors(lambda tensors: _set(tensors, np.nan)),
    "tensor-infinite": _tensors(lambda tensors: _set(tensors, np.inf)),
    "tensor-float64": _tensors(lambda tensors: _cast(tensors, "float64")),
    "tensor-int8": _tensors(lambda tensors: _cast(tensors, "int8")),
    "tensor-name-with-escapes": _tensors(lambda tensors: tensors.update({ESCAPE: np.zeros(1, np.float32)})),
    "tensor-name-of-a-path": _tensors(lambda tensors: tensors.update({"../../etc/x": np.zeros(1, np.float32)})),
    "tensors-200000-of-no-size": _tensors(
        lambda tensors: tensors.update({f"t{k}": np.zeros(0, np.float32) for k in range(200_000)})
    ),
    "offsets-negative": _index(lambda index, whole: _with_entry(index, data_offsets=[-8, 8])),
    "offsets-backwards": _index(lambda index, whole: _with_entry(index, data_offsets=[64, 0])),
    "offsets-overlap": _index(lambda index, whole: _with_entry(index, data_offsets=[0, 4])),
    "offsets-beyond-the-end": _index(lambda index, whole: _with_entry(index, data_offsets=[0, 2**62])),
    "shape-negative": _index(lambda index, whole: _with_entry(index, shape=[-1, 4])),
    "shape-overflows": _index(lambda index, whole: _with_entry(index, shape=[2**32, 2**32])),
    "shape-of-floats": _index(lambda index, whole: _with_entry(index, shape=[1.5, 2.5])),
    "dtype-unknown": _index(lambda index, whole: _with_entry(index, dtype="F99")),
    "entry-is-a-list": _index(lambda index, whole: _entries({**index, _first(index): [1, 2, 3]})),
    "tensor-named-twice": _index(lambda index, whole: _entries(index) + _entries({_first(index): {}})),
    "channels-a-billion": _settings(channels=[10**9]),
    "timesteps-a-billion": _settings(timesteps=10**9),
    "embedding-a-billion": _settings(embedding=10**9),
    "blocks-a-billion": _settings(up_blocks=[10**9]),
    "patch-of-three": _settings(patch_size=3),
    "learning-rate-a-word": _settings(lr="much"),
    "preset-with-escapes": _settings(preset=ESCAPE),
    "setting-unknown": _settings(__class__="os.system"),
    "settings-a-list": _metadata(lambda values: values.update(settings=[1, 2])),
    "step-negative": _metadata(lambda values: values.update(step=-1)),
    "step-beyond-counting": _metadata(lambda values: values.update(step=10**40)),
    "kind-unknown": _metadata(lambda values: values.update(kind="pickle")),
    "version-999": _metadata(lambda values: values.update(format_version=999)),
    "version-true": _metadata(lambda values: values.update(format_version=True)),
    "version-a-word": _metadata(lambda values: values.update(format_version="../../1")),
    "images-none": _metadata(lambda values: values.update(num_train_images=0)),
    "losses-a-million": _metadata(lambda values: values.update(recent_losses=[0.1] * 40_000)),
    "field-missing": _metadata(lambda values: values.pop("fingerprint")),
    "fingerprint-of-novel-length": _metadata(lambda values: values["fingerprint"].update(torch="x" * 100_000)),
    "json-nan": _raw_metadata(lambda text: text.replace('"epoch_loss_sum":', '"epoch_loss_sum":NaN,"x":', 1)),
    "json-1e400": _raw_metadata(lambda text: text.replace('"epoch_loss_sum":', '"epoch_loss_sum":1e400,"x":', 1)),
    "json-number-of-100000-digits": _raw_metadata(
        lambda text: text.replace('"step":', '"step":' + "9" * 100_000 + ',"x":', 1)
    ),
    "json-lone-surrogate": _raw_metadata(lambda text: text.replace('"kind":"', '"kind":"\\ud800', 1)),
    "json-nested-deep": _raw_metadata(lambda text: text.replace("{", '{"x":' + "[" * 50_000 + "]" * 50_000 + ",", 1)),
    "json-key-twice": _raw_metadata(lambda text: text.replace("{", '{"kind":"training","kind":"weights",', 1)),
    "digest-twice": _raw_metadata(lambda text: text.replace("{", '{"sha256":"' + "1" * 64 + '",', 1)),
}
