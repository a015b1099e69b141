"""Import libraries that only parts of the program need, with an error that says what to install."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass

from mnistdiff.errors import MissingLibraryError


@dataclass(frozen=True)
class Library:
    """A library in error messages.

    Attributes:
        title: its name in a sentence.
        install: its name for pip.
        needed_by: what does not work without it.
        imported_by: the module that must be imported first; empty if there is none.
    """

    title: str
    install: str
    needed_by: str
    imported_by: str = ""


LIBRARIES: Mapping[str, Library] = {
    "torch": Library("PyTorch", "torch", "train, resume, evaluate, export, train-classifier and the backend torch"),
    "torchvision": Library("torchvision", "torchvision", "downloading MNIST"),
    "onnxruntime": Library("ONNX Runtime", "onnxruntime", "sampling without PyTorch"),
    "matplotlib": Library(
        "matplotlib",
        "matplotlib",
        "train, resume, report and plots of evaluate",
        imported_by="mnistdiff.engine.outputs.figures",
    ),
    "tensorboard": Library("TensorBoard", "tensorboard", "`log` tensorboard", imported_by="torch.utils.tensorboard"),
    "starlette": Library("Starlette", "'mnistdiff[studio]'", "studio"),
    "uvicorn": Library("uvicorn", "'mnistdiff[studio]'", "studio"),
    "PIL": Library("Pillow", "pillow", ""),
}


def require(*names: str) -> None:
    """Import libraries of ``LIBRARIES``.

    Raises:
        MissingLibraryError: if one is not installed, or cannot be loaded.
    """
    for name in names:
        library = LIBRARIES[name]
        try:
            if library.imported_by:
                importlib.import_module(library.imported_by)
            module = importlib.import_module(name)
        except MemoryError:
            raise
        except Exception as error:  # a missing shared library is an OSError, one of another version may be anything
            is_missing = isinstance(error, ModuleNotFoundError) and error.name == name
            raise (_missing(library) if is_missing else _broken(library, error)) from error
        if module.__spec__ is not None and module.__spec__.origin is None:  # a folder left by an uninstallation
            raise _missing(library)


def problem_with(name: str) -> str:
    """Why a library cannot be imported, in one sentence; empty if it can."""
    try:
        require(name)
    except MissingLibraryError as error:
        return f"{error.message}. {error.hint}"
    return ""


def explain_import(error: ImportError) -> MissingLibraryError | None:
    """The error for an import that failed anywhere; None if the module is one of this program."""
    package = (error.name or "").partition(".")[0]
    if package in ("", "mnistdiff"):
        return None
    library = LIBRARIES.get(package, Library(package, package, ""))
    return _missing(library) if isinstance(error, ModuleNotFoundError) else _broken(library, error)


def _missing(library: Library) -> MissingLibraryError:
    return MissingLibraryError(
        f"{library.title} is not installed{_consequence(library)}", f"Install it: pip install {library.install}"
    )


def _broken(library: Library, error: Exception) -> MissingLibraryError:
    reason = (str(error).strip() or "no reason given").splitlines()[0][:300]
    return MissingLibraryError(
        f"{library.title} is installed but cannot be loaded ({type(error).__name__}: {reason}){_consequence(library)}",
        f"Install it again: pip install --force-reinstall {library.install}",
    )


def _consequence(library: Library) -> str:
    return f"; needed by: {library.needed_by}" if library.needed_by else ""
