"""Writing files and folders so that an interruption never leaves half of one."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import AudioBertInputError


__all__ = ["output_errors", "staged_file", "staged_folder"]

# Each is something the user can put right, unlike the rest of OSError.
_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "a file there may not grow that large",
    errno.EACCES: "you may not write there",
    errno.EPERM: "you may not write there",
    errno.EROFS: "that disk is read-only",
    errno.ENOTDIR: "a part of that path is a file",
    errno.EEXIST: "a file stands where a folder is needed",
    errno.EISDIR: "a folder stands where a file is needed",
    errno.ENAMETOOLONG: "the name is too long",
}


@contextmanager
def output_errors(target: str | os.PathLike) -> Iterator[None]:
    """Turn the write errors that a user can put right into one `AudioBertInputError` that names `target`.

    Raises:
        AudioBertInputError: the disk is full, or the place cannot be written to.
    """
    try:
        yield
    except OSError as error:
        reason = _REASONS.get(error.errno)
        if reason is None:
            raise
        raise AudioBertInputError(
            f"cannot write '{target}': {reason}. What stood there before is unchanged. Free some space, or choose "
            f"another place."
        ) from error


@contextmanager
def staged_file(target: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside `target`; the file written there takes its name when the block ends well.

    Raises:
        AudioBertInputError: the disk is full, or the place cannot be written to.
    """
    target = Path(target)
    with output_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            # mkstemp makes private files; a saved model should be as readable as any other file of the user.
            temporary.chmod(0o666 & ~_umask())
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def staged_folder(target: str | os.PathLike) -> Iterator[Path]:
    """Yield an empty temporary folder beside `target`; its entries move into `target` when the block ends well.

    Entries of `target` with other names stay, so that a checkpoint folder keeps what the Trainer put there.

    Raises:
        AudioBertInputError: the disk is full, or the place cannot be written to.
    """
    target = Path(target)
    with output_errors(target):
        target.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{target.name[:100]}.", dir=target.parent))
        try:
            yield stage
            for entry in sorted(stage.iterdir()):
                _replace_entry(entry, target / entry.name)
        finally:
            shutil.rmtree(stage, ignore_errors=True)


def _replace_entry(source: Path, destination: Path) -> None:
    """Move `source` to `destination`; a folder that stands there is replaced as a whole."""
    if destination.is_dir() and not destination.is_symlink():
        retired = destination.with_name(f".{destination.name}.replaced")
        shutil.rmtree(retired, ignore_errors=True)
        os.replace(destination, retired)
        os.replace(source, destination)
        shutil.rmtree(retired)
    else:
        os.replace(source, destination)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
