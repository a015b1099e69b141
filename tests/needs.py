"""What some tests need of the system, and which tests these are: the only place that says so.

All others run on every system. A name is that of a test, or of a file whose tests all need the same.
"""

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from browsers import find_chromium


@dataclass(frozen=True)
class Need:
    """A property of the system, and who needs it.

    Attributes:
        what: in a word.
        is_met: here.
        files: below tests/; they are not even imported where the need is not met.
        fixtures: whose users need it.
        tests: as ``file::name``.
    """

    what: str
    is_met: bool
    files: Sequence[str] = ()
    fixtures: Sequence[str] = ()
    tests: Sequence[str] = ()


NEEDS = (
    Need(
        "POSIX signals",
        hasattr(signal, "SIGHUP"),
        files=("cli/test_signals.py", "cli/test_kills.py", "cli/test_launcher.py"),
        tests=(
            "engine/runs/test_run_dir.py::test_the_kernel_frees_the_run_of_a_training_that_was_killed",
            "studio/test_lifecycle.py::test_a_signal_ends_it_at_once_in_the_middle_of_a_drawing_with_others_waiting",
        ),
    ),
    Need("a pseudo-terminal", find_spec("termios") is not None, files=("cli/test_escapes.py", "cli/test_terminal.py")),
    Need("os.fork", hasattr(os, "fork"), fixtures=("forks",)),
    Need(
        "/proc",
        os.path.isdir("/proc/self"),
        files=("cli/test_launcher.py",),
        tests=("engine/runs/test_view.py::test_a_lock_file_counts_while_its_process_may_hold_it",),
    ),
    Need(
        "a POSIX shell and its tools",
        os.name == "posix",
        fixtures=("shell",),
        tests=(
            "cli/test_examples.py::test_a_line_does_what_it_shows",
            "studio/test_server.py::test_the_browser_is_opened_with_the_address_and_what_it_prints_is_dropped",
        ),
    ),
    Need(
        "folders that can be flushed, and open files that can be replaced",
        hasattr(os, "O_DIRECTORY"),
        files=("engine/test_recovery.py",),
        tests=tuple(
            f"engine/test_storage.py::{name}"
            for name in (
                "test_a_process_killed_at_any_operation_leaves_the_old_file_or_the_new_one",
                "test_after_a_power_failure_at_any_moment_the_file_is_the_old_one_or_the_new_one",
                "test_an_error_of_any_operation_is_raised_and_loses_no_file",
                "test_the_shim_sees_every_operation_of_a_save",
            )
        ),
    ),
    Need(
        "folders that can be opened",
        hasattr(os, "O_DIRECTORY"),
        tests=("engine/data/test_image_files.py::test_a_folder_is_no_picture",),
    ),
    Need(
        "limits on a process",
        find_spec("resource") is not None,
        tests=("engine/test_storage.py::test_a_real_limit_on_the_size_of_files_loses_no_file",),
    ),
    Need(
        "a Jupyter kernel",
        find_spec("nbclient") is not None and find_spec("ipykernel") is not None,
        files=("test_notebook.py",),
    ),
    Need(
        "Chromium, on PATH, and playwright",
        find_chromium() is not None and find_spec("playwright") is not None,
        files=(
            "studio/test_draw_page.py",
            "studio/test_explain.py",
            "studio/test_frame.py",
            "studio/test_hand.py",
            "studio/test_runs.py",
        ),
        fixtures=("browser",),
    ),
    Need("file names of any bytes", os.name == "posix", files=("studio/test_runs_api.py",)),
    Need(
        "named pipes",
        hasattr(os, "mkfifo"),
        files=("cli/test_hostile.py",),
        tests=(
            "engine/checkpoint/test_file.py::test_a_folder_a_pipe_and_a_device_are_refused_at_once",
            "engine/data/test_load.py::test_a_corrupt_file_is_refused_by_name",
            "engine/runs/test_view.py::test_a_damaged_run_says_what_is_wrong",
        ),
    ),
)


def reason_to_skip(file: str, name: str, fixtures: Sequence[str]) -> str:
    """What is missing here for a test; empty if nothing is.

    Args:
        file: of the test, below tests/.
        name: of the test function.
        fixtures: that it uses.
    """
    for need in NEEDS:
        concerned = file in need.files or f"{file}::{name}" in need.tests or bool(set(fixtures) & set(need.fixtures))
        if concerned and not need.is_met:
            return f"needs {need.what}"
    return ""


def files_to_ignore() -> list[str]:
    """The files that cannot be imported here."""
    return [file for need in NEEDS if not need.is_met for file in need.files]
