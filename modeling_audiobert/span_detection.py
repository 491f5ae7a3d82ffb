"""Which tokens name a sound: by a second model, or by a probe on the language model's own pass."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch

from .adapter import adapter_off
from .errors import AudioBertInputError
from .head_positions import head_at
from .span_decoding import decode_spans


__all__ = ["SpanDetectionMixin"]


class SpanDetectionMixin:
    """The first stage: detect.

    Expects `config`, `retriever`, `language_model` and `span_detector` on the model.
    """

    @torch.no_grad()
    def detect_spans(
        self,
        input_ids: torch.LongTensor,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.LongTensor | None = None,
    ) -> torch.LongTensor:
        """Return the spans of each row as token ranges; see `decode_spans` for the shape.

        A trunk detector costs a pass of the language model without its head here; `forward` detects in the pass that
        it makes anyway.

        Raises:
            AudioBertInputError: the model has no tokenizer to tell words from marks, or the sequence is longer than
                a separate span detector reads.
        """
        self._check_length(input_ids)
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        in_trunk = self.config.detector == "trunk"
        if token_type_ids is not None and (self._text_arguments if in_trunk else self._detector_arguments):
            inputs["token_type_ids"] = token_type_ids
        if not in_trunk:
            return self._decode(self.span_detector(**inputs).logits, inputs)
        # In training too: dropout would blur what is found.
        with _evaluating(self.language_model), adapter_off(self.language_model):
            outputs = self.language_model.base_model(**inputs, output_hidden_states=True, return_dict=True)
        return self._spans_in_trunk(outputs.hidden_states, inputs)

    def _plain_pass_with_spans(self, inputs: dict) -> tuple[dict, torch.LongTensor]:
        """Return the outputs of the unmodified language model, and the spans that the trunk detector finds in them."""
        outputs = dict(self._plain_pass({**inputs, "output_hidden_states": True}))
        spans = self._spans_in_trunk(outputs["hidden_states"], inputs)
        wanted = inputs.get("output_hidden_states")
        if not (self.language_model.config.output_hidden_states if wanted is None else wanted):
            del outputs["hidden_states"]
        return outputs, spans

    def _plain_pass(self, inputs: dict) -> dict:
        """Run the unmodified language model; it is frozen, so this pass needs no graph, not even in training."""
        with torch.no_grad(), adapter_off(self.language_model):
            return self._run_language_model(inputs)

    def _run_language_model(self, inputs: dict) -> dict:
        """Run the language model as it stands; with `head_positions`, its head reads these positions alone."""
        inputs = dict(inputs)
        positions = inputs.pop("head_positions", None)
        with nullcontext() if positions is None else head_at(self.language_model, positions):
            return self.language_model(**inputs, return_dict=True)

    @torch.no_grad()
    def _spans_in_trunk(self, hidden_states: tuple[torch.Tensor, ...], inputs: dict) -> torch.LongTensor:
        hidden = hidden_states[self.config.detector_config.layer]
        return self._decode(self.span_detector(hidden, inputs.get("attention_mask")).logits, inputs)

    def _decode(self, logits: torch.Tensor, inputs: dict) -> torch.LongTensor:
        eligible = self._require_retriever("detect spans").eligible_tokens(inputs["input_ids"])
        if inputs.get("attention_mask") is not None:
            eligible = eligible & inputs["attention_mask"].bool()
        inside = 1 - logits.float().softmax(dim=-1)[..., 0]
        return decode_spans(inside, eligible, self.config.detector_threshold, self.config.max_spans)

    def _check_length(self, input_ids: torch.LongTensor) -> None:
        limit = getattr(self.config.detector_config, "max_position_embeddings", None)
        if limit is not None and input_ids.shape[1] > limit:
            raise AudioBertInputError(
                f"the sequence has {input_ids.shape[1]} tokens, the span detector reads {limit}. Truncate the text, "
                f"or pass span_positions."
            )


@contextmanager
def _evaluating(module: torch.nn.Module) -> Iterator[None]:
    was_training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(was_training)
