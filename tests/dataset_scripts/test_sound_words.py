import pytest

from audiobert.dataset_scripts.auditorybench.sound_words import head_words, word_stem, word_stems


@pytest.mark.parametrize(
    ("text", "heads"),
    [
        ("meow", ["meow"]),
        ("Loud meowing sound", ["meowing"]),
        ("sound of a distant church bell", ["bell"]),
        ("click of a camera", ["click"]),
        ("two violins in an empty hall", ["violins"]),
        ("barking and whining", ["barking", "whining"]),
        ("alto saxophone", ["saxophone"]),
        ("kettle drum 29inch", ["drum"]),
        ("808", ["808"]),
        ("clip-clop", ["clip-clop"]),
        ("noise", ["noise"]),
        ("", []),
        (" - ", []),
    ],
)
def test_the_head_word_of_a_span_is_what_is_heard(text, heads):
    assert head_words(text) == heads


@pytest.mark.parametrize(
    "forms",
    ["chirp chirps chirped chirping chirpy chirp's", "hiss hisses hissing", "donkey donkeys", "drum drums drumming",
     "melody melodies", "whine whining", "sing singing", "glass glasses", "fly flies flying", "buzz buzzes"],
)  # fmt: skip
def test_forms_of_a_word_have_one_stem(forms):
    assert len({word_stem(form) for form in forms.split()}) == 1


def test_different_words_have_different_stems():
    words = "bass bell bus cat cow cicada cricket drum dog flute guitar horn king piano ring sea tuba violin whale"
    assert len({word_stem(word) for word in words.split()}) == len(words.split())


def test_words_joined_by_hyphens_count_as_one_and_singly():
    assert word_stems("A clip-clop, twice") == {"a", "clip-clop", "clip", "clop", "twic"}
