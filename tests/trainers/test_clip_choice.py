import pyarrow as pa
import torch
from tiny_bank import clip_table

from audiobert import AudioBank
from audiobert.trainers.clip_choice import ClipChoice


LABELS = ["cat", "soprano saxophone", "alto saxophone", None, "cats", "brass section", "catfish"]
CAPTIONS = [None, None, None, "a wild boar grunts", None, None, None]
ANIMAL = {"id": "asr-1", "task": "animal_sound_recognition", "answer": "tabby cat"}
PITCH = {"id": "spc-1", "task": "sound_pitch_comparison", "answer": "higher"}


def bank() -> AudioBank:
    clips = clip_table(len(LABELS))
    for name, values in (("label", LABELS), ("caption", CAPTIONS)):
        clips = clips.set_column(clips.column_names.index(name), name, pa.array(values, pa.string()))
    return AudioBank(clips, torch.eye(len(LABELS)), torch.eye(len(LABELS)), "clap", "ast")


def test_a_clip_is_right_by_the_head_word_of_the_answer_or_of_the_pitch_tasks_span():
    choice = ClipChoice(bank(), seed=0)
    assert choice.right_clips(ANIMAL, "meow") == [0, 4]
    assert choice.right_clips({**ANIMAL, "answer": "boar"}, "grunt") == [3]  # by the caption: it has no label
    assert choice.right_clips({**ANIMAL, "answer": "boar hound"}, "grunt") == []
    assert choice.right_clips(PITCH, "the sound of an alto saxophone") == [2]  # shares more words than the soprano's
    assert choice.right_clips(PITCH, "saxophone") == [1, 2]
    assert choice.right_clips(PITCH, "higher") == []
    assert choice.are_right(PITCH, ["saxophone", "cat"], [[1], [4]])
    assert not choice.are_right(PITCH, ["saxophone", "cat"], [[1], [2]])


def test_an_oracle_draws_different_clips_of_the_right_label_only():
    drawn = {
        tuple(ClipChoice(bank(), seed=seed).oracle_clips(ANIMAL, 0, "meow", count))
        for seed in range(20)
        for count in (1, 3)
    }
    assert drawn == {(0,), (4,), (0, 4), (4, 0)}
    assert ClipChoice(bank(), seed=0).oracle_clips(PITCH, 0, "bagpipe", 1) == []


def test_random_clips_depend_on_seed_row_and_span_alone_and_reach_the_whole_bank():
    def drawn(seed=0, row="asr-1", span=0):
        return ClipChoice(bank(), seed).random_clips(row, span, 2)

    assert drawn() == drawn()
    choice = ClipChoice(bank(), 0)
    choice.random_clips("asr-2", 0, 2)  # another row before it
    assert choice.random_clips("asr-1", 0, 2) == drawn()
    others = [drawn(seed=1), drawn(row="asr-2"), drawn(span=1)]
    assert drawn() not in others
    assert {clip for number in range(60) for clip in drawn(row=f"asr-{number}")} == set(range(len(LABELS)))
    assert len(ClipChoice(bank(), 0).random_clips("asr-1", 0, 99)) == len(LABELS)
