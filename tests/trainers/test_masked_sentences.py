import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.trainers.masked_sentences import answer_pieces, gap_start, require_mask_token, with_mask_token


def byte_level_tokenizer() -> PreTrainedTokenizerFast:
    """A vocabulary as RoBERTa's, where a word behind a space differs from one without."""
    pieces = ["<mask>", "<unk>", "Ġ", "h", "i", "hi", "Ġhi", "l", "o", "lo", "Ġlo"]
    merges = [("h", "i"), ("Ġ", "hi"), ("l", "o"), ("Ġ", "lo")]
    backend = Tokenizer(models.BPE({piece: index for index, piece in enumerate(pieces)}, merges, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=backend, mask_token="<mask>", unk_token="<unk>")


@pytest.mark.parametrize("mask_token", ["[MASK]", "<mask>", "<a long mask token>"])
def test_spans_keep_their_words_when_the_gap_changes_its_length(mask_token):
    sentence = "A [MASK] makes a moo, a [MASK] makes a hiss."
    words = ["A", "makes", "moo", "hiss"]
    spans = [(sentence.index(word), sentence.index(word) + len(word)) for word in words]
    text, moved = with_mask_token(sentence, mask_token, [*spans, (-1, -1)])
    assert text == f"A {mask_token} makes a moo, a {mask_token} makes a hiss."
    assert [text[start:end] for start, end in moved[:-1]] == words
    assert moved[-1] == (-1, -1)


def test_an_answer_is_split_as_it_reads_behind_a_space_or_at_the_start():
    tokenizer = byte_level_tokenizer()
    inside = answer_pieces(tokenizer, {"id": "1", "sentence": "lo [MASK] lo"}, ["hi", "lo"])
    first = answer_pieces(tokenizer, {"id": "2", "sentence": "[MASK] lo"}, ["hi", "lo"])
    assert [tokenizer.convert_ids_to_tokens(pieces) for pieces in inside] == [["Ġhi"], ["Ġlo"]]
    assert [tokenizer.convert_ids_to_tokens(pieces) for pieces in first] == [["hi"], ["lo"]]


@pytest.mark.parametrize(("sentence", "count"), [("no gap", 0), ("[MASK] and [MASK]", 2)])
def test_a_sentence_without_exactly_one_gap_is_refused_by_its_id(sentence, count):
    with pytest.raises(AudioBertInputError, match=f"row 'asr-7' has {count} "):
        gap_start({"id": "asr-7", "sentence": sentence})


def test_a_tokenizer_without_a_mask_token_is_refused(parts):
    tokenizer = AutoTokenizer.from_pretrained(parts.language_model)
    assert require_mask_token(tokenizer, "mine") == "[MASK]"
    tokenizer.mask_token = None
    with pytest.raises(AudioBertInputError, match="'mine' has no mask token"):
        require_mask_token(tokenizer, "mine")
