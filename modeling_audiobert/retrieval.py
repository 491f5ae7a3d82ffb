"""From spans to clips: the tokenizers, the query texts, and the audio bank."""

from pathlib import Path

import torch
from transformers import AutoFeatureExtractor, AutoTokenizer, BatchEncoding, PretrainedConfig

from .audio_bank import AudioBank
from .errors import AudioBertInputError


__all__ = ["AudioBertRetriever", "longest_query"]

_BANK_FOLDER = "bank"
_CLAP_TOKENIZER_FOLDER = "clap_tokenizer"


class AudioBertRetriever:
    """Everything beside the weights that an AudioBERT needs, saved and loaded with it in one folder.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): the language model's and the span detector's.
        clap_tokenizer (`PreTrainedTokenizerBase`): the CLAP text tower's.
        feature_extractor (`FeatureExtractionMixin`): the audio encoder's.
        bank (`AudioBank`): the clips to search.
    """

    def __init__(self, tokenizer, clap_tokenizer, feature_extractor, bank: AudioBank):
        self.tokenizer = tokenizer
        self.clap_tokenizer = clap_tokenizer
        self.feature_extractor = feature_extractor
        self.bank = bank

    def eligible_tokens(self, input_ids: torch.Tensor) -> torch.BoolTensor:
        """Return, in the shape of `input_ids`, False for padding, the mask token, and what marks a sentence's ends."""
        tokenizer = self.tokenizer
        names = ("pad", "mask", "cls", "sep", "bos", "eos")
        special = {getattr(tokenizer, f"{name}_token_id") for name in names} - {None}
        return ~torch.isin(input_ids, torch.tensor(sorted(special), device=input_ids.device))

    def span_texts(self, input_ids: torch.Tensor, span_positions: torch.Tensor) -> list[list[str]]:
        """Return the text of each span, decoded from its tokens, so that training and inference ask the same query.

        Args:
            input_ids (`torch.LongTensor` of shape `(batch_size, sequence_length)`).
            span_positions (`torch.LongTensor` of shape `(batch_size, num_spans, 2)`): -1 for no span.

        Returns:
            `list[list[str]]`: `num_spans` texts a row; empty for no span, or one of special tokens alone.
        """
        ids, spans = input_ids.tolist(), span_positions.tolist()
        return [
            [self._text(row_ids[start:end]) if start >= 0 else "" for start, end in row_spans]
            for row_ids, row_spans in zip(ids, spans, strict=True)
        ]

    def encode_queries(self, span_texts: list[str], query_template: str, max_length: int) -> BatchEncoding:
        """Return the CLAP tokenizer's `input_ids` and `attention_mask` of the queries for some spans.

        Args:
            span_texts (`list[str]`): at least one.
            query_template (`str`): with `{span}` in it.
            max_length (`int`): in tokens; what is longer is cut.
        """
        queries = [query_template.format(span=text) for text in span_texts]
        return self.clap_tokenizer(
            queries,
            padding=True,
            truncation=True,
            max_length=max_length,
            return_tensors="pt",
            return_token_type_ids=False,
        )

    def check_fingerprints(self, config: PretrainedConfig, bank: AudioBank | None = None) -> None:
        """Refuse a bank, by default the retriever's own, that another encoder made.

        Raises:
            AudioBertInputError: the keys or the values have another fingerprint than `config` names.
        """
        bank = self.bank if bank is None else bank
        checks = (
            ("keys", "CLAP", bank.key_fingerprint, config.clap_fingerprint),
            ("values", "audio encoder", bank.value_fingerprint, config.audio_encoder_fingerprint),
        )
        for kind, encoder, of_bank, of_model in checks:
            if of_bank != of_model:
                raise AudioBertInputError(
                    f"the {kind} of the audio bank ({len(bank)} clips) were made by {encoder} {of_bank}, this model's "
                    f"{encoder} is {of_model}; they do not belong together. Rebuild the bank for this model with "
                    f'"audiobert bank build", or load the model that this bank was built for.'
                )

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the tokenizers, the feature extractor and the bank into a model folder."""
        folder = Path(folder)
        self.tokenizer.save_pretrained(folder)
        self.clap_tokenizer.save_pretrained(folder / _CLAP_TOKENIZER_FOLDER)
        self.feature_extractor.save_pretrained(folder)
        self.bank.save(folder / _BANK_FOLDER)

    @classmethod
    def from_pretrained(
        cls, folder_or_repo: str | Path, bank_index: str = "saved", **hub_kwargs
    ) -> "AudioBertRetriever":
        """Read what `save_pretrained` wrote, from a local folder or a Hub repository.

        Args:
            folder_or_repo (`str` or `Path`): a folder or the id of a Hub repository.
            bank_index (`str`, *optional*, defaults to `"saved"`): `index` of [`AudioBank.load`].
            **hub_kwargs: `revision`, `token`, `cache_dir` and so on.

        Raises:
            AudioBertInputError: the bank is missing or damaged, or a tokenizer is missing.
        """
        bank_kwargs = {name: value for name, value in hub_kwargs.items() if name != "trust_remote_code"}
        bank = AudioBank.load(folder_or_repo, subfolder=_BANK_FOLDER, index=bank_index, **bank_kwargs)
        try:
            return cls(
                AutoTokenizer.from_pretrained(folder_or_repo, **hub_kwargs),
                AutoTokenizer.from_pretrained(folder_or_repo, subfolder=_CLAP_TOKENIZER_FOLDER, **hub_kwargs),
                AutoFeatureExtractor.from_pretrained(folder_or_repo, **hub_kwargs),
                bank,
            )
        except OSError as error:
            raise AudioBertInputError(
                f"'{folder_or_repo}' lacks a tokenizer or the feature extractor of an AudioBERT "
                f"({str(error).splitlines()[0]}). Save the model again with save_pretrained."
            ) from error

    def _text(self, ids: list[int]) -> str:
        return self.tokenizer.decode(ids, skip_special_tokens=True).strip()


def longest_query(clap_text_config: PretrainedConfig) -> int:
    """Return how many tokens CLAP's text tower reads.

    RoBERTa-like towers number positions from `pad_token_id` + 1 on, so they read that much less than they have.
    """
    return clap_text_config.max_position_embeddings - (clap_text_config.pad_token_id or 0) - 1
