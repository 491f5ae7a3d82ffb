"""What a causal language model answers: the candidate whose filled sentence it finds most likely."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from tqdm import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from audiobert.dataset_scripts.auditorybench.candidates import candidates_of, filled_sentence
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .hearing_settings import Evidence
from .masked_questions import longest_input
from .masked_scoring import Answer, length_batches


__all__ = ["answer_by_likelihood", "sentence_log_likelihoods"]

# Sentences are sorted by length within as many batches: of all at once, the token ids alone would fill the memory.
_BATCHES_AT_A_TIME = 256


@dataclass(frozen=True)
class _Filled:
    """A row's sentence with one candidate in its gap."""

    row: int
    candidate: int
    characters: int
    token_ids: list[int]


def answer_by_likelihood(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[dict[str, Any]],
    train_answers: Sequence[str],
    batch_size: int,
) -> list[Answer]:
    """Return for each row the candidate whose filled sentence has the highest log-likelihood per character.

    The sentence is conditioned on the start token alone (the end token for a model without one), as `acc_norm` of
    lm-evaluation-harness has it. Of equals the first candidate is taken.

    Args:
        rows: of AuditoryBench, each with one gap.
        train_answers (`Sequence[str]`): the candidates of rows without choices of their own.
        batch_size (`int`): sentences at a time; changes the speed only, and the last bits.

    Raises:
        AudioBertInputError: the tokenizer has neither a start nor an end token, a sentence is too long, or a row has
            no candidates.
    """
    candidates, right = zip(*(candidates_of(row, train_answers) for row in rows), strict=True)
    scores = [[0.0] * len(of_row) for of_row in candidates]
    limit = longest_input(tokenizer, model)
    with tqdm(total=sum(map(len, candidates)), unit="sentence", disable=None) as progress:
        for chunk in _chunks(_filled(tokenizer, rows, candidates, limit), batch_size * _BATCHES_AT_A_TIME):
            likelihoods = sentence_log_likelihoods(
                model, [one.token_ids for one in chunk], batch_size, tokenizer.pad_token_id
            )
            for one, likelihood in zip(chunk, likelihoods, strict=True):
                scores[one.row][one.candidate] = likelihood / one.characters
            progress.update(len(chunk))
    best = [max(range(len(of_row)), key=of_row.__getitem__) for of_row in scores]
    return [
        Answer(of_row[place], place == wanted, Evidence())
        for of_row, place, wanted in zip(candidates, best, right, strict=True)
    ]


def sentence_log_likelihoods(
    model: PreTrainedModel, sentences: Sequence[list[int]], batch_size: int, pad_token_id: int | None = None
) -> list[float]:
    """Return the log-likelihood of each sentence's tokens but the first, given those before.

    Padding stands behind the sentences whatever the tokenizer's side is: what comes later cannot change what a causal
    model predicts, and positions count from the first token.

    Args:
        sentences (`Sequence[list[int]]`): token ids, the start token first; at least two each.
        batch_size (`int`): sentences at a time.
        pad_token_id (`int`, *optional*): any id that the vocabulary has; 0 by default.
    """
    likelihoods = [0.0] * len(sentences)
    with torch.inference_mode():
        for batch in length_batches([len(sentence) for sentence in sentences], batch_size):
            longest = max(len(sentences[index]) for index in batch)
            input_ids = torch.full((len(batch), longest), pad_token_id or 0)
            mask = torch.zeros(len(batch), longest, dtype=torch.long)
            for place, index in enumerate(batch):
                length = len(sentences[index])
                input_ids[place, :length] = torch.tensor(sentences[index])
                mask[place, :length] = 1
            inputs = {"input_ids": input_ids.to(model.device), "attention_mask": mask.to(model.device)}
            logits = model(**inputs, use_cache=False).logits
            for place, index in enumerate(batch):
                likelihoods[index] = _log_likelihood(logits[place], sentences[index])
    return likelihoods


def _log_likelihood(logits: torch.Tensor, token_ids: list[int]) -> float:
    """Return that of one sentence; `logits` of shape `(sequence_length, vocab_size)`."""
    # One sentence at a time: a copy of a whole batch in float32 is gigabytes for a vocabulary of 256,000.
    predicting = logits[: len(token_ids) - 1].float()
    wanted = torch.tensor(token_ids[1:], device=logits.device)
    return float((predicting.gather(1, wanted.unsqueeze(1))[:, 0] - predicting.logsumexp(dim=1)).double().sum())


def _filled(
    tokenizer: PreTrainedTokenizerBase, rows: Sequence[dict], candidates: Sequence[list[str]], limit: int
) -> Iterator[_Filled]:
    start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    if start is None:
        raise AudioBertInputError(
            "the tokenizer has neither a start nor an end token, so that a sentence's first word has nothing to "
            "follow on. Set bos_token or eos_token in its tokenizer_config.json."
        )
    for place, (row, of_row) in enumerate(zip(rows, candidates, strict=True)):
        sentences = [filled_sentence(row, candidate) for candidate in of_row]
        encoded = tokenizer(sentences, add_special_tokens=False)["input_ids"]
        for number, (sentence, token_ids) in enumerate(zip(sentences, encoded, strict=True)):
            if len(token_ids) + 1 > limit:
                raise AudioBertInputError(
                    f"row '{row['id']}' has {len(token_ids) + 1} tokens with '{of_row[number]}' in its gap, the model "
                    f"reads {limit}. Leave the row out."
                )
            yield _Filled(place, number, len(sentence), [start, *token_ids])


def _chunks(filled: Iterator[_Filled], size: int) -> Iterator[list[_Filled]]:
    while chunk := list(islice(filled, size)):
        yield chunk
