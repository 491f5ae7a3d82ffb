from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.trainers.audiobert_recipe import AdapterSettings, AudioBertRecipe
from audiobert.trainers.compat import chosen_row_order
from audiobert.trainers.detector_training import DetectorRecipe
from audiobert.trainers.learning_rates import LearningRates
from audiobert.trainers.recipe import differing_keys, load_recipe, save_recipe, shipped_recipes
from audiobert.trainers.training_run import training_arguments


@dataclass
class Adapter:
    r: int = 64
    dropout: float = 0.01


@dataclass
class Example:
    kind: ClassVar[str] = "example"

    name: str
    data_dir: Path | None = None
    normalized: bool = False
    seeds: list[int] = field(default_factory=lambda: [0])
    weights: dict[str, float] = field(default_factory=dict)
    adapter: Adapter = field(default_factory=Adapter)
    training: dict[str, Any] = field(default_factory=lambda: {"learning_rate": 1e-5, "num_train_epochs": 5.0})


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_an_argument_beats_the_recipe_which_beats_the_default(tmp_path):
    path = write(
        tmp_path, "kind: example\nname: a\nadapter: {r: 8}\ntraining: {learning_rate: 0.1, max_grad_norm: 1.0}\n"
    )
    recipe = load_recipe(Example, path, ["adapter.r=4", "training.learning_rate=3e-4", "data_dir=data"])
    assert recipe.adapter == Adapter(r=4, dropout=0.01)
    assert recipe.training["learning_rate"] == 3e-4
    assert recipe.training["max_grad_norm"] == 1.0
    assert recipe.training["num_train_epochs"] == 5.0
    assert recipe.data_dir == Path("data")
    assert load_recipe(Example, path).adapter.r == 8


@pytest.mark.parametrize(
    ("argument", "read"),
    [
        ("name=7", ("name", "7")),
        ("normalized=true", ("normalized", True)),
        ("seeds=[3, 4]", ("seeds", [3, 4])),
        ("data_dir=null", ("data_dir", None)),
        ("weights={a: 1}", ("weights", {"a": 1})),
        ("weights.a=2", ("weights", {"a": 2})),
    ],
)
def test_an_argument_is_read_as_the_type_of_its_setting(tmp_path, argument, read):
    recipe = load_recipe(Example, write(tmp_path, "kind: example\nname: a\n"), [argument])
    assert getattr(recipe, read[0]) == read[1]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nmae: a", "'nmae' is not a setting of this recipe; did you mean 'name'"),
        ("name: a\nadapter: {rr: 1}", "'adapter.rr' is not a setting of this recipe; did you mean 'adapter.r'"),
        ("name: a\ntraining: {learning_rat: 1}", "did you mean 'training.learning_rate'"),
        ("name: a\ntraining: {learning_rate: 3e-4}", "YAML reads 3e-4 as text: write 0.0003 instead"),
        ("name: a\nadapter: {dropout: 1e-2}", "YAML reads 1e-2 as text: write 0.01 instead"),
        ("name: a\nadapter: {r: 1.5}", "'adapter.r' must be a whole number, not 1.5"),
        ("name: a\nadapter: 3", "'adapter' is a group of settings, not 3"),
        ("name: a\nnormalized: 1", "'normalized' must be true or false, not 1"),
        ("name: a\nseeds: 3", r"'seeds' must be a list \(each a whole number\), not 3"),
        ("name: a\nseeds: [0, x]", r"'seeds\[1\]' must be a whole number, not 'x'"),
        ("name: a\nseeds: [true]", r"'seeds\[0\]' must be a whole number, not True"),
        ("name: a\ntraining: 3", "'training' is a mapping of transformers.TrainingArguments"),
        ("name: a\ntraining: {seed: 3}", "'training.seed' is set by the recipe's seeds"),
        ("name: a\ntraining: {warmup_ratio: 0.1, warmup_steps: 0.1}", "are the same setting; keep one"),
        (
            "name: a\ntraining: {group_by_length: true, train_sampling_strategy: random}",
            "are the same setting; keep one",
        ),
        ("seeds: [0]", "does not set 'name', and it has no default"),
        ("name: [", "is not valid YAML"),
        ("name: !!python/object/apply:os.getcwd []", "is not valid YAML"),
    ],
)
def test_a_mistake_in_a_recipe_is_named_with_its_file(tmp_path, text, reason):
    path = write(tmp_path, f"kind: example\n{text}\n")
    with pytest.raises(AudioBertInputError, match=reason) as caught:
        load_recipe(Example, path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("spelling", ["group_by_length=true", "train_sampling_strategy=group_by_length"])
def test_rows_of_like_length_are_asked_for_in_the_words_of_either_transformers(tmp_path, spelling):
    recipe = load_recipe(Example, write(tmp_path, "kind: example\nname: a\n"), [f"training.{spelling}"])
    assert chosen_row_order(training_arguments(recipe, tmp_path, seed=0)) == "group_by_length"


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        ("adapter.dropuot=1", "'adapter.dropuot=1'.*did you mean 'adapter.dropout'"),
        ("adapter=1", "'adapter' is a group of settings"),
        ("seeds=[", "not valid YAML"),
        ("r", "'r' is not an override: write key=value"),
    ],
)
def test_a_mistake_in_an_argument_is_named(tmp_path, argument, reason):
    path = write(tmp_path, "kind: example\nname: a\n")
    with pytest.raises(AudioBertInputError, match=reason):
        load_recipe(Example, path, [argument])


def test_a_file_of_several_documents_serves_each_kind_its_own(tmp_path):
    text = "---\nkind: other\nx: 1\n---\nkind: example\nname: mine\n"
    assert load_recipe(Example, write(tmp_path, text)).name == "mine"
    with pytest.raises(AudioBertInputError, match=r"no document of 'kind: example'.*it holds other"):
        load_recipe(Example, write(tmp_path, "kind: other\n"))
    with pytest.raises(AudioBertInputError, match="2 documents of 'kind: example'"):
        load_recipe(Example, write(tmp_path, text + "---\nkind: example\nname: again\n"))
    with pytest.raises(AudioBertInputError, match="a mapping with a 'kind:'"):
        load_recipe(Example, write(tmp_path, "name: a\n"))


def test_a_recipe_that_is_nowhere_is_answered_with_the_shipped_ones(tmp_path):
    with pytest.raises(AudioBertInputError, match=r"no recipe 'cpu_smal'.*cpu_small"):
        load_recipe(Example, "cpu_smal")
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(AudioBertInputError, match=r"binary.yaml' is not a text file in UTF-8"):
        load_recipe(Example, path)


def test_a_saved_recipe_repeats_the_run(tmp_path):
    recipe = load_recipe(
        Example,
        write(tmp_path, "kind: example\nname: 'null'\ndata_dir: some/folder\ntraining: {warmup_ratio: 0.1}\n"),
        ["training.learning_rate=1e-7", "seeds=[1,2]"],
    )
    saved = load_recipe(Example, save_recipe(recipe, tmp_path / "run"))
    assert saved == recipe
    assert differing_keys(saved, recipe) == []
    other = load_recipe(Example, save_recipe(recipe, tmp_path / "run"), ["adapter.r=1", "training.weight_decay=0.1"])
    assert differing_keys(other, recipe) == ["adapter.r", "training.weight_decay"]


def test_the_shipped_recipe_trains_a_detector():
    assert "cpu_small" in shipped_recipes()
    recipe = load_recipe(DetectorRecipe, "cpu_small", ["data_dir=data"])
    assert recipe.training["learning_rate"] == 1e-4


@pytest.mark.parametrize(
    ("name", "language_model", "changed"),
    [
        ("paper_base", "google-bert/bert-base-uncased", {}),
        ("paper_large", "google-bert/bert-large-uncased", {}),
        ("paper_base_replace", "google-bert/bert-base-uncased", {"model": {"injection": "replace"}}),
    ],
)
def test_the_papers_recipes_say_what_the_paper_says(name, language_model, changed):
    recipe = load_recipe(AudioBertRecipe, name)
    assert recipe.language_model == language_model
    assert recipe.clap == "laion/clap-htsat-fused"
    assert recipe.audio_encoder == "MIT/ast-finetuned-audioset-10-10-0.4593"
    assert (recipe.hearing, recipe.train_audio_encoder, recipe.seeds) == ("on", True, [0, 1, 2, 3, 4])
    assert recipe.adapter == AdapterSettings(r=64, alpha=128, dropout=0.01)
    assert recipe.model == changed.get("model", {"injection": "add"})
    training = recipe.training
    assert (training["num_train_epochs"], training["per_device_train_batch_size"]) == (20.0, 32)
    assert (training["learning_rate"], training["optim"], training["max_grad_norm"]) == (3e-4, "adamw_torch", 1.0)
    assert training.get("warmup_ratio", training.get("warmup_steps")) == 0.1


def test_the_recipe_of_the_run_on_two_cores_serves_hearing_and_text_alone():
    recipe = load_recipe(AudioBertRecipe, "cpu_hearing", ["hearing=text_only"])
    assert (recipe.seeds, recipe.clean_train, recipe.train_audio_encoder) == ([0, 1, 2], True, False)
    assert (recipe.counterfactuals, recipe.hidden_names) == (0, 0.5)
    assert recipe.model == {"num_clips": 5, "min_similarity": 0.85}
    assert chosen_row_order(training_arguments(recipe, Path("unused"), seed=0)) == "group_by_length"


def test_the_text_only_ablation_differs_in_hearing_alone():
    full, deaf = load_recipe(AudioBertRecipe, "paper_base"), load_recipe(AudioBertRecipe, "paper_base_text_only")
    # A span detector it has none, and everything else that it does not use has the default.
    assert set(differing_keys(full, deaf)) == {"hearing", "span_detector", "output_dir", "model.injection"}


def test_learning_rates_are_of_known_parts():
    recipe = load_recipe(AudioBertRecipe, "paper_base", ["learning_rates.audio_encoder=1e-5"])
    assert recipe.learning_rates == LearningRates(audio_encoder=1e-5)
    with pytest.raises(
        AudioBertInputError, match=r"'learning_rates.adaptor' .* did you mean 'learning_rates.adapter'"
    ):
        load_recipe(AudioBertRecipe, "paper_base", ["learning_rates.adaptor=1e-5"])


def test_a_no_on_the_command_line_is_a_word_where_words_are_meant():
    recipe = load_recipe(AudioBertRecipe, "paper_base", ["training.save_strategy=no", "train_audio_encoder=no"])
    assert recipe.training["save_strategy"] == "no"
    assert recipe.train_audio_encoder is False
