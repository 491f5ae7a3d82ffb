"""The two kinds of span detector, as training and evaluation see them: something that labels encoded rows."""

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.data import Dataset
from tqdm import tqdm
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForTokenClassification,
    DataCollatorForTokenClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from audiobert.modeling_audiobert import AudioBertInputError, TrunkDetector, TrunkDetectorConfig
from audiobert.modeling_audiobert.checkpoint_loading import load_part
from audiobert.modeling_audiobert.compat import accepted_arguments
from audiobert.modeling_audiobert.fingerprint import language_model_fingerprint

from .detector_rows import IGNORED
from .masked_sentences import require_matching_vocabulary


__all__ = ["SeparateKind", "TrunkKind", "span_probabilities"]

LABELS = {0: "outside", 1: "span"}
_BATCH_TOKENS = 8192


class SeparateKind:
    """A token classifier of its own, which reads token ids.

    Args:
        language_model (`str`): the checkpoint to start from.
        tokenizer (`PreTrainedTokenizerBase`): its tokenizer.
    """

    def __init__(self, language_model: str, tokenizer: PreTrainedTokenizerBase):
        self.language_model = language_model
        self.tokenizer = tokenizer
        self.collator = DataCollatorForTokenClassification(tokenizer)

    def new_model(self) -> PreTrainedModel:
        """Return a detector to train, whose head is drawn from the global random state."""
        labels = {"num_labels": len(LABELS), "id2label": LABELS, "label2id": {name: i for i, name in LABELS.items()}}
        model = load_part(AutoModelForTokenClassification, self.language_model, complete=False, **labels)
        require_matching_vocabulary(self.tokenizer, model, self.language_model)
        return model

    def dataset(self, encoded: Sequence[dict[str, list[int]]], name: str) -> Sequence[dict[str, Any]]:
        """Return what the detector reads of encoded rows: themselves."""
        return encoded


class TrunkKind:
    """A probe on the hidden states of a frozen language model, which are computed once for all seeds and epochs.

    They stay in memory, in float32: 4 bytes x width of the language model for each token (AuditoryBench on BERT-base:
    some 1.4 GB).

    Args:
        language_model (`str`): the masked language model.
        tokenizer (`PreTrainedTokenizerBase`): its tokenizer.
        settings (`dict`): of `TrunkDetectorConfig`; without a `layer`, the middle one is read.

    Raises:
        AudioBertInputError: the language model cannot be loaded, or has no such layer.
    """

    def __init__(self, language_model: str, tokenizer: PreTrainedTokenizerBase, settings: dict[str, Any]):
        self.trunk = load_part(AutoModelForMaskedLM, language_model).eval()
        require_matching_vocabulary(tokenizer, self.trunk, language_model)
        if torch.accelerator.is_available():
            self.trunk = self.trunk.to(torch.accelerator.current_accelerator())
        self.tokenizer = tokenizer
        self.collator = HiddenStatesCollator()
        layers = self.trunk.config.num_hidden_layers
        settings = {name: value for name, value in settings.items() if value is not None}
        self.config = TrunkDetectorConfig(
            **{"layer": layers // 2, **settings},
            hidden_size=self.trunk.config.hidden_size,
            language_model_fingerprint=language_model_fingerprint(self.trunk),
            id2label=LABELS,
            label2id={name: index for index, name in LABELS.items()},
        )
        if self.config.layer > layers:
            raise AudioBertInputError(
                f"probe.layer={self.config.layer} is behind the last of the {layers} layers of '{language_model}'."
            )

    def new_model(self) -> TrunkDetector:
        """Return a probe to train, drawn from the global random state."""
        return TrunkDetector(TrunkDetectorConfig(**self.config.to_dict()))

    def dataset(self, encoded: Sequence[dict[str, list[int]]], name: str) -> "HiddenStates":
        """Return what the probe reads of encoded rows: hidden states, computed here."""
        return HiddenStates.compute(self.trunk, self.config.layer, self.tokenizer, encoded, name)


class HiddenStates(Dataset):
    """Hidden states of one layer for every token of some rows.

    Args:
        states (`torch.FloatTensor` of shape `(num_tokens, hidden_size)`): of all rows, one behind the other.
        labels (`list[list[int]]`): of each row.
    """

    def __init__(self, states: torch.Tensor, labels: list[list[int]]):
        self.states = states
        self.labels = labels
        self.ends = torch.tensor([len(row) for row in labels], dtype=torch.long).cumsum(dim=0).tolist()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, Any]:
        end = self.ends[index]
        return {"hidden_states": self.states[end - len(self.labels[index]) : end], "labels": self.labels[index]}

    @classmethod
    @torch.no_grad()
    def compute(
        cls,
        trunk: PreTrainedModel,
        layer: int,
        tokenizer: PreTrainedTokenizerBase,
        encoded: Sequence[dict[str, list[int]]],
        name: str,
    ) -> "HiddenStates":
        """Run the language model, without its head, over encoded rows."""
        labels = [row["labels"] for row in encoded]
        rows = cls(torch.empty(sum(map(len, labels)), trunk.config.hidden_size), labels)
        device = trunk.device
        inputs = ["input_ids", *accepted_arguments(trunk, "token_type_ids")]
        with tqdm(total=len(encoded), desc=f"hidden states, {name}", unit="row", disable=None) as progress:
            for batch in _batches_by_length([len(row) for row in labels]):
                chosen = [{key: encoded[index][key] for key in inputs if key in encoded[index]} for index in batch]
                padded = tokenizer.pad(chosen, return_tensors="pt").to(device)
                states = trunk.base_model(**padded, output_hidden_states=True, return_dict=True).hidden_states[layer]
                mask = padded["attention_mask"].bool()
                for place, index in enumerate(batch):
                    end = rows.ends[index]
                    rows.states[end - len(labels[index]) : end] = states[place, mask[place]].float().cpu()
                progress.update(len(batch))
        return rows


class HiddenStatesCollator:
    """Pads rows of a `HiddenStates` to batches for a `TrunkDetector`."""

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Return `hidden_states`, `attention_mask` and `labels` (-100 at the padding)."""
        labels = [torch.tensor(row["labels"]) for row in rows]
        pad = torch.nn.utils.rnn.pad_sequence
        return {
            "hidden_states": pad([row["hidden_states"] for row in rows], batch_first=True),
            "attention_mask": pad([torch.ones_like(row) for row in labels], batch_first=True),
            "labels": pad(labels, batch_first=True, padding_value=IGNORED),
        }


@torch.no_grad()
def span_probabilities(model: PreTrainedModel, dataset, collator, name: str) -> list[list[float]]:
    """Return the probability of each token to lie inside a span, for each row of a dataset; -1 for special tokens.

    Args:
        model: a detector of either kind.
        dataset: of its kind's `dataset`.
        collator: its kind's.
        name (`str`): for the progress bar.
    """
    model.eval()
    lengths = [len(dataset[index]["labels"]) for index in range(len(dataset))]
    found: list[list[float]] = [[] for _ in lengths]
    with tqdm(total=len(lengths), desc=f"detecting, {name}", unit="row", disable=None) as progress:
        for batch in _batches_by_length(lengths):
            inputs = {key: value.to(model.device) for key, value in collator([dataset[i] for i in batch]).items()}
            mask, labels = inputs["attention_mask"].bool(), inputs.pop("labels")
            inside = 1 - model(**inputs).logits.float().softmax(dim=-1)[..., 0]
            inside = inside.masked_fill(labels == IGNORED, -1.0)
            for place, index in enumerate(batch):
                found[index] = inside[place, mask[place]].tolist()
            progress.update(len(batch))
    return found


def _batches_by_length(lengths: Sequence[int]):
    """Yield the indices of rows of similar length, so many that they have about as many tokens."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    while order:
        count = max(1, _BATCH_TOKENS // max(1, lengths[order[min(len(order), 256) - 1]]))
        yield order[:count]
        order = order[count:]
