"""The preview grids of a run as an animation."""

import io

import numpy as np
import pytest
from PIL import Image

from mnistdiff.engine.outputs.png import encode_png
from mnistdiff.engine.runs.preview_animation import animate_previews
from mnistdiff.engine.runs.run_dir import RunDir
from mnistdiff.errors import CheckpointError, StorageError


def test_a_run_over_time_shows_each_preview_in_the_order_of_its_epoch(tmp_path):
    run = RunDir(tmp_path)
    with pytest.raises(CheckpointError, match="holds no previews"):
        animate_previews(run)
    (tmp_path / "samples").mkdir()
    random = np.random.default_rng(0)
    images = {epoch: random.integers(0, 256, (90, 100), dtype=np.uint8) for epoch in (2, 1, 10, 10_000)}
    for epoch, image in images.items():
        run.epoch_samples(epoch).write_bytes(encode_png(image))
    (tmp_path / "samples" / "mine.png").write_text("not one of them")
    with Image.open(io.BytesIO(animate_previews(run))) as shown:
        assert shown.n_frames == 4
        for number, epoch in enumerate(sorted(images)):
            shown.seek(number)
            assert np.array_equal(np.asarray(shown.convert("L"))[-90:], images[epoch])
    run.epoch_samples(1).write_text("broken")
    with pytest.raises(StorageError, match="epoch_0001.png is not a PNG picture"):
        animate_previews(run)
