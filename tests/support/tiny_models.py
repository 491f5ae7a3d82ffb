"""Tiny random checkpoints of the real classes, saved to disk so that every test runs the real loading code."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    ASTConfig,
    ASTFeatureExtractor,
    ASTModel,
    AutoConfig,
    AutoModelForMaskedLM,
    AutoModelForTokenClassification,
    ClapAudioConfig,
    ClapConfig,
    ClapFeatureExtractor,
    ClapModel,
    ClapTextConfig,
    PreTrainedTokenizerFast,
)

from audiobert import TrunkDetector, TrunkDetectorConfig
from audiobert.modeling_audiobert.fingerprint import language_model_fingerprint


# fmt: off
WORDS = [
    "a", "an", "the", "is", "of", "sound", "makes", "make", "has", "pitch", "than", "higher", "lower", "meow",
    "woof", "moo", "hiss", "buzz", "cat", "dog", "cow", "snake", "bee", "duck", "loud", "quiet", "soft", "it",
    "when", "you", "hear", "that", "piccolo", "tuba", "violin", "drum", "thunder", "rain", "typically",
    "animal", "ordinary", "sentence", "with", "no", "in", "this", "and", "some", "un", "##quack", "##s",
    "##ing", "chirp", "bird", ".", ",", "-", '"', "'", "i", "like", "tea",
]
# fmt: on
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = [*SPECIAL, *WORDS]

# Small enough to be quick, with sizes that differ from each other so that a mixed-up dimension fails.
LANGUAGE_MODELS = {
    "bert": {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 48,
        "max_position_embeddings": 64,
    },
    "roberta": {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 48,
        "max_position_embeddings": 66,
        "type_vocab_size": 1,
        "pad_token_id": 0,
        "bos_token_id": 2,
        "eos_token_id": 3,
    },
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 48, "max_position_embeddings": 64},
    "modernbert": {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 48,
        "max_position_embeddings": 64,
        "pad_token_id": 0,
        "bos_token_id": 2,
        "eos_token_id": 3,
        "cls_token_id": 2,
        "sep_token_id": 3,
        "reference_compile": False,
    },
}


def tiny_tokenizer(model_type: str = "bert") -> PreTrainedTokenizerFast:
    """A WordPiece tokenizer of some sixty words; only BERT's returns token type ids, as on the Hub."""
    vocabulary = {token: index for index, token in enumerate(VOCABULARY)}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    inputs = ["input_ids", "attention_mask"]
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=64,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"] if model_type == "bert" else inputs,
    )


def save_language_model(folder: Path, model_type: str = "bert", seed: int = 0, **changes) -> Path:
    """Save a masked language model with its tokenizer."""
    torch.manual_seed(seed)
    settings = {"vocab_size": len(VOCABULARY), **LANGUAGE_MODELS[model_type], **changes}
    AutoModelForMaskedLM.from_config(AutoConfig.for_model(model_type, **settings)).save_pretrained(folder)
    tiny_tokenizer(model_type).save_pretrained(folder)
    return folder


def save_span_detector(folder: Path, seed: int = 1) -> Path:
    """Save a token classifier with two labels and the same vocabulary as the language models."""
    torch.manual_seed(seed)
    config = AutoConfig.for_model(
        "bert", vocab_size=len(VOCABULARY), **(LANGUAGE_MODELS["bert"] | {"hidden_size": 24}), num_labels=2
    )
    AutoModelForTokenClassification.from_config(config).save_pretrained(folder)
    tiny_tokenizer("bert").save_pretrained(folder)
    return folder


def save_trunk_detector(folder: Path, language_model: Path, seed: int = 4, **changes) -> Path:
    """Save a random probe on the first layer of a saved language model."""
    torch.manual_seed(seed)
    trunk = AutoModelForMaskedLM.from_pretrained(language_model)
    settings = {"layer": 1, "width": 8, "window": 3, "detector_threshold": 0.5, **changes}
    config = TrunkDetectorConfig(
        hidden_size=trunk.config.hidden_size, language_model_fingerprint=language_model_fingerprint(trunk), **settings
    )
    TrunkDetector(config).save_pretrained(folder)
    return folder


def save_clap(folder: Path, seed: int = 2, fused: bool = False) -> Path:
    """Save a `ClapModel` with its processor: 16 kHz, clips of up to one second; fused, longer ones as a whole."""
    torch.manual_seed(seed)
    text = ClapTextConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=20,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=66,
        pad_token_id=0,
        projection_dim=16,
    )
    audio = ClapAudioConfig(
        window_size=4,
        num_mel_bins=16,
        spec_size=64,
        patch_size=4,
        patch_stride=[4, 4],
        patch_embeds_hidden_size=8,
        hidden_size=16,
        depths=[1, 1],
        num_attention_heads=[2, 2],
        enable_fusion=fused,
        aff_block_r=2,
        projection_dim=16,
        num_classes=2,
    )
    ClapModel(ClapConfig(text_config=text.to_dict(), audio_config=audio.to_dict(), projection_dim=16)).save_pretrained(
        folder
    )
    extractor = ClapFeatureExtractor(
        feature_size=16,
        sampling_rate=16000,
        hop_length=160,
        max_length_s=1,
        fft_window_size=512,
        frequency_max=8000,
        truncation="fusion" if fused else "rand_trunc",
        padding="repeatpad",
    )
    # ClapProcessor insists on a RoBERTa tokenizer class; the tokenizer is saved beside its feature extractor.
    extractor.save_pretrained(folder)
    tiny_tokenizer("roberta").save_pretrained(folder)
    return folder


def save_audio_encoder(folder: Path, seed: int = 3, hidden_size: int = 28, max_length: int = 64) -> Path:
    """Save an `ASTModel` with its feature extractor: 16 kHz, windows of 64 frames (0.65 s), or as many as given."""
    torch.manual_seed(seed)
    config = ASTConfig(
        hidden_size=hidden_size,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_length=max_length,
        num_mel_bins=32,
        patch_size=16,
        frequency_stride=16,
        time_stride=16,
    )
    ASTModel(config).save_pretrained(folder)
    ASTFeatureExtractor(sampling_rate=16000, num_mel_bins=32, max_length=max_length).save_pretrained(folder)
    return folder
