"""CLAP models of the laion-clap package, with the interface of transformers' `ClapModel`."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import transformers
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import AutoTokenizer, ClapFeatureExtractor, PreTrainedTokenizerBase, RobertaConfig, RobertaModel

from audiobert.modeling_audiobert.checkpoint_loading import load_part
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .laion_clap_checkpoint import TOKENIZER_FOLDER


__all__ = ["LaionClap", "LaionWaveforms", "load_laion_clap", "new_laion_module"]

# laion_clap.hook: what its CLAP_Module reads of a text, and hears of a clip.
_MOST_TOKENS = 77
_SAMPLING_RATE = 48_000
_SECONDS = 10


class LaionClap(torch.nn.Module):
    """A CLAP of laion-clap that embeds clips and texts as a `ClapModel` would.

    Args:
        module (`laion_clap.CLAP_Module`): with its weights.
        text_config (`RobertaConfig`): of its text tower.
    """

    def __init__(self, module: torch.nn.Module, text_config: RobertaConfig):
        super().__init__()
        self.clap = module.model
        self.fused = module.enable_fusion
        longest = min(text_config.max_position_embeddings, _MOST_TOKENS + text_config.pad_token_id + 1)
        self.config = SimpleNamespace(
            text_config=SimpleNamespace(max_position_embeddings=longest, pad_token_id=text_config.pad_token_id),
            projection_dim=self.clap.joint_embed_shape,
        )
        self.audio_projection = self.clap.audio_projection
        self.text_projection = self.clap.text_projection

    def audio_model(self, input_features: torch.Tensor, is_longer: torch.Tensor) -> SimpleNamespace:
        """Return the audio tower's output, `pooler_output` of shape `(num_clips, hidden_size)`.

        Args:
            input_features (`torch.FloatTensor`):
                Fused, `(num_clips, 4, num_frames, num_mel_bins)`; otherwise waveforms, `(num_clips, 1, num_samples)`.
            is_longer (`torch.BoolTensor` of shape `(num_clips, 1)`): which clips are longer than the window.
        """
        clips = (
            {"mel_fusion": input_features, "longer": is_longer} if self.fused else {"waveform": input_features[:, 0]}
        )
        return SimpleNamespace(pooler_output=self.clap.encode_audio(clips, device=input_features.device)["embedding"])

    def text_model(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> SimpleNamespace:
        """Return the text tower's output, `pooler_output` of shape `(num_texts, hidden_size)`."""
        output = self.clap.text_branch(input_ids=input_ids, attention_mask=attention_mask)
        return SimpleNamespace(pooler_output=output["pooler_output"])


@dataclass(frozen=True)
class LaionWaveforms:
    """What an unfused CLAP of laion-clap takes of a clip: its waveform, since the model computes the spectrogram.

    A shorter clip is repeated as often as it fits whole, then filled with silence, of a longer one the beginning is
    taken (laion-clap takes a random part).
    """

    sampling_rate: int = _SAMPLING_RATE
    max_length_s: int = _SECONDS
    truncation: str = "beginning"
    padding: str = "repeatpad"

    def clip_features(self, waveform: np.ndarray) -> torch.Tensor:
        """Return a clip's waveform, `(1, num_samples)`, float32, as long as the window."""
        window = self.sampling_rate * self.max_length_s
        repeated = np.tile(waveform[:window], max(window // max(len(waveform), 1), 1))
        return torch.from_numpy(np.pad(repeated, (0, window - len(repeated))).astype(np.float32))[None]


def load_laion_clap(folder: str | os.PathLike) -> tuple[LaionClap, Any, PreTrainedTokenizerBase]:
    """Return a converted CLAP of laion-clap in evaluation mode, with its feature extractor and tokenizer.

    Nothing is requested from the Hub, and `sys.path` is left as it was, though laion-clap does both by itself (1.1.7).

    Args:
        folder (`str` or `Path`): written by `convert_laion_clap`.

    Raises:
        AudioBertInputError: laion-clap is not installed, or the folder is damaged.
    """
    folder = Path(folder)
    tokenizer = load_part(AutoTokenizer, folder / TOKENIZER_FOLDER)
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        text_config = RobertaConfig(**config["text_config"])
        module = new_laion_module(config["audio_model"], config["enable_fusion"], text_config, tokenizer)
        module.model.load_state_dict(load_file(folder / "model.safetensors"))
    except AudioBertInputError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError, SafetensorError) as error:
        raise AudioBertInputError(
            f"'{folder}' cannot be loaded ({str(error).splitlines()[0]}); convert the checkpoint again."
        ) from error
    return LaionClap(module, text_config).eval(), _extractor(config["enable_fusion"]), tokenizer


def new_laion_module(
    audio_model: str, enable_fusion: bool, text_config: RobertaConfig, tokenizer: PreTrainedTokenizerBase
) -> torch.nn.Module:
    """Return a `laion_clap.CLAP_Module` with random weights.

    Args:
        audio_model (`str`): laion-clap's name of the audio tower, such as `"HTSAT-tiny"`.
        text_config (`RobertaConfig`), tokenizer: what laion-clap would request from the Hub.

    Raises:
        AudioBertInputError: laion-clap is not installed.
    """
    with _local_parts(text_config, tokenizer):
        try:
            import laion_clap
        except ImportError as error:
            raise AudioBertInputError(
                f"a CLAP of laion-clap needs that package, which cannot be imported ({error}): "
                f'pip install "audiobert[laion-clap]" (numpy below 2), or use a ClapModel.'
            ) from error
        return laion_clap.CLAP_Module(enable_fusion=enable_fusion, device="cpu", amodel=audio_model)


def _extractor(enable_fusion: bool) -> LaionWaveforms | ClapFeatureExtractor:
    if not enable_fusion:
        return LaionWaveforms()
    return ClapFeatureExtractor(
        feature_size=64,
        sampling_rate=_SAMPLING_RATE,
        hop_length=480,
        max_length_s=_SECONDS,
        fft_window_size=1024,
        frequency_min=50,
        frequency_max=14_000,
        truncation="fusion",
        padding="repeatpad",
    )


@contextmanager
def _local_parts(text_config: RobertaConfig, tokenizer: PreTrainedTokenizerBase) -> Iterator[None]:
    """Hand laion-clap what it would download while it is imported and builds a model; keep `sys.path`.

    It calls `from_pretrained` of these classes by fixed Hub names, three of them at import, and has no argument for
    it. Its package appends its own folder to `sys.path`, where its module `evaluate` would stand for the library.
    """
    path = list(sys.path)
    with ExitStack() as stack:
        for name in ("BertTokenizer", "RobertaTokenizer", "BartTokenizer"):
            given = staticmethod(lambda *arguments, **settings: tokenizer)
            stack.enter_context(patch.object(getattr(transformers, name), "from_pretrained", given))
        empty = staticmethod(lambda *arguments, **settings: RobertaModel(text_config))
        stack.enter_context(patch.object(RobertaModel, "from_pretrained", empty))
        try:
            yield
        finally:
            sys.path[:] = path
