"""AudioBERT for masked language modelling (arXiv 2409.08199)."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForTokenClassification,
    ClapTextModelWithProjection,
)
from transformers.utils import ModelOutput

from .adapter import attention_projections, inject_adapter
from .assembly import AudioBertParts, load_parts
from .audio_bank import AudioBank
from .compat import accepted_arguments, declare_tied_weights
from .configuration_audiobert import AudioBertConfig
from .errors import AudioBertInputError
from .head_positions import label_positions, prepare_head
from .hearing import Heard, HearingMixin
from .injection import Injection, injecting, prepare_for_injection, start_projection
from .pretrained_audiobert import AudioBertPreTrainedModel
from .retrieval import AudioBertRetriever
from .trunk_detector import TrunkDetector


if TYPE_CHECKING:
    # Only what this file imports relatively travels with a saved model (transformers 4.55: not what those import in
    # turn). The pipeline and the processor are found by name, from the model's configuration.
    from .atomic_files import staged_folder  # noqa: F401
    from .bank_index import BankIndex  # noqa: F401
    from .bank_storage import read_bank  # noqa: F401
    from .checkpoint_loading import load_part  # noqa: F401
    from .configuration_trunk_detector import TrunkDetectorConfig  # noqa: F401
    from .exact_search import nearest_keys  # noqa: F401
    from .faiss_index import FaissIndex  # noqa: F401
    from .fingerprint import audio_encoder_fingerprint  # noqa: F401
    from .hub_upload import upload_folder  # noqa: F401
    from .milvus_index import MilvusIndex  # noqa: F401
    from .model_card import audiobert_card  # noqa: F401
    from .pipeline_audiobert import AudioFillMaskPipeline  # noqa: F401
    from .processing_audiobert import AudioBertProcessor  # noqa: F401
    from .publishing import PublishingMixin  # noqa: F401
    from .sound_embedding import embed_sounds  # noqa: F401
    from .span_decoding import decode_spans  # noqa: F401
    from .span_detection import SpanDetectionMixin  # noqa: F401


__all__ = ["AudioBertForMaskedLM", "AudioBertOutput"]


@dataclass
class AudioBertOutput(ModelOutput):
    """What [`AudioBertForMaskedLM`] returns.

    Args:
        loss (`torch.FloatTensor` of shape `(1,)`, *optional*): masked-LM loss, if labels came.
        logits (`torch.FloatTensor` of shape `(batch_size, sequence_length, vocab_size)`):
            With `asked_logits_only`, these and `hearing_off_logits` are of shape `(batch_size, most_labels_of_a_row,
            vocab_size)`.
        hidden_states, attentions (tuples of `torch.FloatTensor`, *optional*): of the language model, if asked for.
        span_positions (`torch.LongTensor` of shape `(batch_size, num_spans, 2)`):
            Token ranges of the spans that were heard, -1 for none.
        clip_ids (`torch.LongTensor` of shape `(batch_size, num_spans, num_clips)`):
            Positions in the bank of the clips behind each span, -1 for none (also where sounds were passed in).
        similarities (`torch.FloatTensor` of shape `(batch_size, num_spans, num_clips)`):
            Their cosine similarities to the query, also of a clip that was not similar enough; None where clips or
            sounds were passed in without.
        hearing_off_logits (`torch.FloatTensor` of shape `(batch_size, sequence_length, vocab_size)`, *optional*):
            Those of the unmodified language model, if asked for.
    """

    loss: torch.FloatTensor | None = None
    logits: torch.FloatTensor | None = None
    hidden_states: tuple[torch.FloatTensor, ...] | None = None
    attentions: tuple[torch.FloatTensor, ...] | None = None
    span_positions: torch.LongTensor | None = None
    clip_ids: torch.LongTensor | None = None
    similarities: torch.FloatTensor | None = None
    hearing_off_logits: torch.FloatTensor | None = None


class AudioBertForMaskedLM(HearingMixin, AudioBertPreTrainedModel):
    """A masked language model that hears: spans are detected, clips retrieved, and their embeddings injected.

    In evaluation mode, rows without a span give the logits of the unmodified language model, bit for bit, whatever
    stands beside them.
    Only the adapter, the audio encoder and the projection are trainable.

    Args:
        config (`AudioBertConfig`): the model.
        parts (`AudioBertParts`, *optional*): modules to use instead of newly initialised ones.
        retriever (`AudioBertRetriever`, *optional*): tokenizers and audio bank. Without one, the model hears only
            what it is given: `span_positions` with `audio_values`.
    """

    def __init__(
        self,
        config: AudioBertConfig,
        parts: AudioBertParts | None = None,
        retriever: AudioBertRetriever | None = None,
    ):
        super().__init__(config)
        if not ClapTextModelWithProjection._supports_sdpa:
            # The choice for the whole reaches every sub-config, and a part that lacks it would refuse to be built.
            config.clap_config._attn_implementation = "eager"
        self.language_model = parts.language_model if parts else AutoModelForMaskedLM.from_config(config.text_config)
        self.span_detector = parts.span_detector if parts else _new_detector(config)
        self.clap_text = parts.clap_text if parts else ClapTextModelWithProjection(config.clap_config)
        self.audio_encoder = parts.audio_encoder if parts else AutoModel.from_config(config.audio_config)
        embedding_size = self.language_model.get_input_embeddings().embedding_dim
        value_dim = config.audio_config.hidden_size
        self.projection = nn.Linear(value_dim, embedding_size) if value_dim != embedding_size else nn.Identity()
        if config.lora_target_modules is None:
            config.lora_target_modules = attention_projections(self.language_model)
        inject_adapter(self.language_model, config)
        prepare_for_injection(self.language_model.get_input_embeddings())
        prepare_head(self.language_model)
        declare_tied_weights(self, "language_model")
        self.retriever = retriever
        self._text_arguments = accepted_arguments(self.language_model, "token_type_ids")
        self._detector_arguments = accepted_arguments(self.span_detector, "token_type_ids")
        self.post_init()
        self._after_loading()

    def forward(  # noqa: PLR0913 - one argument an input, as every model of transformers
        self,
        input_ids: torch.LongTensor,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.LongTensor | None = None,
        labels: torch.LongTensor | None = None,
        span_positions: torch.LongTensor | None = None,
        clip_ids: torch.LongTensor | None = None,
        similarities: torch.FloatTensor | None = None,
        audio_values: torch.FloatTensor | None = None,
        audio_ids: torch.LongTensor | None = None,
        hearing: bool | None = None,
        output_hearing_off: bool = False,
        asked_logits_only: bool = False,
        return_dict: bool | None = None,
        **kwargs,
    ) -> AudioBertOutput | tuple:
        """Predict the masked tokens; whatever is not given is computed.

        Args:
            input_ids (`torch.LongTensor` of shape `(batch_size, sequence_length)`).
            attention_mask (`torch.Tensor` of shape `(batch_size, sequence_length)`, *optional*): 0 for padding.
            token_type_ids (`torch.LongTensor` of that shape, *optional*): dropped where the language model has none.
            labels (`torch.LongTensor` of that shape, *optional*): token ids to predict, -100 where there is no loss.
            span_positions (`torch.LongTensor` of shape `(batch_size, num_spans, 2)`, *optional*):
                Half-open token ranges to hear, -1 for none. Left out: detected.
            clip_ids (`torch.LongTensor` of shape `(batch_size, num_spans)` or `(batch_size, num_spans, num_clips)`,
                *optional*): positions in the bank, -1 for none. Left out: retrieved.
            similarities (`torch.FloatTensor` in the shape of `clip_ids`, *optional*):
                Weights of several clips of a span, as a search returns them. Left out, they count alike.
            audio_values (`torch.FloatTensor` of shape `(num_sounds, num_frames, num_mel_bins)` or
                `(batch_size, num_spans, num_frames, num_mel_bins)`, *optional*):
                The audio encoder's input features of sounds to hear instead of retrieved clips. The bank is used only
                for spans that have no sound of `audio_ids`, but a clip of `clip_ids`.
            audio_ids (`torch.LongTensor` of shape `(batch_size, num_spans)` or `(batch_size, num_spans, num_clips)`,
                *optional*): each span's sounds in three-dimensional `audio_values`, -1 for none. A sound that occurs
                in several places is so encoded once.
            hearing (`bool`, *optional*, defaults to `config.hearing`): off, every row equals the language model's.
            output_hearing_off (`bool`, *optional*, defaults to `False`): also return `hearing_off_logits`.
            asked_logits_only (`bool`, *optional*, defaults to `False`):
                Compute logits for the positions that have labels alone: the same loss, sooner. All logits returned are
                then of shape `(batch_size, most_labels_of_a_row, vocab_size)`, a row's labels in their order;
                hidden states stay as they are.
            return_dict (`bool`, *optional*, defaults to `config.return_dict`).
            **kwargs: `output_hidden_states`, `output_attentions`; passed to the language model.

        Returns:
            `AudioBertOutput`, or a tuple of its fields that are not None.

        Raises:
            AudioBertInputError: inputs do not fit each other or the sequence, labels are asked for and not given, or
                the bank was made by other encoders.

        Source:
            arXiv 2409.08199, section II-B and figure 2.
        """
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids}
        text_inputs = {name: value for name, value in {**inputs, **kwargs}.items() if value is not None}
        if not self._text_arguments:
            text_inputs.pop("token_type_ids", None)
        if asked_logits_only:  # named without "label", or the Trainer would wait for it as one of the labels
            if labels is None:
                raise AudioBertInputError(
                    "asked_logits_only=True asks for logits at the labels, but no labels were given. Pass labels, or "
                    "leave asked_logits_only out."
                )
            text_inputs["head_positions"], labels = label_positions(labels)
        hearing_off = heard = None
        if self.config.hearing if hearing is None else hearing:
            if span_positions is None and self.config.detector == "trunk" and not self.training:
                hearing_off, span_positions = self._plain_pass_with_spans(text_inputs)
            heard = self._hear(inputs, span_positions, (audio_values, audio_ids), (clip_ids, similarities))
        if hearing_off is None and _needs_plain_pass(heard, output_hearing_off):
            # In use, all rows: the last bits of one depend on how many others there are. Training may differ.
            quiet_alone = self.training and heard is not None and not output_hearing_off
            hearing_off = self._plain_pass(_select_rows(text_inputs, ~heard.rows) if quiet_alone else text_inputs)
        hearing_on = self._hearing_pass(text_inputs, heard)
        merged = _merge_rows(hearing_off, hearing_on, heard)
        output = AudioBertOutput(
            loss=None if labels is None else self._loss(merged["logits"], labels),
            logits=merged["logits"],
            hidden_states=merged.get("hidden_states"),
            attentions=merged.get("attentions"),
            span_positions=heard and heard.span_positions.masked_fill(~heard.found.unsqueeze(-1), -1),
            clip_ids=heard and heard.clip_ids,
            similarities=heard and heard.similarities,
            hearing_off_logits=hearing_off["logits"] if output_hearing_off else None,
        )
        wants_dict = self.config.return_dict if return_dict is None else return_dict
        return output if wants_dict else output.to_tuple()

    @classmethod
    def from_parts(
        cls,
        language_model: str | os.PathLike,
        span_detector: str | os.PathLike,
        clap: str | os.PathLike,
        audio_encoder: str | os.PathLike,
        bank: AudioBank | str | os.PathLike | None = None,
        **config_kwargs,
    ) -> "AudioBertForMaskedLM":
        """Assemble an AudioBERT from Hub ids or local folders of the standard classes.

        Args:
            language_model: a masked language model (`BertForMaskedLM`, `RobertaForMaskedLM` …) with its tokenizer.
            span_detector: a token classifier (`BertForTokenClassification` …) over the same vocabulary, or a
                `TrunkDetector` that was trained on this language model. Its `detector_threshold`, if it has one, is
                taken over.
            clap: a `ClapModel` with its tokenizer and feature extractor.
            audio_encoder: an `ASTModel` with its feature extractor.
            bank (*optional*): an `AudioBank`, or where one was saved. Left out, it is empty and nothing is heard.
            **config_kwargs: settings of `AudioBertConfig`.

        Raises:
            AudioBertInputError: a part cannot be loaded, parts do not fit together, or the bank was made by others.
        """
        parts = load_parts(language_model, span_detector, clap, audio_encoder)
        config = parts.config(**config_kwargs)
        if bank is None:
            fingerprints = config.clap_fingerprint, config.audio_encoder_fingerprint
            bank = AudioBank.empty(config.clap_config.projection_dim, config.audio_config.hidden_size, *fingerprints)
        elif not isinstance(bank, AudioBank):
            bank = AudioBank.load(bank)
        retriever = AudioBertRetriever(parts.tokenizer, parts.clap_tokenizer, parts.feature_extractor, bank)
        retriever.check_fingerprints(config)
        model = cls(config, parts=parts, retriever=retriever).eval()
        if isinstance(model.projection, nn.Linear):
            start_projection(model.projection, bank.values, model.get_input_embeddings().weight)
        return model

    def _hearing_pass(self, inputs: dict, heard: Heard | None) -> dict | None:
        """Run the language model with its adapter on, for the rows with a span only; None if there are none."""
        if heard is None or not bool(heard.rows.any()):
            return None
        with injecting(self.get_input_embeddings(), self._injection(heard)):
            return self._run_language_model(_select_rows(inputs, heard.rows))

    def _injection(self, heard: Heard) -> Injection:
        where, span = heard.found.nonzero(as_tuple=True)
        first_tokens = heard.span_positions[where, span, 0]
        # Row numbers within the batch of only those rows that hear something.
        numbers = heard.rows.cumsum(dim=0) - 1
        dtype = self.projection.weight.dtype if isinstance(self.projection, nn.Linear) else heard.values.dtype
        values = self.projection(heard.values[where, span].to(dtype))
        return Injection(numbers[where], first_tokens, values, replaces=self.config.injection == "replace")

    def _loss(self, logits: torch.Tensor, labels: torch.LongTensor) -> torch.Tensor:
        labels = labels.to(logits.device)
        wanted = labels != -100
        loss = nn.functional.cross_entropy(logits[wanted].float(), labels[wanted], reduction="sum")
        loss = loss / wanted.sum().clamp(min=1)
        if self.training and torch.is_grad_enabled() and not loss.requires_grad:
            # A batch in which nothing is heard has no path to a trained weight; backward, and the other processes
            # of a distributed run, expect one.
            loss = loss + 0.0 * sum(weight.sum() for weight in self.parameters() if weight.requires_grad)
        return loss


def _new_detector(config: AudioBertConfig) -> nn.Module:
    if config.detector == "trunk":
        return TrunkDetector(config.detector_config)
    return AutoModelForTokenClassification.from_config(config.detector_config)


def _needs_plain_pass(heard: Heard | None, wants_hearing_off: bool) -> bool:
    return wants_hearing_off or heard is None or not bool(heard.rows.all())


def _select_rows(inputs: dict, rows: torch.BoolTensor) -> dict:
    if bool(rows.all()):
        return inputs
    return {
        name: value[rows] if isinstance(value, torch.Tensor) and value.shape[:1] == rows.shape else value
        for name, value in inputs.items()
    }


def _merge_rows(hearing_off: dict | None, hearing_on: dict | None, heard: Heard | None) -> dict:
    """Return the outputs of the hearing pass in the rows that hear, of the other pass in the others."""
    if hearing_on is None:
        return hearing_off
    if hearing_off is None or bool(heard.rows.all()):
        return hearing_on
    where, quiet = (rows.nonzero(as_tuple=True)[0] for rows in (heard.rows, ~heard.rows))

    def merge(off, on):
        if isinstance(off, tuple):
            return tuple(map(merge, off, on))
        if len(off) < len(heard.rows):
            off = off.new_zeros(len(heard.rows), *off.shape[1:]).index_copy(0, quiet, off)
        return off.index_copy(0, where, on.to(off.dtype))

    return {name: merge(hearing_off[name], hearing_on[name]) for name in hearing_on}


AudioBertForMaskedLM.register_for_auto_class("AutoModelForMaskedLM")
