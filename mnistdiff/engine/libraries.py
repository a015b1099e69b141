"""Libraries that only part of the program needs: import them, or say in one sentence what to install."""

import importlib
from dataclasses import dataclass
from types import MappingProxyType

from mnistdiff.errors import MissingLibraryError


@dataclass(frozen=True)
class Library:
    """A library as the user knows it.

    Attributes:
        title: its name in a sentence.
        install: what pip installs it by.
        needed_by: what does not work without it.
        imported_by: our module that imports it with its surroundings prepared; empty if there is none.
    """

    title: str
    install: str
    needed_by: str
    imported_by: str = ""


LIBRARIES = MappingProxyType(
    {
        "torch": Library("PyTorch", "torch", "train, resume, evaluate, export, train-classifier and --backend torch"),
        "torchvision": Library("torchvision", "torchvision", "fetching MNIST"),
        "onnxruntime": Library("ONNX Runtime", "onnxruntime", "drawing without PyTorch"),
        "matplotlib": Library(
            "matplotlib",
            "matplotlib",
            "train, resume, report and evaluate --plot",
            imported_by="mnistdiff.engine.outputs.figures",
        ),
        "tensorboard": Library(
            "TensorBoard", "tensorboard", "--log tensorboard", imported_by="torch.utils.tensorboard"
        ),
        "PIL": Library("Pillow", "pillow", ""),
    }
)


def require(*names: str) -> None:
    """Import libraries of ``LIBRARIES``.

    Raises:
        MissingLibraryError: if one is not installed, or cannot be loaded.
    """
    for name in names:
        _import(name, LIBRARIES[name])


def _import(name: str, library: Library) -> None:
    try:
        if library.imported_by:
            importlib.import_module(library.imported_by)
        module = importlib.import_module(name)
    except MemoryError:
        raise
    except ModuleNotFoundError as error:
        if error.name == name:
            raise _missing(library) from error
        raise _broken(library, error) from error
    except Exception as error:  # a shared library that is missing is an OSError, one of another version may be anything
        raise _broken(library, error) from error
    if module.__spec__ is not None and module.__spec__.origin is None:  # a folder that an uninstallation left
        raise _missing(library)


def problem_with(name: str) -> str:
    """Why a library cannot be used, in one sentence; empty if it can."""
    try:
        require(name)
    except MissingLibraryError as error:
        return f"{error.message}. {error.hint}"
    return ""


def explain_import(error: ImportError) -> MissingLibraryError | None:
    """What to install after an import failed anywhere; None if it is a mistake of this program."""
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
