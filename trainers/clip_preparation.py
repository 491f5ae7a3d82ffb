"""A clip's sound to what the encoders take: decoded, its features computed, or the reason why not."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from audiobert.modeling_audiobert.atomic_files import staged_file
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .audio_features import FeatureFiles, ast_features, clap_features, is_longer
from .audio_loading import Sound, check_audio_file, read_sound
from .clip_streams import StreamedClip, UnreachableSourceError


__all__ = ["ClipPreparer", "PreparedClip"]


@dataclass
class PreparedClip:
    """One decoded clip: features for both encoders, or why there are none.

    Args:
        content (`str`): a digest of the decoded samples and their rate; equal for copies of a sound.
        duration_seconds (`float`): as decoded.
        cpu_seconds (`float`): processor time that reading, decoding and features took.
    """

    clap_features: torch.Tensor | None = None
    ast_features: torch.Tensor | None = None
    content: str | None = None
    duration_seconds: float = 0.0
    audio: bytes | None = None
    problem: str | None = None
    cpu_seconds: float = 0.0

    @property
    def is_longer(self) -> bool:
        """Whether fused CLAP looks at the clip as a long one."""
        return self.clap_features is not None and is_longer(self.clap_features)


class ClipPreparer:
    """Reads and decodes clips and computes their features; what is wrong with a file is told, not raised.

    Args:
        extractors (`tuple`): CLAP's feature extractor and the audio encoder's.
        max_duration_seconds (`float`): see `load_audio`.
        embed_audio (`bool`): hand on the file's bytes.
        feature_cache (`Path`, *optional*): where features are kept.
    """

    def __init__(
        self,
        extractors: tuple[object, object],
        max_duration_seconds: float,
        embed_audio: bool = False,
        feature_cache: Path | None = None,
    ):
        self._extractors = extractors
        self._limit = max_duration_seconds
        self._embed_audio = embed_audio
        self._cache = None if feature_cache is None else Path(feature_cache)
        self._files = [FeatureFiles(feature_cache, extractor) for extractor in extractors] if feature_cache else None

    def __call__(self, entry: StreamedClip) -> PreparedClip:
        """Return one clip, prepared.

        Raises:
            UnreachableSourceError: a sound elsewhere cannot be had now, which says nothing about the sound.
            AudioBertInputError: the feature cache cannot be written.
        """
        started = time.thread_time()
        prepared = PreparedClip(problem=entry.problem)
        if entry.problem is None:
            try:
                sound, content = self._read(entry)
            except UnreachableSourceError:
                raise
            except AudioBertInputError as error:
                prepared.problem = str(error)
            else:
                prepared = self._prepared(sound, content)
        prepared.cpu_seconds = time.thread_time() - started
        return prepared

    def _prepared(self, sound: "_LazySound", content: bytes | None) -> PreparedClip:
        features = []
        for place, (extractor, compute) in enumerate(
            zip(self._extractors, (clap_features, ast_features), strict=True)
        ):
            if self._files is None:
                features.append(compute(sound.at_rate(extractor.sampling_rate), extractor))
            else:
                kept = self._files[place]
                raw = kept.get(kept.file(sound.digest), lambda rate=kept.sampling_rate: sound.at_rate(rate))
                features.append(kept.normalized(raw))
        audio = content if self._embed_audio else None
        return PreparedClip(*features, sound.content, sound.duration_seconds, audio)

    def _read(self, entry: StreamedClip) -> tuple["_LazySound", bytes | None]:
        if isinstance(entry.audio, Path):
            if not self._embed_audio and self._cache is None:
                return _LazySound(read_sound(entry.audio, max_duration_seconds=self._limit)), None
            check_audio_file(entry.audio, max_duration_seconds=self._limit)
        name = str(entry.audio) if isinstance(entry.audio, Path) else entry.clip.path
        try:
            content = entry.read()
        except OSError as error:
            raise AudioBertInputError(f"the audio file '{name}' cannot be read: {error.strerror or error}.") from error

        def decode() -> Sound:
            return read_sound(content, name, self._limit)

        if self._cache is None:
            return _LazySound(decode()), content
        return _LazySound.kept(hashlib.sha256(content).hexdigest(), decode, self._cache, self._limit), content


class _LazySound:
    """A sound that is decoded at once, or whose facts are known from an earlier time and which may not be needed."""

    def __init__(self, sound: Sound):
        self._decode: Callable[[], Sound] = lambda: sound
        self.digest = ""
        self.content = _content(sound)
        self.duration_seconds = sound.duration_seconds

    @classmethod
    def kept(cls, digest: str, decode: Callable[[], Sound], cache: Path, limit: float) -> "_LazySound":
        """Return the sound with a digest of its bytes, whose facts the cache may hold.

        Raises:
            AudioBertInputError: it cannot be used, or the cache cannot be written.
        """
        file = cache / "sounds" / digest[:2] / f"{digest}.json"
        try:
            facts = json.loads(file.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            facts = None
        if facts is None or facts["duration_seconds"] > limit:
            lazy = cls(decode())
            with staged_file(file) as temporary:
                temporary.write_text(
                    json.dumps({"content": lazy.content, "duration_seconds": lazy.duration_seconds}), encoding="utf-8"
                )
        else:
            lazy = cls.__new__(cls)
            lazy._decode, lazy.content, lazy.duration_seconds = decode, facts["content"], facts["duration_seconds"]
        lazy.digest = digest
        return lazy

    def at_rate(self, sampling_rate: int) -> np.ndarray:
        """Return the waveform at a sampling rate in Hz."""
        return self._decode().at_rate(sampling_rate)


def _content(sound: Sound) -> str:
    digest = hashlib.sha256(str(sound.sampling_rate).encode())
    digest.update(sound.waveform.data)
    return digest.hexdigest()[:32]
