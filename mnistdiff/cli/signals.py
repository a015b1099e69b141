"""Signals: save and stop a training, or unwind and exit."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

# SIGHUP, the closing of a terminal, is POSIX; SIGBREAK, Ctrl-Break, is Windows.
_ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))
_SIGNALS = (signal.SIGINT, *_ENDING)
_Handler = Callable[[int, FrameType | None], object]
_SHOW_CURSOR = b"\x1b[?25h"


class StopRequest:
    """Whether, and by which signal, the program was asked to stop; the loss of its launcher counts as SIGTERM.

    Args:
        launcher: the process that started this one and would end it; None if it may run without.
    """

    def __init__(self, launcher: int | None) -> None:
        self.signal_number = 0
        self._launcher = launcher

    def __call__(self) -> bool:
        """Whether to stop."""
        return self.signal_number != 0 or self._launcher not in (None, os.getppid())

    @property
    def exit_code(self) -> int:
        """The exit code of the program: 128 + the signal."""
        return _exit_code(self.signal_number or signal.SIGTERM)


@contextmanager
def stop_on_signals(*, says_so: bool = True, launcher: int | None = None) -> Iterator[StopRequest]:
    """Let the first signal request a stop and a second one exit at once, which is safe: writes are atomic.

    A signal that the parent process ignores (SIGINT in a background job of a script) stays ignored.

    Args:
        says_so: print that a signal arrived.
        launcher: as in ``StopRequest``.
    """
    request = StopRequest(launcher)

    def handle(number: int, frame: FrameType | None) -> None:
        """Ask the training to stop; leave at once at the second signal."""
        del frame
        if request.signal_number:
            _write((_SHOW_CURSOR if os.isatty(2) else b"") + b"\nstopped at once; the last save is complete\n")
            os._exit(_exit_code(number))
        request.signal_number = number
        if says_so:
            _write(b"\nfinishing this step and saving; repeat to stop at once\n")

    with _handlers(handle):
        yield request


def _write(message: bytes) -> None:
    """Write to stderr, unbuffered: the signal may have interrupted a write to the buffered stream."""
    with suppress(OSError):
        os.write(2, message)


class Unwinding:
    """Unwind the program by an exception when a signal arrives, so that temporary files are removed.

    The exception can be raised inside code that replaces it by another one (pydantic's core) or drops it (a finalizer,
    a callback of the import system). So the signal is remembered: what fails afterwards fails because of it.
    """

    def __init__(self) -> None:
        self._signal_number = 0

    def __call__(self, number: int, frame: FrameType | None) -> NoReturn:
        """Handle a signal."""
        del frame
        self._signal_number = number
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(_exit_code(number))

    @property
    def exit_code(self) -> int:
        """The exit code of the program; 0 while no signal has arrived."""
        return _exit_code(self._signal_number) if self._signal_number else 0

    def leave_if_dropped(self, unraisable: "sys.UnraisableHookArgs") -> None:
        """``sys.unraisablehook``: exit if the exception of a signal was dropped."""
        if self._signal_number and isinstance(unraisable.exc_value, KeyboardInterrupt | SystemExit):
            os._exit(self.exit_code)
        sys.__unraisablehook__(unraisable)


def unwind_on_signals() -> Unwinding:
    """Let SIGINT, SIGTERM, SIGHUP and Ctrl-Break unwind the program.

    Returns:
        the handler, which knows the signal that arrived.
    """
    unwinding = Unwinding()
    _set(unwinding, _SIGNALS)
    sys.unraisablehook = unwinding.leave_if_dropped
    if hasattr(signal, "SIGBREAK"):
        from mnistdiff.cli.windows import wait_when_the_console_closes

        wait_when_the_console_closes()
    return unwinding


def leave_at_once_on_signals() -> None:
    """Exit without a traceback on a signal while the interpreter shuts down."""
    _set(_leave_at_once, _SIGNALS)


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """Exit on a signal without raising an exception, which C++ code that calls Python would turn into an abort."""
    with _handlers(_leave_at_once):
        yield


def _leave_at_once(number: int, frame: FrameType | None) -> NoReturn:
    del frame
    os._exit(_exit_code(number))


def _exit_code(number: int) -> int:
    """128 + the signal, as shells report it; Ctrl-Break counts as SIGTERM."""
    return 128 + (signal.SIGTERM if number == getattr(signal, "SIGBREAK", None) else number)


@contextmanager
def _handlers(handle: _Handler) -> Iterator[None]:
    earlier = _set(handle, _SIGNALS)
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def _set(handle: _Handler, numbers: tuple[signal.Signals, ...]) -> dict[signal.Signals, "signal._HANDLER"]:
    """Set the handler of these signals, except of those that the parent process ignores.

    Returns:
        the previous handlers.
    """
    earlier = {number: signal.getsignal(number) for number in numbers}
    mine = {number: handler for number, handler in earlier.items() if handler != signal.SIG_IGN}
    for number in mine:
        signal.signal(number, handle)
    return mine
