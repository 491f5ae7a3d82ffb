"""Writing files and folders so that an interruption never leaves half of one."""

import errno
import os
import re
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from .errors import AudioBertInputError


__all__ = ["is_stage", "output_errors", "staged_file", "staged_folder", "undo_interrupted"]

_STAGE_PREFIX = ".audiobert-"
_UNCHANGED = "What stood there before is unchanged. "
_ELSEWHERE = "Choose another place."
_MORE_SPACE = "Free some space, or choose another place."
_OTHER_NAME = "Choose another name."
# Each is something the user can put right, unlike the rest of OSError.
_REASONS = {
    errno.ENOSPC: ("the disk is full", _MORE_SPACE),
    errno.EDQUOT: ("the disk quota is used up", _MORE_SPACE),
    errno.EFBIG: ("a file may not grow that large there", "Raise the limit on the size of files, or write less."),
    errno.EACCES: ("you may not write there", _ELSEWHERE),
    errno.EPERM: ("you may not write there", _ELSEWHERE),
    errno.EROFS: ("that disk is read-only", _ELSEWHERE),
    errno.ENOTDIR: ("a part of that path is a file", _OTHER_NAME),
    errno.EEXIST: ("a file stands where a folder is needed", _OTHER_NAME),
    errno.EISDIR: ("a folder stands where a file is needed", _OTHER_NAME),
    errno.ENAMETOOLONG: ("the name is too long", _OTHER_NAME),
    errno.ELOOP: ("a link on that path leads back to itself", _OTHER_NAME),
}
# A disk with less free than this is full for anything that we write.
_FULL_BYTES = 64 * 1024


@contextmanager
def output_errors(target: str | os.PathLike) -> Iterator[None]:
    """Turn the write errors that a user can put right into one `AudioBertInputError` that names `target`.

    Errors that name a file elsewhere, such as an input that may not be read, pass unchanged.

    Args:
        target (`str` or `PathLike`):
            The file or folder that the block writes, as the user gave it.

    Raises:
        AudioBertInputError: the disk is full, or the place cannot be written to.
    """
    with _output_errors(target):
        yield


@contextmanager
def staged_file(target: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside `target`; the file written there takes its name when the block ends well.

    However else the block ends, `target` is as it was, and folders made for it are gone again. A file that stood there
    hands on its permissions; a link is followed.

    Args:
        target (`str` or `PathLike`):
            The file to write. Its folder is made where it is missing.

    Yields:
        `Path`: an empty file with the suffix of `target` (some writers choose the format by it).

    Raises:
        AudioBertInputError: the disk is full, the place cannot be written to, or `target` is not a regular file.
    """
    destination = Path(os.path.realpath(target))
    made: list[Path] = []
    temporary = destination.with_name(f"{_STAGE_PREFIX}{uuid.uuid4().hex}{destination.suffix}")
    try:
        with _output_errors(target, _UNCHANGED):
            mode = _permissions(target)
            made += _missing_folders(destination.parent)
            destination.parent.mkdir(parents=True, exist_ok=True)
            temporary.touch(exist_ok=False)
            # Noted now: some writers put a private file in the place of the one they were given.
            mode = stat.S_IMODE(temporary.stat().st_mode) if mode is None else mode
            yield temporary
            temporary.chmod(mode)
            os.replace(temporary, destination)
    except BaseException:
        _remove(temporary, made)
        raise


@contextmanager
def staged_folder(target: str | os.PathLike) -> Iterator[Path]:
    """Yield an empty temporary folder; its entries move into `target` when the block ends well, all of them or none.

    Entries of `target` with other names stay, so that a checkpoint folder keeps what the Trainer put there; those with
    the same name are replaced as a whole. However else the block ends, `target` is as it was.

    Args:
        target (`str` or `PathLike`):
            The folder to write into. It is made where it is missing, and gone again if the block fails.

    Yields:
        `Path`: a folder inside `target`, so that moving never crosses from one disk to another.

    Raises:
        AudioBertInputError: the disk is full, or the place cannot be written to.
    """
    target = Path(target)
    stage = target / f"{_STAGE_PREFIX}{uuid.uuid4().hex}"
    fresh, retired = stage / "new", stage / "old"
    made: list[Path] = []
    try:
        with _output_errors(target, _UNCHANGED), _named_as(target, fresh):
            made += _missing_folders(target)
            target.mkdir(parents=True, exist_ok=True)
            for folder in (stage, fresh, retired):
                folder.mkdir()
            yield fresh
            _share(fresh)
            _move_in(fresh, retired, target)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        # "old" is empty again, unless putting back failed: then what it holds is the user's and stays.
        _remove(None, [retired, stage, *made])
        raise
    shutil.rmtree(stage, ignore_errors=True)


def is_stage(path: Path) -> bool:
    """Return whether a path is named as what `staged_file` and `staged_folder` write to; it stays after a kill."""
    return path.name.startswith(_STAGE_PREFIX)


def undo_interrupted(folder: str | os.PathLike) -> None:
    """Remove what a killed process left of `staged_folder` and `staged_file` in `folder`.

    If it was killed between moving one entry and the next, what stood there before is put back first. Nothing else may
    be writing there.

    Raises:
        AudioBertInputError: the place cannot be written to.
    """
    folder = Path(folder)
    with _output_errors(folder):
        for stage in filter(is_stage, folder.iterdir() if folder.is_dir() else ()):
            if not stage.is_dir():
                stage.unlink()
                continue
            fresh, retired = stage / "new", stage / "old"
            # With nothing left to move, the change was complete.
            if fresh.is_dir() and any(fresh.iterdir()) and retired.is_dir():
                for entry in retired.iterdir():
                    if (folder / entry.name).is_dir() and not (folder / entry.name).is_symlink():
                        shutil.rmtree(folder / entry.name)
                    os.replace(entry, folder / entry.name)
            shutil.rmtree(stage)


@contextmanager
def _output_errors(target: str | os.PathLike, promise: str = "") -> Iterator[None]:
    try:
        yield
    except AudioBertInputError:
        raise
    except Exception as error:
        found = _REASONS.get(_error_number(error, target))
        if found is None:
            raise
        reason, way_out = found
        raise AudioBertInputError(f"cannot write '{target}': {reason}. {promise}{way_out}") from error


def _error_number(error: Exception, target: str | os.PathLike) -> int | None:
    """Return the `errno` behind a failed write to `target`, None if the error is something else."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno if _concerns(error, target) else None
    # safetensors and tokenizers, written in Rust, raise classes of their own; safetensors below 0.5 says "Os {...}".
    rust = re.search(r"\((?:os error |Os \{ code: )(\d+)", str(error))
    if rust:
        return int(rust.group(1))
    # torch, NumPy and libsndfile say only that less was written than they wished.
    if isinstance(error, RuntimeError | OSError) and _free_bytes(Path(target)) < _FULL_BYTES:
        return errno.ENOSPC
    return None


def _concerns(error: OSError, target: str | os.PathLike) -> bool:
    names = [name for name in (error.filename, error.filename2) if isinstance(name, str | os.PathLike)]
    place = Path(os.path.realpath(target))
    for name in map(Path, map(os.path.realpath, names)):
        if name == place or name in place.parents or place in name.parents:
            return True
        if any(part.startswith(_STAGE_PREFIX) for part in name.parts):
            return True
    return not names


def _free_bytes(place: Path) -> int:
    existing = next(folder for folder in (place, *place.absolute().parents) if folder.exists())
    return shutil.disk_usage(existing).free


@contextmanager
def _named_as(target: Path, stage: Path) -> Iterator[None]:
    """Let errors about a file inside `stage` name it where the user asked for it."""
    try:
        yield
    except AudioBertInputError as error:
        if str(stage) not in str(error):
            raise
        raise AudioBertInputError(str(error).replace(str(stage), str(target))) from error


def _permissions(file: str | os.PathLike) -> int | None:
    """Return the permissions of a regular file, None if there is no such file yet."""
    try:
        mode = os.stat(file).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(file))
    if not stat.S_ISREG(mode):
        # Renaming onto it would put a file in the place of the machine's device.
        raise AudioBertInputError(f"cannot write '{file}': it is a device or a pipe. Choose the name of a file.")
    return stat.S_IMODE(mode)


def _missing_folders(folder: Path) -> list[Path]:
    """Return which of `folder` and its parents are not there, the innermost first."""
    return [place for place in (folder, *folder.parents) if not place.exists()]


def _share(folder: Path) -> None:
    """Make all files below as readable as any other new file of the user: safetensors writes private ones."""
    readable = stat.S_IMODE(folder.stat().st_mode) & 0o666
    for file in folder.rglob("*"):
        if file.is_file() and not file.is_symlink():
            file.chmod(readable)


def _move_in(fresh: Path, retired: Path, target: Path) -> None:
    """Move the entries of `fresh` into `target`, and what they replace into `retired`; undo it all if one fails."""
    with ExitStack() as undo:
        for entry in sorted(fresh.iterdir()):
            destination, previous = target / entry.name, retired / entry.name
            # Before the moves, so that Ctrl-C between two lines is undone too.
            undo.callback(_put_back, entry, destination, previous)
            if os.path.lexists(destination):
                os.replace(destination, previous)
            os.replace(entry, destination)
        undo.pop_all()


def _put_back(entry: Path, destination: Path, previous: Path) -> None:
    if not os.path.lexists(entry):
        os.replace(destination, entry)
    if os.path.lexists(previous):
        os.replace(previous, destination)


def _remove(file: Path | None, folders: list[Path]) -> None:
    """Remove the file, and those of the folders that are empty."""
    with suppress(OSError):
        if file:
            file.unlink()
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
