"""Audio files to mono waveforms at the encoder's sampling rate, and clear errors for those that hold no clip."""

import io
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from audiobert.modeling_audiobert.errors import AudioBertInputError


__all__ = [
    "AUDIO_SUFFIXES",
    "MAX_DURATION_SECONDS",
    "MIN_DURATION_SECONDS",
    "Sound",
    "check_audio_file",
    "load_audio",
    "read_sound",
]

# Below it there is neither a pitch nor a timbre to hear, and the audio spectrogram transformer gets less than one of
# its patches (16 frames of 10 ms).
MIN_DURATION_SECONDS = 0.1
# A longer file is a recording with many sounds in it: one embedding of it would stand for none of them. Ten minutes
# of samples also bound the memory that one file can take.
MAX_DURATION_SECONDS = 600.0
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64")

# 80 dB below full scale: what is left in a 16-bit file there is rounding noise.
_SILENCE_PEAK = 1e-4
# 18 dB above full scale: floating-point files may go above it, but not by that much.
_LOUDEST_PEAK = 8.0
_RATES_HZ = (2_000, 768_000)
_BLOCK_FRAMES = 1 << 18
# Of mp3, whose header may name a few frames too many; in every other format the length is exact.
_MISSING_SHARE = 0.02
# What libsndfile writes into its log, and does not report as an error, when a file ends before its header says.
_DATA_CUT = re.compile(r"data : (\d+) \(should be (\d+)\)")
_CUT_MARKS = ("without an End-Of-Stream flag", "> file length", "SSND chunk size too large")
# A WAV written to a pipe names this length, or nearly: not known.
_UNKNOWN_LENGTH = 0x7FFF0000


@dataclass(frozen=True)
class Sound:
    """A decoded file.

    Args:
        waveform (`np.ndarray` of shape `(num_samples,)`): float32, mono, full scale is 1.0.
        sampling_rate (`int`): in Hz, as in the file.
    """

    waveform: np.ndarray
    sampling_rate: int

    @property
    def duration_seconds(self) -> float:
        return len(self.waveform) / self.sampling_rate

    def at_rate(self, sampling_rate: int) -> np.ndarray:
        """Return the waveform at another sampling rate (Hz), as float32; resampled by soxr's high quality."""
        if sampling_rate == self.sampling_rate:
            return self.waveform
        # What librosa.resample calls too, without the half minute that importing librosa can take the first time.
        return soxr.resample(self.waveform, self.sampling_rate, sampling_rate, quality="HQ")


def load_audio(
    source: str | os.PathLike | bytes,
    sampling_rate: int,
    name: str | None = None,
    max_duration_seconds: float = MAX_DURATION_SECONDS,
) -> np.ndarray:
    """Return a file's sound as a mono waveform at one sampling rate.

    Args:
        source (`str`, `Path` or `bytes`):
            A wav, flac, ogg, opus, mp3 or aiff file, or its bytes.
        sampling_rate (`int`):
            Of the waveform, in Hz: the feature extractor's. The file's own rate is read from it, never assumed.
        name (`str`, *optional*):
            What errors call the sound; by default its path.
        max_duration_seconds (`float`, *optional*, defaults to 600.0):
            A longer file is refused, before it is decoded wherever its header tells the length.

    Returns:
        `np.ndarray` of shape `(num_samples,)`, float32. Several channels become their mean; where they cancel each
        other out, the loudest one.

    Raises:
        AudioBertInputError: the file is missing, empty, truncated, not audio, silent, shorter than 0.1 s, longer than
            `max_duration_seconds`, or holds values that are not finite.
    """
    return read_sound(source, name, max_duration_seconds).at_rate(sampling_rate)


def read_sound(
    source: str | os.PathLike | bytes, name: str | None = None, max_duration_seconds: float = MAX_DURATION_SECONDS
) -> Sound:
    """Return a file's sound at its own sampling rate; arguments and errors as in `load_audio`."""
    name = name or (f"{len(source)} bytes of audio" if isinstance(source, bytes) else str(source))
    with _opened(source, name) as file:
        _check_header(file, name, max_duration_seconds)
        waveform, energies = _mix(file, name, max_duration_seconds, channel=None)
        # Two channels in opposite phase: their mean is nearly nothing, though each can be heard.
        if len(energies) > 1 and np.square(waveform, dtype=np.float64).sum() < 1e-4 * energies.max():
            file.seek(0)
            waveform, _ = _mix(file, name, max_duration_seconds, channel=int(energies.argmax()))
        sampling_rate = file.samplerate
    _check_waveform(waveform, sampling_rate, name)
    return Sound(waveform, sampling_rate)


def check_audio_file(
    path: str | os.PathLike, name: str | None = None, max_duration_seconds: float = MAX_DURATION_SECONDS
) -> float:
    """Return the duration in seconds that a file's header names, without decoding it.

    Raises:
        AudioBertInputError: as `load_audio`, for all that can be told from the header and the file's length.
    """
    name = name or str(path)
    with _opened(path, name) as file:
        _check_header(file, name, max_duration_seconds)
        return file.frames / file.samplerate


class _opened:
    """Context of an open `soundfile.SoundFile`; libsndfile's errors, whenever they come, name the file."""

    def __init__(self, source: str | os.PathLike | bytes, name: str):
        self._name = name
        self._file = None
        if not isinstance(source, bytes):
            _check_is_file(Path(source), name)
        elif not source:
            raise AudioBertInputError(f"{_quoted(name)} is empty: replace the file, or leave the clip out.")
        self._source = io.BytesIO(source) if isinstance(source, bytes) else os.fspath(source)

    def __enter__(self) -> soundfile.SoundFile:
        try:
            self._file = soundfile.SoundFile(self._source)
        except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: a headerless format such as .raw
            raise self._unreadable(error) from error
        return self._file

    def __exit__(self, kind, error, traceback) -> None:
        self._file.close()
        if isinstance(error, soundfile.LibsndfileError):
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> AudioBertInputError:
        reason = str(error).rpartition(": ")[2].rstrip(".")
        if "does not exist" in reason:  # what mpg123 says of a file named .mp3 in which it finds no frame
            reason = "no mp3 frame found"
        return AudioBertInputError(
            f"{_quoted(self._name)} cannot be decoded: it is not audio, or it is damaged or truncated ({reason}). "
            f"Replace it by a wav, flac, ogg, opus or mp3 file, or leave the clip out."
        )


def _check_is_file(path: Path, name: str) -> None:
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise AudioBertInputError(f"{_quoted(name)} is missing: there is no such file.") from error
    except OSError as error:
        raise AudioBertInputError(f"{_quoted(name)} cannot be read: {error.strerror}.") from error
    if not stat.S_ISREG(found.st_mode):
        raise AudioBertInputError(f"{_quoted(name)} is not a file: give an audio file.")
    if not os.access(path, os.R_OK):
        raise AudioBertInputError(f"{_quoted(name)} cannot be read: you may not read that file.")
    if found.st_size == 0:
        raise AudioBertInputError(f"{_quoted(name)} is empty: replace the file, or leave the clip out.")


def _check_header(file: soundfile.SoundFile, name: str, max_duration_seconds: float) -> None:
    lowest, highest = _RATES_HZ
    if not lowest <= file.samplerate <= highest:
        raise AudioBertInputError(
            f"{_quoted(name)} names a sampling rate of {file.samplerate} Hz, which cannot be true of a recording "
            f"({lowest} to {highest} Hz). Write the file again with its real rate."
        )
    _check_log(file, name)
    _check_length(file.frames, file.samplerate, name, max_duration_seconds)


def _check_log(file: soundfile.SoundFile, name: str) -> None:
    log = file.extra_info
    cut = _DATA_CUT.search(log)
    cut_data = cut is not None and int(cut[2]) < int(cut[1]) < _UNKNOWN_LENGTH
    if cut_data or any(mark in log for mark in _CUT_MARKS):
        raise _truncated(name)


def _mix(
    file: soundfile.SoundFile, name: str, max_duration_seconds: float, channel: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of the channels (or one of them) and each channel's energy, read block by block."""
    limit = int(max_duration_seconds * file.samplerate)
    blocks, count = [], 0
    energies = np.zeros(file.channels)
    while True:
        block = file.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)  # (num_frames, num_channels)
        if not len(block):
            break
        count += len(block)
        # Some headers do not tell the length, so it is watched while reading too.
        if count > limit:
            raise _too_long(count / file.samplerate, name, max_duration_seconds, at_least=True)
        energies += np.square(block, dtype=np.float64).sum(axis=0)
        blocks.append(block.mean(axis=1) if channel is None else block[:, channel].copy())
    _check_log(file, name)  # libsndfile notices the missing end of an opus file only now
    if count < file.frames * (1 - _MISSING_SHARE):
        raise _truncated(name)
    return np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.float32), energies


def _check_waveform(waveform: np.ndarray, sampling_rate: int, name: str) -> None:
    _check_length(len(waveform), sampling_rate, name, None)
    if not np.isfinite(waveform).all():
        broken = int((~np.isfinite(waveform)).sum())
        raise AudioBertInputError(
            f"{_quoted(name)} holds {broken} samples that are not finite numbers (NaN or infinite). Write it again "
            f"without them, or leave the clip out."
        )
    peak = float(np.abs(waveform).max())
    if peak < _SILENCE_PEAK:
        what = "all zeros" if peak == 0 else f"nothing but noise {20 * np.log10(peak):.0f} dB below full scale"
        raise AudioBertInputError(f"{_quoted(name)} is silent ({what}): replace the file, or leave the clip out.")
    if peak > _LOUDEST_PEAK:
        raise AudioBertInputError(
            f"{_quoted(name)} has samples of up to {peak:g}, where full scale is 1.0: divide them by the scale they "
            f"were written with (32768 for 16-bit integers)."
        )


def _check_length(num_samples: int, sampling_rate: int, name: str, max_duration_seconds: float | None) -> None:
    seconds = num_samples / sampling_rate
    if seconds < MIN_DURATION_SECONDS:
        raise AudioBertInputError(
            f"{_quoted(name)} lasts {seconds:.3g} s; a clip needs at least {MIN_DURATION_SECONDS} s to be heard. "
            f"Replace the file, or leave the clip out."
        )
    if max_duration_seconds is not None and seconds > max_duration_seconds:
        raise _too_long(seconds, name, max_duration_seconds)


def _too_long(seconds: float, name: str, limit: float, at_least: bool = False) -> AudioBertInputError:
    return AudioBertInputError(
        f"{_quoted(name)} lasts {'more than ' if at_least else ''}{seconds:.0f} s; a clip may last {limit:g} s, since "
        f"one embedding stands for all of it. Cut out the sound that its caption names, or leave the clip out."
    )


def _truncated(name: str) -> AudioBertInputError:
    return AudioBertInputError(
        f"{_quoted(name)} is truncated: it ends before the length that its header names. Copy or download it again, "
        f"or leave the clip out."
    )


def _quoted(name: str) -> str:
    return f"the audio file '{name}'"
