"""Files and folders are written whole or not at all, and what the user can put right is said on one line."""

import os
import resource
import shutil
import stat
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file
from tiny_models import tiny_tokenizer

from audiobert.modeling_audiobert.atomic_files import output_errors, staged_file, staged_folder
from audiobert.modeling_audiobert.errors import AudioBertInputError


class Interruption(BaseException):
    """Stands for Ctrl-C, which pytest would take for its own."""


def contents(folder: Path) -> dict[str, str]:
    """Every file below the folder, hidden ones included, with its text; and every empty folder."""
    found = {}
    for place in sorted(folder.rglob("*")):
        if place.is_file():
            found[place.relative_to(folder).as_posix()] = place.read_text()
        elif place.is_dir() and not any(place.iterdir()):
            found[place.relative_to(folder).as_posix()] = "(empty folder)"
    return found


def write(staged, target: Path, texts: dict[str, str], error: BaseException | None = None) -> None:
    """Write the texts by file name ("" for a staged file itself), then fail with the error."""
    with staged(target) as place:
        for name, text in texts.items():
            (place / name).parent.mkdir(exist_ok=True)
            (place / name).write_text(text)
        if error:
            raise error


def fill_the_disk() -> None:
    """Fail as a write to a full disk does."""
    with Path("/dev/full").open("w") as full:
        full.write("x")


@contextmanager
def as_nobody():
    """Lay down the rights of root, who may write anywhere; for anybody else this changes nothing."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def limited_file_size(num_bytes: int):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def fail_at_move(monkeypatch, number: int, error: BaseException):
    """Raise at the given renaming, counted from 1, as the system or Ctrl-C would; later ones work again."""
    replace, calls = os.replace, []

    def counted(source, destination):
        calls.append(source)
        if len(calls) == number:
            raise error
        replace(source, destination)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", counted)
        yield
    assert len(calls) >= number, f"only {len(calls)} renamings: the failure was never reached"


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no small disk can be mounted here: run the tests as root on Linux, outside of a container")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_file_appears_only_when_it_is_whole(tmp_path):
    target = tmp_path / "new" / "folder" / "answers.json"
    with staged_file(target) as temporary:
        temporary.write_text("whole")
        assert not target.exists()
        assert temporary.parent == target.parent
        assert temporary.suffix == ".json"
    assert contents(tmp_path) == {"new/folder/answers.json": "whole"}


@pytest.mark.parametrize("error", [Interruption(), ValueError("a fault of ours")], ids=["ctrl-c", "fault"])
def test_an_interrupted_file_leaves_the_old_one_and_nothing_else(tmp_path, error):
    target = tmp_path / "answers.json"
    target.write_text("old")
    with pytest.raises(type(error)):
        write(staged_file, target, {"": "ha"}, error)
    assert contents(tmp_path) == {"answers.json": "old"}


def test_an_interrupted_file_takes_the_folders_made_for_it_away_again(tmp_path):
    with pytest.raises(Interruption):
        write(staged_file, tmp_path / "new" / "folder" / "answers.json", {"": "ha"}, Interruption())
    assert contents(tmp_path) == {}


def test_a_new_file_is_as_readable_as_any_other_and_an_old_one_keeps_its_permissions(tmp_path):
    plain, fresh, private = tmp_path / "plain", tmp_path / "fresh", tmp_path / "private"
    plain.write_text("")
    private.touch(mode=0o600)
    for target in (fresh, private):
        with staged_file(target) as temporary:
            save_file({"weights": torch.ones(2)}, temporary)
    assert fresh.stat().st_mode == plain.stat().st_mode
    assert stat.S_IMODE(private.stat().st_mode) == 0o600


def test_a_file_behind_a_link_is_written_and_the_link_stays(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "answers.json"
    link.symlink_to(tmp_path / "elsewhere" / "real.json")
    with staged_file(link) as temporary:
        temporary.write_text("whole")
    assert link.is_symlink()
    assert (tmp_path / "elsewhere" / "real.json").read_text() == "whole"


def test_a_device_is_refused_before_anything_is_written():
    before = os.stat("/dev/null")
    with pytest.raises(AudioBertInputError, match=r"'/dev/null': it is a device or a pipe\. Choose the name"):
        staged_file("/dev/null").__enter__()
    assert os.stat("/dev/null").st_rdev == before.st_rdev


@pytest.mark.parametrize(
    ("make_path", "reason"),
    [
        (lambda folder: folder, "a folder stands where a file is needed"),
        (lambda folder: folder / "note.txt" / "answers.json", "a part of that path is a file|a file stands where"),
        (lambda folder: folder / ("x" * 300), "the name is too long"),
        (lambda folder: folder / "loop" / "answers.json", "a link on that path leads back to itself"),
    ],
    ids=["folder", "below a file", "long name", "loop"],
)
def test_an_impossible_file_is_refused_before_the_work_begins(tmp_path, make_path, reason):
    (tmp_path / "note.txt").write_text("mine")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    target = make_path(tmp_path)
    with pytest.raises(AudioBertInputError, match=reason) as raised:
        staged_file(target).__enter__()
    assert f"cannot write '{target}'" in str(raised.value)
    assert "Choose another name." in str(raised.value)
    assert contents(tmp_path) == {"note.txt": "mine"}


def test_a_folder_keeps_other_entries_and_replaces_its_own_as_a_whole(tmp_path):
    target = tmp_path / "model"
    (target / "bank").mkdir(parents=True)
    (target / "bank" / "stale").write_text("old")
    (target / "config.json").write_text("old")
    (target / "trainer_state.json").write_text("the Trainer's")
    with staged_folder(target) as stage:
        (stage / "config.json").write_text("new")
        (stage / "bank").mkdir()
        (stage / "bank" / "clips").write_text("new")
        assert (target / "config.json").read_text() == "old"
    assert contents(tmp_path) == {
        "model/bank/clips": "new",
        "model/config.json": "new",
        "model/trainer_state.json": "the Trainer's",
    }


def test_a_folder_takes_the_place_of_a_file_and_a_file_that_of_a_folder(tmp_path):
    (tmp_path / "one").write_text("old")
    (tmp_path / "two").mkdir()
    with staged_folder(tmp_path) as stage:
        (stage / "one").mkdir()
        (stage / "one" / "inside").write_text("new")
        (stage / "two").write_text("new")
    assert contents(tmp_path) == {"one/inside": "new", "two": "new"}


@pytest.mark.parametrize("existing", [True, False], ids=["existing folder", "new folder"])
def test_an_interrupted_folder_leaves_what_stood_there(tmp_path, existing):
    target = tmp_path / "runs" / "model"
    if existing:
        target.mkdir(parents=True)
        (target / "config.json").write_text("old")
    before = contents(tmp_path)
    with pytest.raises(Interruption):
        write(staged_folder, target, {"config.json": "new", "weights": "ha"}, Interruption())
    assert contents(tmp_path) == before
    assert existing or not target.parent.exists()


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("error", [Interruption(), OSError(5, "Input/output error")], ids=["ctrl-c", "disk fault"])
def test_a_failure_between_two_moves_puts_everything_back(tmp_path, monkeypatch, number, error):
    target = tmp_path / "model"
    (target / "bank").mkdir(parents=True)
    (target / "bank" / "keys").write_text("old")
    (target / "config.json").write_text("old")
    before = contents(tmp_path)
    with pytest.raises(type(error)), fail_at_move(monkeypatch, number, error):
        write(staged_folder, target, {"bank/keys": "new", "config.json": "new", "weights": "new"})
    assert contents(tmp_path) == before


def test_files_of_a_folder_are_as_readable_as_any_other(tmp_path):
    (tmp_path / "plain").write_text("")
    with staged_folder(tmp_path / "model") as stage:
        (stage / "bank").mkdir()
        save_file({"keys": torch.ones(2)}, stage / "bank" / "keys.safetensors")
    saved = tmp_path / "model" / "bank" / "keys.safetensors"
    assert saved.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_file_where_the_folder_should_stand_is_refused_and_kept(tmp_path):
    (tmp_path / "model").write_text("mine")
    with pytest.raises(AudioBertInputError, match=r"model': a file stands where a folder is needed\. .*another name"):
        staged_folder(tmp_path / "model").__enter__()
    assert contents(tmp_path) == {"model": "mine"}


def test_an_error_of_a_folder_inside_names_the_place_that_the_user_asked_for(tmp_path):
    target = tmp_path / "model"
    with pytest.raises(AudioBertInputError) as raised, staged_folder(target) as outer, staged_folder(outer / "bank"):
        fill_the_disk()
    assert f"cannot write '{target / 'bank'}': the disk is full." in str(raised.value)
    assert contents(tmp_path) == {}


WRITERS = {
    "plain": lambda path: path.write_bytes(bytes(400_000)),
    "safetensors": lambda path: save_file({"keys": torch.ones(100_000)}, path),
    "parquet": lambda path: pq.write_table(pa.table({"value": np.random.default_rng(0).random(50_000)}), path),
    "numpy": lambda path: np.save(path, np.ones(50_000)),
    "torch": lambda path: torch.save(torch.ones(100_000), path),  # noqa: TID251 - as the Trainer does
    "tokenizers": lambda path: _large_tokenizer().save(str(path)),
}


def _large_tokenizer():
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens([f"word{number}" for number in range(5_000)])
    return tokenizer.backend_tokenizer


@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS.keys())
@pytest.mark.parametrize("staged", [staged_file, staged_folder], ids=["file", "folder"])
def test_a_full_disk_is_one_line_and_loses_nothing_whoever_writes(small_disk, writer, staged):
    (small_disk / "there.npy").write_text("old") if staged is staged_file else (small_disk / "there.npy").mkdir()
    before = contents(small_disk)
    with (
        pytest.raises(
            AudioBertInputError, match=r"there\.npy': the disk is full\. What stood there .*Free some space"
        ),
        staged(small_disk / "there.npy") as place,
    ):
        writer(place if staged is staged_file else place / "file.npy")
    assert contents(small_disk) == before


def test_a_disk_mounted_at_the_target_is_written_to(small_disk):
    with staged_folder(small_disk) as stage:
        (stage / "config.json").write_text("new")
    assert contents(small_disk) == {"config.json": "new"}


def test_a_read_only_disk_is_named(small_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for staged in (staged_file, staged_folder):
        with pytest.raises(AudioBertInputError, match=r"new': that disk is read-only\. .*Choose another place"):
            staged(small_disk / "new").__enter__()


@pytest.mark.parametrize("staged", [staged_file, staged_folder], ids=["file", "folder"])
def test_a_place_that_may_not_be_written_is_named(staged):
    # Not tmp_path, whose parents are closed to others as a whole.
    with tempfile.TemporaryDirectory() as folder:
        closed = Path(folder)
        closed.chmod(0o555)
        with as_nobody(), pytest.raises(AudioBertInputError) as raised:
            staged(closed / "new").__enter__()
        assert contents(closed) == {}
    assert str(raised.value) == (
        f"cannot write '{closed / 'new'}': you may not write there. What stood there before is unchanged. "
        f"Choose another place."
    )


def test_a_limit_on_the_size_of_files_is_named(tmp_path):
    (tmp_path / "answers").write_text("old")
    with (
        limited_file_size(1000),
        pytest.raises(AudioBertInputError, match=r"answers': a file may not grow that large there\. .* write less"),
    ):
        write(staged_file, tmp_path / "answers", {"": "x" * 5000})
    assert contents(tmp_path) == {"answers": "old"}


def test_errors_about_another_file_pass_unchanged(tmp_path):
    for context in (staged_file, staged_folder, output_errors):
        with pytest.raises(PermissionError, match=r"input\.wav"), context(tmp_path / "new"):
            raise PermissionError(13, "Permission denied", str(tmp_path / "input.wav"))
        with pytest.raises(FileNotFoundError), context(tmp_path / "new"):
            (tmp_path / "input.wav").read_bytes()
    assert contents(tmp_path) == {}


def test_output_errors_promises_nothing_about_what_stood_there(tmp_path):
    with (
        pytest.raises(AudioBertInputError, match=r"run': the disk is full\. Free some space") as raised,
        output_errors(tmp_path / "run"),
    ):
        fill_the_disk()
    assert "unchanged" not in str(raised.value)
