"""Listening with a saved AudioBERT: what it hears, and what it says when it hears something else."""

import numpy as np
import pytest
import soundfile
import torch
from hearing_model import HEARD, TWO_SPANS, UNHEARD, save_hearing_model
from tiny_sounds import tone

from audiobert import AudioBertForMaskedLM, AudioBertInputError, AudioBertProcessor
from audiobert.trainers.listener import Choice, Listener
from audiobert.trainers.prediction import fill_masks


@pytest.fixture(scope="module")
def folder(parts, tmp_path_factory):
    return save_hearing_model(parts, tmp_path_factory.mktemp("hearing"))


@pytest.fixture(scope="module")
def listener(folder):
    return Listener(folder)


def scores(answer, of="predictions"):
    return [[(token["token_str"], token["score"]) for token in mask] for mask in answer[of]]


def meow(**what):
    return Choice(HEARD.index("meow"), HEARD.index("meow") + 4, **what)


@pytest.mark.parametrize("text", [HEARD, TWO_SPANS, UNHEARD[0]])
def test_without_choices_it_answers_as_the_pipeline_does(folder, listener, text):
    expected = fill_masks(folder, [text])[0]
    answer = listener.listen(text)
    assert scores(answer) == scores(expected)
    assert scores(answer, "hearing_off") == scores(expected, "hearing_off")
    assert [(span["text"], span["start"]) for span in answer["spans"]] == [
        (span["text"], span["start"]) for span in expected["spans"]
    ]
    heard = [[clip["id"] for clip in span["clips"] if clip["heard"]] for span in answer["spans"]]
    assert heard == [[clip["id"] for clip in span["clips"]] for span in expected["spans"]]


def test_the_calls_are_the_spans_and_each_lists_its_nearest_clips(listener):
    answer = listener.listen(TWO_SPANS, num_candidates=3)
    assert [(span["text"], span["detected"]) for span in answer["spans"]] == [("meow", True), ("buzz", True)]
    assert [[clip["heard"] for clip in span["clips"]] for span in answer["spans"]] == [[True, False, False]] * 2
    similarities = [clip["similarity"] for clip in answer["spans"][0]["clips"]]
    assert similarities == sorted(similarities, reverse=True)
    assert len(answer["predictions"]) == len(answer["hearing_off"]) == 2


def test_hearing_switched_off_gives_the_language_models_own_answer(listener):
    on, off = listener.listen(HEARD), listener.listen(HEARD, hearing=False)
    assert scores(off) == scores(off, "hearing_off") == scores(on, "hearing_off")
    assert scores(on) != scores(off)


def test_another_clip_is_heard_with_its_own_value_and_similarity(listener):
    first = listener.listen(HEARD)
    other = first["spans"][0]["clips"][2]
    answer = listener.listen(HEARD, [meow(clip=other["id"])])
    assert [clip["heard"] for clip in answer["spans"][0]["clips"]] == [False, False, True, False]
    assert scores(answer) != scores(first)
    assert scores(answer, "hearing_off") == scores(first, "hearing_off")
    # One that is not among the nearest is listed too, with its true similarity.
    nearest = {clip["id"] for clip in listener.listen(HEARD, num_candidates=2)["spans"][0]["clips"]}
    assert other["id"] not in nearest
    listed = listener.listen(HEARD, [meow(clip=other["id"])], num_candidates=2)["spans"][0]["clips"]
    assert listed[2]["id"] == other["id"]
    assert listed[2]["similarity"] == pytest.approx(other["similarity"], abs=1e-5)
    assert listed[2]["heard"]


def test_a_sound_of_ones_own_is_heard_as_the_processor_would_have_it(folder, listener, tmp_path):
    soundfile.write(tmp_path / "own.wav", tone(1200), 16_000)
    answer = listener.listen(HEARD, [meow(sound=tmp_path / "own.wav", name="my whistle")])
    assert answer["spans"][0]["sound"] == "my whistle"
    assert not any(clip["heard"] for clip in answer["spans"][0]["clips"])
    inputs = AudioBertProcessor.from_pretrained(folder)(
        HEARD, spans=[[(0, 4)]], audio=[[soundfile.read(tmp_path / "own.wav")[0]]], sampling_rate=16_000
    )
    model = AudioBertForMaskedLM.from_pretrained(folder).eval()
    with torch.no_grad():
        logits = model(**inputs).logits[0, inputs["input_ids"][0] == 4]
    best = logits.softmax(-1)[0].topk(5)
    assert [token["score"] for token in answer["predictions"][0]] == pytest.approx(best.values.tolist(), abs=1e-5)


def test_one_span_hears_a_sound_while_the_other_keeps_its_clip(listener, tmp_path):
    soundfile.write(tmp_path / "own.wav", tone(1200), 16_000)
    first = listener.listen(TWO_SPANS)
    start, end = first["spans"][0]["start"], first["spans"][0]["end"]
    both = listener.listen(TWO_SPANS, [Choice(start, end, sound=tmp_path / "own.wav")])
    assert [span["sound"] is None for span in both["spans"]] == [False, True]
    assert [clip["heard"] for clip in both["spans"][1]["clips"]] == [True, False, False, False]
    second = first["spans"][1]
    silent = Choice(second["start"], second["end"])
    alone = listener.listen(TWO_SPANS, [Choice(start, end, sound=tmp_path / "own.wav"), silent])
    assert scores(both) != scores(alone) != scores(first)


def test_words_that_the_detector_passes_over_can_be_given_a_sound(listener):
    text = UNHEARD[0]
    assert listener.listen(text)["spans"] == []
    start = text.index("tea")
    answer = listener.listen(text, [Choice(start, start + 3, clip="clip-0")])
    assert [(span["text"], span["detected"]) for span in answer["spans"]] == [("tea", False)]
    assert scores(answer) != scores(answer, "hearing_off")


def test_words_chosen_around_a_span_replace_it(listener):
    answer = listener.listen(HEARD, [Choice(0, len("meow is"), clip="clip-1")])
    assert [(span["text"], span["detected"]) for span in answer["spans"]] == [("meow is", False)]


def test_clips_play_from_the_bank_or_from_their_folder(parts, folder, listener, tmp_path):
    sound = listener.clip_sound("clip-2")
    assert (sound.sampling_rate, sound.duration_seconds) == (16_000, 0.5)
    lean = save_hearing_model(parts, tmp_path, embed_audio=False)
    with pytest.raises(AudioBertInputError, match=r"'clip-2'.*--embed-audio.*--audio-dir"):
        Listener(lean).clip_sound("clip-2")
    assert np.array_equal(Listener(lean, tmp_path / "clips").clip_sound("clip-2").waveform, sound.waveform)
    with pytest.raises(AudioBertInputError, match="no folder"):
        Listener(lean, tmp_path / "nowhere")


REFUSED = {
    "empty": ("  ", [], "the sentence is empty"),
    "no mask": ("meow is a sound.", [], r"has no \[MASK\]"),
    "too long": ("meow " * 80 + "[MASK]", [], "has 83 tokens, but the model reads 64"),
    "unknown clip": (HEARD, [meow(clip="clip-99")], r"\(6 clips\) has no clip 'clip-99'"),
    "outside": (HEARD, [Choice(70, 80, clip="clip-0")], "characters 70 to 80"),
    "the mask itself": (UNHEARD[0], [Choice(18, 24, clip="clip-0")], "hold no word"),
    "broken sound": (HEARD, [meow(sound=b"no sound at all", name="note.wav")], "'note.wav' cannot be decoded"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_heard_is_refused_in_a_sentence(listener, case):
    text, choices, reason = REFUSED[case]
    with pytest.raises(AudioBertInputError, match=reason):
        listener.listen(text, choices)


def test_a_model_that_does_not_hear_is_refused(parts):
    with pytest.raises(AudioBertInputError, match="does not hear"):
        Listener(parts.language_model)
