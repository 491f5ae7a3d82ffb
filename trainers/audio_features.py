"""Log-mel features of clips, computed once and kept on disk, so that training does not decode every epoch."""

import copy
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm
from transformers import ASTFeatureExtractor, ClapFeatureExtractor

from audiobert.modeling_audiobert.atomic_files import staged_file

from .audio_loading import load_audio
from .clip_sources import Clip


__all__ = ["AudioFeatureCache", "FeatureFiles", "ast_features", "clap_features", "is_longer", "normalize_ast"]

_FUSION_CHANNELS = 4


def clap_features(waveform: np.ndarray, feature_extractor: ClapFeatureExtractor) -> torch.Tensor:
    """Return a clip's log-mel features for CLAP; they depend on the clip alone.

    Two things that `ClapFeatureExtractor` draws from NumPy's global random state are settled here (transformers 4.55
    to 5.23): where a long clip is cut, and which clip of a batch of short ones is marked as long.

    Args:
        waveform (`np.ndarray` of shape `(num_samples,)`):
            float32, mono, at the feature extractor's sampling rate.
        feature_extractor (`ClapFeatureExtractor`):
            With `truncation="rand_trunc"` (unfused CLAP) a clip longer than its window is represented by its
            beginning, as by `ASTFeatureExtractor`; with `"fusion"` by the whole, shrunk, and the middle window of
            each third. One of another CLAP has a method `clip_features(waveform)`, which is called instead.

    Returns:
        `torch.FloatTensor` of shape `(channels, num_frames, num_mel_bins)`: 1 channel, or 4 with fusion, which are
        equal for a clip that fits into the window (see `is_longer`).
    """
    if hasattr(feature_extractor, "clip_features"):
        return feature_extractor.clip_features(waveform)
    window = feature_extractor.nb_max_samples
    if feature_extractor.truncation != "fusion":
        return _clap_call(waveform[:window], feature_extractor, window)
    if len(waveform) <= window:
        return _clap_call(waveform, feature_extractor, window)
    mel = _clap_call(waveform, feature_extractor, len(waveform))[0]  # (num_frames, num_mel_bins)
    chunk = window // feature_extractor.hop_length + 1
    if len(mel) <= chunk:
        return mel[:chunk].expand(_FUSION_CHANNELS, -1, -1).contiguous()
    thirds = np.array_split(np.arange(len(mel) - chunk + 1), 3)
    starts = [int(third[len(third) // 2]) if len(third) else 0 for third in thirds]
    shrunk = torch.nn.functional.interpolate(mel[None, None], size=(chunk, mel.shape[1]), mode="bilinear")[0, 0]
    return torch.stack([shrunk, *(mel[start : start + chunk] for start in starts)])


def is_longer(features: torch.Tensor) -> bool:
    """Return whether fused CLAP has to look at a clip as a long one: the four channels of its features differ."""
    return len(features) == _FUSION_CHANNELS and not torch.equal(features[0], features[1])


def ast_features(waveform: np.ndarray, feature_extractor: ASTFeatureExtractor) -> torch.Tensor:
    """Return a clip's log-mel features for the audio spectrogram transformer.

    Args:
        waveform (`np.ndarray` of shape `(num_samples,)`):
            float32, mono, at the feature extractor's sampling rate. A clip longer than its window is represented by
            its beginning.
        feature_extractor (`ASTFeatureExtractor`):
            Called as it is, so that the features are those that AudioBERT's processor computes.

    Returns:
        `torch.FloatTensor` of shape `(num_frames, num_mel_bins)`.
    """
    features = feature_extractor(waveform, sampling_rate=feature_extractor.sampling_rate, return_tensors="pt")
    return features["input_values"][0]


def normalize_ast(features: torch.Tensor, feature_extractor: ASTFeatureExtractor) -> torch.Tensor:
    """Return features that were computed with `do_normalize=False` as the feature extractor would normalise them."""
    return (features - feature_extractor.mean) / (feature_extractor.std * 2)


class FeatureFiles:
    """Log-mel features on disk: a file a sound, computed and kept where there is none yet.

    It is named by a digest of the audio file's bytes and of what decides the features: so runs, sources and copies of
    a clip share it, and a changed sound is computed anew. AST features are kept before normalisation, so that its mean
    and deviation can be learned from them.

    Args:
        folder (`str` or `Path`):
            Made when needed. About 64 kB a second of 128 mel bins; it can be deleted at any time.
        feature_extractor (`ClapFeatureExtractor` or `ASTFeatureExtractor`):
            What computes the features.
    """

    def __init__(self, folder: str | os.PathLike, feature_extractor):
        self.feature_extractor = feature_extractor
        self.sampling_rate = feature_extractor.sampling_rate
        self._is_clap = isinstance(feature_extractor, ClapFeatureExtractor)
        self._extractor = copy.copy(feature_extractor)
        if not self._is_clap:
            self._extractor.do_normalize = False
        self.folder = Path(folder) / _settings_digest(self._extractor)

    def file(self, digest: str) -> Path:
        """Return where the features of a sound are, or will be."""
        return self.folder / digest[:2] / f"{digest}.npy"

    def get(self, file: Path, waveform: Callable[[], np.ndarray]) -> torch.Tensor:
        """Return features before normalisation.

        Args:
            file (`Path`): see `file`.
            waveform (`Callable`): returns the sound at `sampling_rate`; called if there is no such file.

        Raises:
            AudioBertInputError: they cannot be written.
        """
        features = _read(file)
        if features is None:
            compute = clap_features if self._is_clap else ast_features
            features = compute(waveform(), self._extractor).numpy()
            with staged_file(file) as temporary, temporary.open("wb") as stream:
                np.lib.format.write_array(stream, features, allow_pickle=False)
        return torch.from_numpy(features)

    def normalized(self, features: torch.Tensor) -> torch.Tensor:
        """Return features as the encoder takes them."""
        if self._is_clap or not self.feature_extractor.do_normalize:
            return features
        return normalize_ast(features, self.feature_extractor)


class AudioFeatureCache:
    """The log-mel features of clips, mapped from disk into memory, computed and kept there where they are not yet.

    Args:
        folder (`str` or `Path`): of the cache; see `FeatureFiles`.
        clips (`Sequence[Clip]`):
            What to index; `cache[i]` belongs to `clips[i]`.
        feature_extractor (`ClapFeatureExtractor` or `ASTFeatureExtractor`):
            What computes the features.
        audio_dir (`str` or `Path`):
            The folder that the clips' paths are relative to.

    Raises:
        AudioBertInputError: when asked for a clip whose file cannot be read (see `load_audio`), or when the cache
            cannot be written.
    """

    def __init__(
        self, folder: str | os.PathLike, clips: Sequence[Clip], feature_extractor, audio_dir: str | os.PathLike
    ):
        self.clips = tuple(clips)
        self.audio_dir = Path(audio_dir)
        self._kept = FeatureFiles(folder, feature_extractor)
        self._files: dict[int, Path] = {}

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> torch.Tensor:
        """Return one clip's features, float32.

        Returns:
            `(num_frames, num_mel_bins)` as the audio spectrogram transformer takes them, normalised; for CLAP
            `(channels, num_frames, num_mel_bins)`.
        """
        return self._kept.normalized(self.raw(index))

    def raw(self, index: int) -> torch.Tensor:
        """Return one clip's features before normalisation, in the shape of `__getitem__`."""
        path = self.audio_dir / self.clips[index].path
        return self._kept.get(self._file(index), lambda: load_audio(path, self._kept.sampling_rate))

    def prepare(self, description: str = "reading clips", num_threads: int = 2) -> "AudioFeatureCache":
        """Compute what is not on disk yet, with a progress bar; return the cache.

        Raises:
            AudioBertInputError: a clip's file cannot be read; names the first such file.
        """
        indices = range(len(self))
        with ThreadPoolExecutor(num_threads) as pool:
            try:
                for _ in tqdm(
                    pool.map(self.raw, indices), total=len(self), desc=description, unit="clip", disable=None
                ):
                    pass
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return self

    def _file(self, index: int) -> Path:
        if index not in self._files:
            self._files[index] = self._kept.file(self._audio_digest(index))
        return self._files[index]

    def _audio_digest(self, index: int) -> str:
        path = self.audio_dir / self.clips[index].path
        digest = hashlib.sha256()
        try:
            with path.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
        except OSError:
            load_audio(path, self._kept.sampling_rate)  # says what is wrong with the file
            raise
        return digest.hexdigest()


def _clap_call(waveform: np.ndarray, feature_extractor: ClapFeatureExtractor, window: int) -> torch.Tensor:
    """Return `input_features` of one clip that is not longer than `window` samples, so that nothing is drawn."""
    features = feature_extractor(
        waveform, max_length=window, sampling_rate=feature_extractor.sampling_rate, return_tensors="np"
    )
    return torch.from_numpy(np.asarray(features["input_features"][0], dtype=np.float32))


def _settings_digest(feature_extractor) -> str:
    """Return a digest of what decides the features, and of our own reading of long clips (by its number)."""
    settings = {
        name: value
        for name, value in sorted(feature_extractor.to_dict().items())
        if isinstance(value, bool | int | float | str) and name not in ("mean", "std", "processor_class")
    }
    text = json.dumps([type(feature_extractor).__name__, settings, 1], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read(file: Path) -> np.ndarray | None:
    """Return an array on disk, mapped into memory, or None where there is none, or a power cut left half of one.

    Copy-on-write, since torch wants to be allowed to write; the file never changes. Objects (pickles) are refused.
    """
    try:
        return np.lib.format.open_memmap(file, mode="c")
    except (FileNotFoundError, ValueError, EOFError):
        return None
