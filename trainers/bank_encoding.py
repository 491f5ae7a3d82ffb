"""Clips to keys and values, batch by batch, each batch kept on disk as soon as it is done."""

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from tqdm import tqdm
from transformers import AutoFeatureExtractor, AutoModel, AutoTokenizer, ClapModel

from audiobert.modeling_audiobert.atomic_files import staged_file
from audiobert.modeling_audiobert.audio_bank import AudioBank
from audiobert.modeling_audiobert.checkpoint_loading import load_part
from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.modeling_audiobert.fingerprint import audio_encoder_fingerprint, clap_fingerprint

from .audio_encoding import encode_keys, encode_values
from .audio_features import ast_features, clap_features
from .audio_loading import MAX_DURATION_SECONDS, load_audio, read_sound
from .clip_sources import Clip, ClipSource


__all__ = ["BankEncoders", "BankOptions", "EncodedBatch", "encode_clips", "load_bank_encoders", "refresh_values"]


@dataclass
class BankEncoders:
    """The models that make keys and values, in evaluation mode, with their feature extractors and CLAP's tokenizer."""

    clap: ClapModel
    clap_extractor: object
    clap_tokenizer: object
    audio_encoder: torch.nn.Module
    audio_extractor: object
    pooling: str = "mean"

    def fingerprints(self) -> tuple[str, str]:
        """Return the fingerprints of keys and values."""
        return (
            clap_fingerprint(self.clap, self.clap_extractor),
            audio_encoder_fingerprint(self.audio_encoder, self.audio_extractor, self.pooling),
        )


@dataclass(frozen=True)
class BankOptions:
    """How a bank is built.

    Args:
        skip_broken (`bool`): leave out clips whose file cannot be used, and report them.
        embed_audio (`bool`): keep the files' bytes in the bank, so that it can be played without them.
        batch_size (`int`): clips that are encoded at once, and lost at most when interrupted.
        max_duration_seconds (`float`): see `load_audio`.
        num_threads (`int`): threads that decode while the encoders compute.
    """

    skip_broken: bool = False
    embed_audio: bool = False
    batch_size: int = 32
    max_duration_seconds: float = MAX_DURATION_SECONDS
    num_threads: int = 2


@dataclass
class EncodedBatch:
    """Some clips of a source, encoded.

    Args:
        keys (`torch.FloatTensor` of shape `(num_clips, key_dim)`), values (`(num_clips, value_dim)`): of the clips in
            `seconds`, in its order.
        seconds (`dict[str, float]`): the duration of each clip, by its id.
        broken (`dict[str, str]`): of each clip that could not be used, the reason, by its id.
    """

    keys: torch.Tensor
    values: torch.Tensor
    seconds: dict[str, float]
    broken: dict[str, str]

    def save(self, file: Path) -> None:
        """Write the batch; half of it is never seen.

        Raises:
            AudioBertInputError: the disk is full, or the place cannot be written to.
        """
        facts = {"seconds": json.dumps(self.seconds), "broken": json.dumps(self.broken)}
        with staged_file(file) as temporary:
            save_file({"keys": self.keys, "values": self.values}, temporary, metadata=facts)

    @classmethod
    def load(cls, file: Path) -> "EncodedBatch | None":
        """Return a kept batch, or None where there is none, or a power cut left half of one."""
        try:
            with safe_open(file, "pt") as stored:
                facts = stored.metadata()
                tensors = stored.get_tensor("keys"), stored.get_tensor("values")
        except (FileNotFoundError, SafetensorError):
            return None
        return cls(*tensors, json.loads(facts["seconds"]), json.loads(facts["broken"]))


@dataclass
class _Prepared:
    """One decoded clip: features for both encoders and its duration, or why there are none."""

    clip_features: torch.Tensor | None = None
    ast_features: torch.Tensor | None = None
    seconds: float = 0.0
    broken: str | None = None


def load_bank_encoders(clap: str | os.PathLike, audio_encoder: str | os.PathLike) -> BankEncoders:
    """Load CLAP and audio encoder from local folders or the Hub, in evaluation mode.

    Raises:
        AudioBertInputError: one of them cannot be loaded, or is of another kind.
    """
    return BankEncoders(
        clap=load_part(ClapModel, clap).eval(),
        clap_extractor=load_part(AutoFeatureExtractor, clap),
        clap_tokenizer=load_part(AutoTokenizer, clap),
        audio_encoder=load_part(AutoModel, audio_encoder).eval(),
        audio_extractor=load_part(AutoFeatureExtractor, audio_encoder),
    )


def encode_clips(
    clips: Sequence[Clip], source: ClipSource, encoders: BankEncoders, work: Path, options: BankOptions
) -> list[EncodedBatch]:
    """Return the clips' keys and values in batches, in order; what `work` holds of them is not computed again.

    The same clips always make a batch, so that a resumed run multiplies the very same matrices and gives the same
    bits. (Both feature extractors bring every clip to one length, so that sorting clips by length would save nothing.)

    Raises:
        AudioBertInputError: a clip's file cannot be used and `options.skip_broken` is False; or `work` cannot be
            written to.
    """
    fingerprints = encoders.fingerprints()
    batches = [clips[start : start + options.batch_size] for start in range(0, len(clips), options.batch_size)]
    files = [work / f"{_batch_digest(batch, source, fingerprints, options)}.safetensors" for batch in batches]
    results = [EncodedBatch.load(file) for file in files]
    missing = [index for index, result in enumerate(results) if result is None]
    decoding: dict[int, list[Future]] = {}
    done = sum(len(batches[index]) for index, result in enumerate(results) if result is not None)
    with (
        tqdm(total=len(clips), initial=done, desc="encoding clips", unit="clip", disable=None) as bar,
        ThreadPoolExecutor(options.num_threads) as pool,
    ):
        try:
            for position, index in enumerate(missing):
                for ahead in missing[position : position + 2]:
                    if ahead not in decoding:
                        decoding[ahead] = [
                            pool.submit(_prepare, clip, source, encoders, options) for clip in batches[ahead]
                        ]
                prepared = [future.result() for future in decoding.pop(index)]
                results[index] = _encode(batches[index], prepared, encoders)
                results[index].save(files[index])
                bar.update(len(batches[index]))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return results


def refresh_values(
    bank: AudioBank,
    audio_encoder: torch.nn.Module,
    feature_extractor,
    audio_dir: str | os.PathLike | None = None,
    pooling: str = "mean",
) -> torch.Tensor:
    """Return the values that an audio encoder gives a bank's clips now, after training has changed it.

    Args:
        bank (`AudioBank`): unchanged.
        audio_encoder (`ASTModel`): encodes in evaluation mode, and is left in the mode it is in.
        feature_extractor (`ASTFeatureExtractor`): its own.
        audio_dir (`str` or `Path`, *optional*):
            The folder that the clips' paths are relative to; not needed for clips whose audio the bank holds.
        pooling (`str`, *optional*, defaults to `"mean"`): see `pool_audio`.

    Returns:
        `torch.FloatTensor` of shape `(num_clips, hidden_size)`, float32 on the CPU.

    Raises:
        AudioBertInputError: a clip's audio is neither in the bank nor in `audio_dir`, or cannot be used.
    """
    batch_size = BankOptions.batch_size
    was_training = audio_encoder.training
    audio_encoder.eval()
    values = []
    try:
        with tqdm(total=len(bank), desc="refreshing values", unit="clip", disable=None) as bar:
            for start in range(0, len(bank), batch_size):
                rows = bank.clips.slice(start, batch_size).select(["id", "path", "audio"]).to_pylist()
                sounds = [_clip_audio(row, audio_dir, feature_extractor.sampling_rate) for row in rows]
                features = torch.stack([ast_features(sound, feature_extractor) for sound in sounds])
                values.append(encode_values(audio_encoder, features, pooling))
                bar.update(len(rows))
    finally:
        audio_encoder.train(was_training)
    return torch.cat(values) if values else torch.zeros_like(bank.values)


def _clip_audio(row: dict, audio_dir: str | os.PathLike | None, sampling_rate: int):
    if row["audio"] is not None:
        return load_audio(row["audio"], sampling_rate, name=row["path"])
    if audio_dir is None:
        raise AudioBertInputError(
            f"the audio bank does not hold the audio of clip '{row['id']}': give the folder that its path "
            f"'{row['path']}' is relative to, or build the bank with --embed-audio."
        )
    return load_audio(Path(audio_dir) / row["path"], sampling_rate)


def _prepare(clip: Clip, source: ClipSource, encoders: BankEncoders, options: BankOptions) -> _Prepared:
    try:
        sound = read_sound(source.file(clip), max_duration_seconds=options.max_duration_seconds)
    except AudioBertInputError as error:
        if options.skip_broken:
            return _Prepared(broken=str(error))
        raise
    clap_rate, audio_rate = encoders.clap_extractor.sampling_rate, encoders.audio_extractor.sampling_rate
    return _Prepared(
        clap_features(sound.at_rate(clap_rate), encoders.clap_extractor),
        ast_features(sound.at_rate(audio_rate), encoders.audio_extractor),
        sound.duration_seconds,
    )


def _encode(clips: Sequence[Clip], prepared: Sequence[_Prepared], encoders: BankEncoders) -> EncodedBatch:
    usable = [(clip, part) for clip, part in zip(clips, prepared, strict=True) if part.broken is None]
    broken = {clip.id: part.broken for clip, part in zip(clips, prepared, strict=True) if part.broken is not None}
    if not usable:
        return EncodedBatch(torch.zeros(0), torch.zeros(0), {}, broken)
    return EncodedBatch(
        encode_keys(encoders.clap, torch.stack([part.clip_features for _, part in usable])),
        encode_values(
            encoders.audio_encoder, torch.stack([part.ast_features for _, part in usable]), encoders.pooling
        ),
        {clip.id: part.seconds for clip, part in usable},
        broken,
    )


def _batch_digest(
    clips: Sequence[Clip], source: ClipSource, fingerprints: tuple[str, str], options: BankOptions
) -> str:
    """Return a name for what comes out of a batch; another encoder, clip or file content gives another one."""
    digest = hashlib.sha256(json.dumps([fingerprints, options.skip_broken, options.max_duration_seconds]).encode())
    for clip in clips:
        found = source.file(clip).stat()
        digest.update(json.dumps([clip.id, clip.path, found.st_size, found.st_mtime_ns]).encode())
    return digest.hexdigest()[:32]
