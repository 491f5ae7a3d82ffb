"""The sounds of an audio bank's clips, to be played."""

from pathlib import Path

from audiobert.modeling_audiobert.audio_bank import AudioBank
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .audio_loading import Sound, read_sound


__all__ = ["BankSounds"]


class BankSounds:
    """Finds clips of an audio bank by their ids, and their sounds in the bank itself or in a folder.

    Args:
        bank (`AudioBank`): the bank.
        audio_dir (`str` or `Path`, *optional*):
            The folder that the bank's paths are relative to, for clips whose bytes the bank does not hold.

    Raises:
        AudioBertInputError: `audio_dir` is no folder.
    """

    def __init__(self, bank: AudioBank, audio_dir: str | Path | None = None):
        if audio_dir is not None and not Path(audio_dir).is_dir():
            raise AudioBertInputError(f"there is no folder '{audio_dir}' to play the bank's clips from.")
        self.bank = bank
        self.audio_dir = None if audio_dir is None else Path(audio_dir)
        self._positions = {clip: position for position, clip in enumerate(bank.clips["id"].to_pylist())}

    def position(self, clip: str) -> int:
        """Return where in the bank a clip is.

        Raises:
            AudioBertInputError: the bank lacks it.
        """
        if clip not in self._positions:
            raise AudioBertInputError(f"the audio bank ({len(self._positions)} clips) has no clip '{clip}'.")
        return self._positions[clip]

    def sound(self, clip: str) -> Sound:
        """Return the sound of a clip of the bank: of the bytes that it holds, or of the file in `audio_dir`.

        Raises:
            AudioBertInputError: the bank lacks the clip or holds no sound of it, or the file cannot be read.
        """
        content = self.bank.clips["audio"][self.position(clip)].as_py()
        if content is not None:
            return read_sound(content, name=clip)
        file = self.file(clip)
        if file is None:
            raise AudioBertInputError(
                f"the audio bank does not hold the sound of clip '{clip}', only its description. Build the bank with "
                f"--embed-audio, or name the folder of its clips with --audio-dir."
            )
        return read_sound(file)

    def file(self, clip: str) -> Path | None:
        """Return where the file of a clip lies; None without an `audio_dir`, or if the bank holds its bytes.

        Raises:
            AudioBertInputError: the bank lacks the clip, or its path leads out of `audio_dir`.
        """
        position = self.position(clip)
        path = self.bank.clip(position)["path"]
        if self.audio_dir is None or not path or self.bank.clips["audio"][position].is_valid:
            return None
        root = self.audio_dir.resolve()
        file = (root / path).resolve()
        # A bank may come from anybody: its paths must not lead to other files of this machine.
        if not file.is_relative_to(root):
            raise AudioBertInputError(f"the path '{path}' of clip '{clip}' leads out of '{self.audio_dir}'.")
        return file
