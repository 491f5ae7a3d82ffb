"""The values of a bank's clips, made anew after training has changed the audio encoder."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from tqdm import tqdm

from audiobert.modeling_audiobert.audio_bank import AudioBank
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .audio_encoding import encode_values
from .audio_features import ast_features
from .audio_loading import load_audio
from .bank_encoding import single_threaded


__all__ = ["BankFeatures", "refresh_values"]


class BankFeatures(Sequence):
    """The audio encoder's features of a bank's clips, decoded whenever they are asked for.

    Args:
        bank (`AudioBank`).
        feature_extractor (`ASTFeatureExtractor`): the audio encoder's.
        audio_dir (`str` or `Path`, *optional*):
            The folder that the clips' paths are relative to; not needed for clips whose audio the bank holds.

    Raises:
        AudioBertInputError: when asked for a clip whose audio is neither in the bank nor in `audio_dir`, or cannot be
            used.
    """

    def __init__(self, bank: AudioBank, feature_extractor, audio_dir: str | os.PathLike | None = None):
        self._clips = bank.clips.select(["id", "path", "audio"])
        self._extractor = feature_extractor
        self._audio_dir = audio_dir

    def __len__(self) -> int:
        return self._clips.num_rows

    def __getitem__(self, index: int) -> torch.Tensor:
        row = self._clips.slice(index, 1).to_pylist()[0]
        rate = self._extractor.sampling_rate
        if row["audio"] is not None:
            return ast_features(load_audio(row["audio"], rate, name=row["path"]), self._extractor)
        if self._audio_dir is None:
            raise AudioBertInputError(
                f"the audio bank does not hold the audio of clip '{row['id']}': give the folder that its path "
                f"'{row['path']}' is relative to, or build the bank with --embed-audio."
            )
        return ast_features(load_audio(Path(self._audio_dir) / row["path"], rate), self._extractor)


def refresh_values(
    audio_encoder: torch.nn.Module, features: Sequence[torch.Tensor], pooling: str = "mean"
) -> torch.Tensor:
    """Return the values that an audio encoder gives clips now: those of a bank built with it, bit for bit.

    Args:
        audio_encoder (`ASTModel`): encodes in evaluation mode, and is left in the mode it is in.
        features (`Sequence[torch.FloatTensor]`):
            Of each clip, `(num_frames, num_mel_bins)`: an `AudioFeatureCache`, or `BankFeatures` of a bank.
        pooling (`str`, *optional*, defaults to `"mean"`): see `embed_sounds`.

    Returns:
        `torch.FloatTensor` of shape `(num_clips, hidden_size)`, float32 on the CPU.
    """
    if not len(features):
        return torch.zeros(0, audio_encoder.config.hidden_size)
    on_cpu = next(audio_encoder.parameters()).device.type == "cpu"
    was_training = audio_encoder.training
    audio_encoder.eval()

    def encode(index: int) -> torch.Tensor:
        return encode_values(audio_encoder, features[index][None], pooling)

    try:
        with single_threaded() as num_threads, ThreadPoolExecutor(num_threads if on_cpu else 2) as pool:
            try:
                results = pool.map(encode, range(len(features)))
                counted = tqdm(results, total=len(features), desc="refreshing values", unit="clip", disable=None)
                return torch.cat(list(counted))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    finally:
        audio_encoder.train(was_training)
