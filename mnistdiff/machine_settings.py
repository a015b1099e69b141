"""Settings of the machine: where training and sampling compute, and where files are. Checkpoints do not store them."""

from pydantic import Field

from mnistdiff.setting_types import BackendName, DeviceName, FrozenModel, LogName, Processes, UserPath


class MachineSettings(FrozenModel):
    """Where a training runs, and for how long."""

    device: DeviceName = Field("auto", description="Where to compute; auto takes a GPU.")
    data_dir: UserPath | None = Field(
        None,
        description="Folder with the data set, as in MNIST/raw, or the pictures; default: the user's cache folder.",
    )
    run_dir: UserPath | None = Field(None, description="Run folder; default: the next free runs/NNN-PRESET.")
    log: LogName = Field("none", description="Also log to TensorBoard, in the run's folder tensorboard/.")
    processes: Processes = Field(
        "auto", description="Processes that train; auto takes one for each core where that pays."
    )
    max_minutes: float | None = Field(
        None, gt=0, le=10**6, description="Train for about this time: a short benchmark sets max_steps."
    )


class InferenceSettings(FrozenModel):
    """Where sampling computes."""

    device: DeviceName = Field("auto", description="Where to compute; auto takes a GPU.")
    backend: BackendName = Field(
        "auto",
        description="Inference backend: ONNX Runtime (CPU only, fast start) or PyTorch; auto prefers the former.",
    )
    processes: Processes = Field(
        "auto", description="Processes that sample, on the CPU; auto takes one for each core where that pays."
    )
