"""A language model of any kind, asked the rows of AuditoryBench by one of the protocols."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

from audiobert.modeling_audiobert.checkpoint_loading import load_part
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .causal_scoring import answer_by_likelihood
from .hearing_settings import DEFAULT_SETTINGS, HearingSettings
from .length_free_scoring import answer_among_candidates, answer_without_length
from .masked_questions import longest_input, questions_of
from .masked_scoring import Answer, MaskedReader, answer_questions
from .masked_sentences import require_mask_token, require_matching_vocabulary
from .model_kind import AUDIOBERT, CAUSAL, model_kind


__all__ = ["CANDIDATES", "FREE", "GIVEN", "PROTOCOLS", "Examinee", "load_examinee"]

GIVEN, FREE, CANDIDATES = "given", "free", "candidates"
PROTOCOLS = {GIVEN: "answer length given", FREE: "answer length not given", CANDIDATES: "candidates"}
"""Protocol as it is asked for → as results name it."""


@dataclass(frozen=True)
class Examinee:
    """A loaded model.

    Args:
        reader (`MaskedReader`): the model; of a causal one its mask tokens are never used.
        kind (`str`): of [`model_kind`].
        protocol (`str`): a key of `PROTOCOLS`.
    """

    reader: MaskedReader
    kind: str
    protocol: str

    @property
    def model_type(self) -> str:
        """The `model_type` of its configuration."""
        return self.reader.model.config.model_type

    @property
    def bank(self) -> dict[str, Any] | None:
        """What an AudioBERT's bank holds, and what its keys were made of; None for a model that cannot hear."""
        retriever = getattr(self.reader.model, "retriever", None)
        if retriever is None:
            return None
        return {"clips": len(retriever.bank), "key_source": retriever.bank.key_source}

    def answers(
        self, rows: Sequence[dict[str, Any]], train_answers: Sequence[str] = ()
    ) -> dict[str | None, list[Answer]]:
        """Return the answers to some rows by setting of hearing; under None for a model that cannot hear.

        Args:
            rows: of AuditoryBench, each with one gap.
            train_answers (`Sequence[str]`, *optional*): the candidates of rows without choices, for that protocol.

        Raises:
            AudioBertInputError: a row cannot be asked.
        """
        model, tokenizer = self.reader.model, self.reader.tokenizer
        if self.kind == CAUSAL:
            return {None: answer_by_likelihood(model, tokenizer, rows, train_answers, self.reader.batch_size)}
        limit = longest_input(tokenizer, model)
        questions = questions_of(rows, tokenizer, limit)
        if self.protocol == FREE:
            return answer_without_length(self.reader, questions, limit)
        if self.protocol == CANDIDATES:
            return answer_among_candidates(self.reader, questions, train_answers, limit)
        return answer_questions(self.reader, questions)


def load_examinee(
    name_or_path: str | Path,
    protocol: str | None = None,
    hearing: Sequence[str] | None = None,
    batch_size: int = 32,
    seed: int = 0,
) -> Examinee:
    """Return a model, ready to be asked, on the accelerator where there is one.

    Args:
        name_or_path (`str` or `Path`): a folder or Hub id of an AudioBERT, or of any masked or causal language model.
        protocol (`str`, *optional*): a key of `PROTOCOLS`; by default `"given"`, of a causal model `"candidates"`.
        hearing (`Sequence[str]`, *optional*): settings of [`HearingSettings`], for an AudioBERT.
        batch_size (`int`, *optional*, defaults to 32), seed (`int`, *optional*, defaults to 0).

    Raises:
        AudioBertInputError: the model cannot be loaded or is of neither kind, has no mask token, or cannot be asked
            like that.
    """
    name = str(name_or_path)
    kind = model_kind(name)
    protocol = protocol or (CANDIDATES if kind == CAUSAL else GIVEN)
    _check_fit(name, kind, protocol, hearing)
    tokenizer = load_part(AutoTokenizer, name)
    if kind == CAUSAL:
        model = load_part(AutoModelForCausalLM, name).eval()
    else:
        require_mask_token(tokenizer, name)
        model = load_part(AutoModelForMaskedLM, name).eval()
        require_matching_vocabulary(tokenizer, model, name)
    if torch.accelerator.is_available():
        model = model.to(torch.accelerator.current_accelerator())
    settings = HearingSettings(model, tokenizer, hearing or DEFAULT_SETTINGS, seed) if kind == AUDIOBERT else None
    return Examinee(MaskedReader(model, tokenizer, batch_size, settings), kind, protocol)


def _check_fit(name: str, kind: str, protocol: str, hearing: Sequence[str] | None) -> None:
    if kind == CAUSAL and protocol != CANDIDATES:
        raise AudioBertInputError(
            f"'{name}' is a causal language model, which fills no masks: it can only choose among candidates. Leave "
            f"the protocol '{protocol}' out."
        )
    if kind != AUDIOBERT and hearing is not None:
        raise AudioBertInputError(
            f"'{name}' is a {kind} language model, which does not hear; settings of hearing are for an AudioBERT. "
            f"Leave them out, or give an AudioBERT."
        )
