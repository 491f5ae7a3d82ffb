"""Models of real sizes with random weights, whose detectors nevertheless find the words that are to be heard.

Nothing is downloaded. "full" has the shapes of google-bert/bert-base-uncased (language model and separate span
detector), the text tower of laion/clap-htsat-fused and MIT/ast-finetuned-audioset-10-10-0.4593; "small" those that
trainers/recipes/cpu_small.yaml trains, with a language model of MiniLM's shape.

Words are "word17"; those to be heard are "sound17". Their embeddings share a direction, and the last layer of each
detector is fitted to it by least squares, so that detection runs as always and finds exactly them.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import soundfile
import torch
from bank_building import SMALL_ENCODER
from retrieval import described, draw, unit
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    ASTConfig,
    ASTFeatureExtractor,
    ASTModel,
    BertConfig,
    BertForMaskedLM,
    BertForTokenClassification,
    ClapConfig,
    ClapFeatureExtractor,
    ClapModel,
    PreTrainedTokenizerFast,
)

from audiobert import AudioBank, AudioBertForMaskedLM, TrunkDetector, TrunkDetectorConfig
from audiobert.modeling_audiobert.fingerprint import language_model_fingerprint
from audiobert.trainers.audio_features import ast_features
from audiobert.trainers.audio_loading import load_audio


__all__ = ["RandomModels", "sentences"]

SOUNDS = 16  # audio files; clips of a bank share them in turn
SOUND_WORDS = 64
TINY_TOWER = {"depths": [1, 1], "num_attention_heads": [2, 2], "patch_embeds_hidden_size": 8, "hidden_size": 16}
SHAPES = {
    "full": {"bert": {}, "clap": {}, "ast": {}, "frames": {}, "layer": 6},
    "small": {
        "bert": {
            "hidden_size": 384,
            "num_hidden_layers": 6,
            "num_attention_heads": 12,
            "intermediate_size": 1536,
        },
        "clap": {"num_hidden_layers": 4, "hidden_size": 128, "num_attention_heads": 4, "intermediate_size": 512},
        "ast": SMALL_ENCODER,
        "frames": {"max_length": 384, "num_mel_bins": 64},
        "layer": 3,
    },
    "tiny": {
        "bert": {
            "vocab_size": 400,
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 32,
        },
        "clap": {
            "vocab_size": 400,
            "num_hidden_layers": 1,
            "hidden_size": 16,
            "num_attention_heads": 2,
            "intermediate_size": 16,
        },
        "ast": {
            "max_length": 128,
            "num_mel_bins": 32,
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 16,
        },
        "frames": {"max_length": 128, "num_mel_bins": 32},
        "layer": 1,
    },
}


@dataclass
class RandomModels:
    """Models, banks and sounds of one size in a folder; each is made when it is first asked for.

    Args:
        size (`str`): "full", "small" or "tiny".
        cache (`Path`): the folder.
    """

    size: str
    cache: Path

    @property
    def folder(self) -> Path:
        return self.cache / self.size

    def part(self, name: str) -> Path:
        """Return the folder of `language_model`, `separate`, `trunk`, `clap` or `audio_encoder`."""
        if not (self.folder / "audio_encoder").is_dir():  # the last that is saved
            _save_parts(self.folder, SHAPES[self.size])
        return self.folder / name

    def sounds(self) -> list[Path]:
        """Return audio files of 2 to 5 seconds: tones in noise, as 16-bit wav of 44,100 Hz."""
        files = [self.cache / "sounds" / f"{number}.wav" for number in range(SOUNDS)]
        if not files[-1].exists():
            files[0].parent.mkdir(parents=True, exist_ok=True)
            generator = np.random.default_rng(0)
            for number, file in enumerate(files):
                moments = np.arange(int(44100 * (2 + 3 * number / SOUNDS))) / 44100
                tone = np.sin(2 * np.pi * 110 * 2 ** (number / 3) * moments)
                soundfile.write(file, 0.3 * tone + 0.01 * generator.standard_normal(len(moments)), 44100)
        return files

    def model(self, detector: str, clips: int) -> AudioBertForMaskedLM:
        """Return an AudioBERT with a bank of so many clips, searched exactly, mapped from its file."""
        bank = self.bank(clips)
        parts = [self.part(name) for name in ("language_model", detector, "clap", "audio_encoder")]
        torch.manual_seed(0)
        model = AudioBertForMaskedLM.from_parts(*parts, bank=AudioBank.load(bank, index="exact"))
        for name, weight in model.language_model.named_parameters():
            if ".lora_B." in name:  # zero, it would have no effect that outputs could be compared by
                torch.nn.init.normal_(weight, std=0.02)
        return model

    def bank(self, clips: int) -> Path:
        """Return the folder of a bank, whose clips have the values of their audio files."""
        folder = self.folder / f"bank-{clips}"
        if not (folder / "bank.json").exists():
            parts = [self.part(name) for name in ("language_model", "separate", "clap", "audio_encoder")]
            model = AudioBertForMaskedLM.from_parts(*parts)
            width = model.config.clap_config.projection_dim
            keys = draw(unit(torch.randn(max(1, clips // 100), width, generator=_seeded(0))), clips, 1)
            # A random tower gives much the same embedding to all texts: without clips of their own, all words to be
            # heard would find the same one.
            queries = self._query_embeddings(model)
            keys[torch.linspace(0, clips - 1, SOUND_WORDS).long()] = queries
            values = self._values(model)[torch.arange(clips) % SOUNDS]
            paths = pa.array([f"{number % SOUNDS}.wav" for number in range(clips)])
            table = described(clips).set_column(3, "path", paths)
            fingerprints = model.config.clap_fingerprint, model.config.audio_encoder_fingerprint
            AudioBank(table, keys, values, *fingerprints).save(folder)
        return folder

    def saved_model(self, clips: int) -> Path:
        """Return the folder of a saved AudioBERT with its bank."""
        folder = self.folder / f"model-{clips}"
        if not (folder / "config.json").exists():
            self.model("separate", clips).save_pretrained(folder)
        return folder

    @torch.no_grad()
    def _query_embeddings(self, model: AudioBertForMaskedLM) -> torch.Tensor:
        texts = [f"sound{number} sound" for number in range(SOUND_WORDS)]
        inputs = model.retriever.clap_tokenizer(texts, padding=True, return_tensors="pt", return_token_type_ids=False)
        return unit(model.clap_text(**inputs).text_embeds)

    @torch.no_grad()
    def _values(self, model: AudioBertForMaskedLM) -> torch.Tensor:
        extractor = model.retriever.feature_extractor
        waves = [load_audio(file, extractor.sampling_rate) for file in self.sounds()]
        return torch.cat([model.encode_audio(ast_features(wave, extractor)[None]) for wave in waves])


def sentences(count: int, words: int, spans: int, seed: int = 0) -> list[str]:
    """Return sentences with one mask and so many words to hear, none beside another; words are drawn by the seed."""
    generator = np.random.default_rng(seed)
    texts = []
    for _ in range(count):
        text = [f"word{number}" for number in generator.integers(0, 200, size=words)]
        for place in range(spans):
            text[2 * place] = f"sound{generator.integers(0, SOUND_WORDS)}"
        text[words // 2 + 1 if words // 2 % 2 == 0 else words // 2] = "[MASK]"
        texts.append(" ".join(text))
    return texts


def _save_parts(folder: Path, shape: dict) -> None:
    torch.manual_seed(0)
    bert = BertConfig(**shape["bert"])
    tokenizer = _tokenizer(bert.vocab_size, ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    language_model = BertForMaskedLM(bert).eval()
    _mark_sound_words(language_model)
    detector = BertForTokenClassification(bert).eval()
    detector.bert.load_state_dict(language_model.bert.state_dict())
    _fit(detector.classifier, lambda inputs: detector.bert(**inputs).last_hidden_state, tokenizer)
    trunk = _trunk(language_model, shape["layer"], tokenizer)
    clap = ClapConfig(text_config=shape["clap"], audio_config=TINY_TOWER)
    specials = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"]  # RoBERTa numbers padding 1
    saved = {
        "language_model": (language_model, tokenizer),
        "separate": (detector, tokenizer),
        "trunk": (trunk,),
        "clap": (ClapModel(clap), _tokenizer(clap.text_config.vocab_size, specials), ClapFeatureExtractor()),
        "audio_encoder": (ASTModel(ASTConfig(**shape["ast"])), ASTFeatureExtractor(**shape["frames"])),
    }
    for part, things in saved.items():
        for thing in things:
            thing.save_pretrained(folder / part)


def _tokenizer(size: int, specials: list[str]) -> PreTrainedTokenizerFast:
    known = [*specials, "sound", *(f"sound{number}" for number in range(SOUND_WORDS))]
    words = known + [f"word{number}" for number in range(size - len(known))]
    index = {word: number for number, word in enumerate(words)}
    backend = Tokenizer(models.WordPiece(index, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.BertProcessing(("[SEP]", index["[SEP]"]), ("[CLS]", index["[CLS]"]))
    names = {f"{token.strip('[]').lower()}_token": token for token in specials}
    return PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=512, **names)


@torch.no_grad()
def _mark_sound_words(language_model: BertForMaskedLM) -> None:
    embeddings = language_model.get_input_embeddings().weight
    direction = unit(torch.randn(1, embeddings.shape[1], generator=_seeded(3)))
    embeddings[6 : 6 + SOUND_WORDS] += 2 * direction


def _trunk(language_model: BertForMaskedLM, layer: int, tokenizer) -> TrunkDetector:
    size = language_model.config.hidden_size
    probe = TrunkDetector(
        TrunkDetectorConfig(
            hidden_size=size,
            layer=layer,
            width=256,
            attention_layers=1,
            language_model_fingerprint=language_model_fingerprint(language_model),
        )
    ).eval()
    seen, classifier = [], probe.probes[0].classifier
    hook = classifier.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))

    def features(inputs):
        states = language_model.bert(**inputs, output_hidden_states=True).hidden_states[layer]
        probe(states, inputs["attention_mask"])
        return seen.pop()

    _fit(classifier, features, tokenizer)
    hook.remove()
    return probe


@torch.no_grad()
def _fit(classifier: torch.nn.Linear, features, tokenizer) -> None:
    """Set a classifier of two labels so that its second is that of the words to be heard."""
    pairs = []
    for words in (
        8,
        16,
        24,
        60,
        120,
    ):
        texts = [text for spans in range(3) for text in sentences(8, words, spans, seed=10 + spans)]
        inputs = tokenizer(texts, padding=True, return_tensors="pt", return_token_type_ids=False)
        kept = inputs["attention_mask"].bool()
        pairs.append((features(dict(inputs))[kept].double(), inputs["input_ids"][kept]))
    hidden, ids = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    wanted = torch.where((ids >= 6) & (ids < 6 + SOUND_WORDS), 8.0, -8.0).double()
    middle = hidden.mean(dim=0)
    centred = hidden - middle
    ridge = 1e-3 * centred.square().mean() * len(centred) * torch.eye(centred.shape[1], dtype=torch.double)
    weights = torch.linalg.solve(centred.T @ centred + ridge, centred.T @ (wanted - wanted.mean()))
    predicted = centred @ weights
    low, high = predicted[wanted < 0].max(), predicted[wanted > 0].min()
    if low >= high:
        raise RuntimeError("the random detector cannot tell the words to be heard from others")
    scale = 16 / (high - low)
    classifier.weight.zero_()
    classifier.bias.zero_()
    classifier.weight[1] = (scale * weights).float()
    classifier.bias[1] = (-scale * ((low + high) / 2 + middle @ weights)).float()


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
