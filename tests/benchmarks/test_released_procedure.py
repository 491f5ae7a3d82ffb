import pytest
import random_models
import torch
from random_models import RandomModels, sentences
from released_procedure import ReleasedProcedure
from training_speed import encoded_rows

from audiobert.trainers.collation import AudioBertCollator


CLIPS = 128


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return RandomModels("tiny", tmp_path_factory.mktemp("benchmarks"))


@pytest.fixture(scope="module")
def model(made):
    return made.model("separate", CLIPS)


@pytest.fixture
def released(made, model):
    return ReleasedProcedure(model, model.bank.keys.numpy(), made.sounds())


@pytest.mark.parametrize("spans", [1, 2])
@torch.no_grad()
def test_the_released_procedure_hears_and_answers_what_audiobert_does(model, released, spans):
    for text in sentences(2, 16, spans, seed=5):
        inputs = model.retriever.tokenizer(text, return_tensors="pt", return_token_type_ids=False)
        ours = model(**inputs)
        assert released.spans(text) == [tuple(span) for span in ours.span_positions[0].tolist()]
        assert len(released.spans(text)) == spans
        texts = [released.span_text(text, span) for span in released.spans(text)]
        assert [int(released.nearest(span)[0]) for span in texts] == ours.clip_ids[0, :, 0].tolist()
        assert len(set(ours.clip_ids[0, :, 0].tolist())) == len(set(texts))
        torch.testing.assert_close(released.answer(text), ours.logits[0], atol=1e-4, rtol=1e-4)
        assert not torch.allclose(ours.logits, model(**inputs, hearing=False).logits, atol=1e-2)


@pytest.mark.parametrize("detector", ["trunk", "separate"])
@torch.no_grad()
def test_the_random_detectors_find_the_words_to_be_heard_and_no_others(made, detector):
    model = made.model(detector, CLIPS)
    for spans in (0, 1, 2):
        texts = sentences(8, 24, spans, seed=6)
        inputs = model.retriever.tokenizer(texts, padding=True, return_tensors="pt", return_token_type_ids=False)
        expected = [[[1 + 2 * place, 2 + 2 * place] for place in range(spans)]] * len(texts)
        assert model.detect_spans(**inputs).tolist() == expected


@pytest.mark.parametrize("encoder_trained", [False, True])
def test_both_give_the_same_loss_of_a_training_batch(made, model, released, encoder_trained):
    rows = encoded_rows(made, 4, 2, distinct=3)
    features = None
    if encoder_trained:
        features = [released.features(clip) for clip in range(3)]
    batch = AudioBertCollator(model.retriever.tokenizer, features)(rows)
    assert batch["clip_ids"].unique().tolist() == [0, 1, 2]
    theirs = released.training_loss(AudioBertCollator(model.retriever.tokenizer)(rows), encoder_trained)
    torch.testing.assert_close(model(**batch).loss, theirs, atol=1e-5, rtol=1e-5)


def test_sounds_are_made_once(made):
    before = [file.stat().st_mtime_ns for file in made.sounds()]
    assert len(before) == random_models.SOUNDS
    assert [file.stat().st_mtime_ns for file in made.sounds()] == before
