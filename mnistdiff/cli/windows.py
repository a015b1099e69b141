"""Windows: expansion of file name patterns, and closing of the console window."""

import _thread
import ctypes
import glob
import signal
import time
from collections.abc import Callable
from typing import Any

# Events of SetConsoleCtrlHandler: window closed, user logs off, machine shuts down.
_CLOSING = (2, 5, 6)
# Windows ends the process when the handler returns, and after 5 seconds in any case.
_SECONDS_TO_SAVE = 5.0
_kept: list[Any] = []  # ctypes frees a callback that nothing refers to


def wait_when_the_console_closes() -> None:
    """Treat the closing of the console as Ctrl-Break, and wait until the program has saved and exited.

    Python's own handler returns at once, and then Windows ends the process.
    """
    handler = ctypes.WINFUNCTYPE(ctypes.c_int, ctypes.c_uint)(_on_console_event)  # type: ignore[attr-defined]
    _kept.append(handler)
    ctypes.windll.kernel32.SetConsoleCtrlHandler(handler, True)  # type: ignore[attr-defined]


def with_patterns_expanded(arguments: list[str]) -> list[str]:
    """The arguments with ``*.png`` replaced by the files of such names, if there are any."""
    found = [(word, sorted(glob.glob(word)) if {"*", "?"} & set(word) else []) for word in arguments]
    return [name for word, names in found for name in (names or [word])]


def _on_console_event(event: int, *, wait: Callable[[float], object] = time.sleep) -> bool:
    """Handle an event; Windows calls this in a thread of its own.

    Returns:
        whether the event is handled.
    """
    if event not in _CLOSING:
        return False  # Python handles Ctrl-C and Ctrl-Break
    _thread.interrupt_main(signal.SIGBREAK)  # type: ignore[attr-defined]
    wait(_SECONDS_TO_SAVE)
    return True
