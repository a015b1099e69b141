"""The ONNX graphs of the presets in the package. ``python tests/shipped_graphs.py`` writes them; a test compares."""

from mnistdiff.engine.network.export import make_graph
from mnistdiff.engine.network.onnx_runtime import shipped_graph
from mnistdiff.preset_table import PRESETS
from mnistdiff.settings import TrainSettings

if __name__ == "__main__":
    for preset in PRESETS.values():
        settings = TrainSettings(**preset)
        shipped_graph(settings).write_bytes(make_graph(settings))
