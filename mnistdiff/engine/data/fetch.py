"""Missing files of a data set: downloaded, verified and stored."""

import os
import tempfile
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path

from mnistdiff.engine.data import idx
from mnistdiff.engine.data.datasets import DatasetSpec, UnavailableError
from mnistdiff.engine.data.download import download, download_archive, files_in
from mnistdiff.engine.data.idx_file import Archive, IdxFile
from mnistdiff.engine.progress import Work
from mnistdiff.engine.storage import require_writable, write_atomically
from mnistdiff.errors import DataError, MissingLibraryError
from mnistdiff.setting_types import DATASETS


def fetch(spec: DatasetSpec, folder: Path, *, was_named: bool) -> Work[None, None]:
    """Download the files of a data set that a folder lacks, and store them in it: all, or none.

    Args:
        spec: the data set.
        folder: with its files.
        was_named: whether the user named it: if it cannot be written to, that is an OSError, else unavailability.

    Raises:
        UnavailableError: if they cannot be downloaded.
        OSError: if the file system refuses.
        StorageError: if a download cannot be written.
    """
    if os.environ.get("MNISTDIFF_OFFLINE", "0") not in ("", "0"):
        raise unavailable(spec, folder, "MNISTDIFF_OFFLINE is set")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        require_writable(folder)
    except OSError as error:
        if was_named:
            raise
        reason = f"it cannot be stored in this folder ({error.strerror})"
        raise unavailable(spec, folder, reason, "Or set `data_dir`. ") from error
    try:
        contents = yield from _downloaded(spec, folder)
    except MissingLibraryError as error:
        raise unavailable(spec, folder, error.message, f"{error.hint}. ") from error
    except DataError as error:
        raise unavailable(spec, folder, error.message) from error
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or str(error) or type(error).__name__
        raise unavailable(spec, folder, " ".join(str(reason).split())) from error
    for name, content in contents.items():
        write_atomically(folder / name, content)


def _downloaded(spec: DatasetSpec, folder: Path) -> Work[None, Mapping[str, bytes]]:
    """The missing files of a data set, verified, by the name under which they are stored."""
    if spec.archive is not None:
        return (yield from _from_archive(spec.archive, folder, spec.title))
    contents = {}
    for file in _missing(spec, folder):
        contents[file.stored_name] = yield from download(spec, file)
    return contents


def _from_archive(archive: Archive, folder: Path, title: str) -> Work[None, Mapping[str, bytes]]:
    """The missing files of all data sets of an archive, since the whole of it has to be downloaded."""
    specs = [spec for spec in DATASETS.values() if spec.archive == archive]
    with tempfile.TemporaryFile(dir=folder) as file:
        yield from download_archive(archive, file, title=title)
        return dict(files_in(file, archive, [each for spec in specs for each in _missing(spec, folder)]))


def _missing(spec: DatasetSpec, folder: Path) -> list[IdxFile]:
    return [file for file in spec.idx_files if not idx.find(folder, file.name)]


def unavailable(spec: DatasetSpec, folder: Path, reason: str, remedy: str = "") -> UnavailableError:
    """The error for a data set whose files are missing: where they were expected, why they are, what to do."""
    names = ", ".join(file.name for file in spec.idx_files)
    fallback = f", or {DATASETS[spec.fallback].install} and set `dataset` to {spec.fallback}" if spec.fallback else ""
    return UnavailableError(
        f"{spec.title} is not complete in {folder} and could not be downloaded: {reason}",
        f"{remedy}Offline? Put {names} (each as it is or with .gz) into {folder}{fallback}.",
        folder=folder,
        reason=reason,
    )
