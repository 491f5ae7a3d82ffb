"""The pipeline `"audio-fill-mask"`: fill-mask with the evidence behind each prediction."""

from transformers import FillMaskPipeline

from .span_decoding import span_character_range


__all__ = ["AudioFillMaskPipeline"]


class AudioFillMaskPipeline(FillMaskPipeline):
    """Fills masks as the stock pipeline does, and shows what was heard, and what the model says with hearing off.

    Takes the arguments of [`FillMaskPipeline`] (`targets`, `top_k`, `tokenizer_kwargs`). Each sentence gives a `dict`:

    - **predictions**: what [`FillMaskPipeline`] returns for it: a list of `score`, `token`, `token_str`, `sequence`
      (a list of such lists where it has several masks);
    - **hearing_off**: the same by the unmodified language model;
    - **spans**: for each span its `text`, `start` and `end` (characters, half-open), and its `clips`: `id`, `caption`,
      `label`, `licence`, `path` and cosine `similarity`, best first.

    ```python
    >>> from transformers import pipeline

    >>> hear = pipeline("audio-fill-mask", model=folder_or_hub_id, trust_remote_code=True)
    >>> hear("meow is the sound a [MASK] makes.")["spans"][0]["text"]
    'meow'
    ```
    """

    def preprocess(self, inputs, return_tensors=None, tokenizer_kwargs=None, **preprocess_parameters):
        """Tokenize one sentence, and remember it for the evidence."""
        model_inputs = super().preprocess(inputs, return_tensors, tokenizer_kwargs, **preprocess_parameters)
        model_inputs["text"] = inputs
        model_inputs["tokenizer_kwargs"] = tokenizer_kwargs or {}
        return model_inputs

    def _forward(self, model_inputs):
        asked = {name: model_inputs.pop(name) for name in ("text", "tokenizer_kwargs")}
        outputs = self.model(**model_inputs, output_hearing_off=True)
        outputs["input_ids"] = model_inputs["input_ids"]
        # One sentence comes bare, a batch as a list; the pipeline splits a batch's outputs by row.
        for name, value in asked.items():
            outputs[name] = value if isinstance(value, list) else [value]
        return outputs

    def postprocess(self, model_outputs, top_k=5, target_ids=None):
        """Return predictions with and without hearing, and the evidence."""
        off = {"input_ids": model_outputs["input_ids"], "logits": model_outputs["hearing_off_logits"]}
        return {
            "predictions": super().postprocess(model_outputs, top_k, target_ids),
            "hearing_off": super().postprocess(off, top_k, target_ids),
            "spans": self._spans(model_outputs),
        }

    def _spans(self, outputs) -> list[dict]:
        if outputs.get("span_positions") is None:
            return []
        text, tokenizer_kwargs = (_only(outputs[name]) for name in ("text", "tokenizer_kwargs"))
        offsets = self.tokenizer(text, return_offsets_mapping=True, **tokenizer_kwargs)["offset_mapping"]
        spans = []
        positions, clip_ids, similarities = (
            outputs[name][0].tolist() for name in ("span_positions", "clip_ids", "similarities")
        )
        for (first, last), ids, cosines in zip(positions, clip_ids, similarities, strict=True):
            if first < 0:
                continue
            start, end = span_character_range(offsets, first, last)
            clips = [self._clip(clip_id, cosine) for clip_id, cosine in zip(ids, cosines, strict=True) if clip_id >= 0]
            spans.append({"text": text[start:end], "start": start, "end": end, "clips": clips})
        return spans

    def _clip(self, clip_id: int, similarity: float) -> dict:
        clip = self.model.bank.clip(clip_id)
        shown = {name: clip[name] for name in ("id", "caption", "label", "licence", "path")}
        return {**shown, "similarity": similarity}


def _only(value):
    return value[0] if isinstance(value, list) else value
