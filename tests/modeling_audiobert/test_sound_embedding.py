"""One embedding a sound: with the padding of its window, as in the paper, or without."""

import dataclasses

import pytest
import torch
from tiny_audiobert import assemble, without_dropout
from tiny_models import save_audio_encoder
from transformers import AutoFeatureExtractor, AutoModel

from audiobert import AudioBertForMaskedLM, AudioBertInputError
from audiobert.modeling_audiobert.sound_embedding import embed_sounds, sound_patches
from audiobert.trainers.audio_features import ast_features
from audiobert.trainers.bank_encoding import load_bank_encoders


@pytest.fixture(scope="module")
def parts(parts, tmp_path_factory):
    """The tiny parts, with an audio encoder of a window of 256 frames (2.6 s): 16 patches in time."""
    folder = save_audio_encoder(tmp_path_factory.mktemp("window") / "audio_encoder", max_length=256)
    return dataclasses.replace(parts, audio_encoder=folder)


@pytest.fixture(scope="module")
def encoder(parts):
    return AutoModel.from_pretrained(parts.audio_encoder).eval()


@pytest.fixture(scope="module")
def features(parts) -> dict[str, torch.Tensor]:
    """Of noises of three lengths; the last fills the window."""
    extractor = AutoFeatureExtractor.from_pretrained(parts.audio_encoder)
    window = extractor.max_length * 0.01  # seconds, of frames of 10 ms
    generator = torch.Generator().manual_seed(0)
    noises = {name: share * window for name, share in (("short", 0.2), ("half", 0.5), ("long", 1.5))}
    return {
        name: ast_features(torch.randn(int(seconds * 16000), generator=generator).numpy(), extractor)
        for name, seconds in noises.items()
    }


def test_lengths_are_told_from_the_features(encoder, features):
    lengths = sound_patches(torch.stack(list(features.values())), encoder.config).tolist()
    in_time = (encoder.config.max_length - encoder.config.patch_size) // encoder.config.time_stride + 1
    assert lengths[0] < lengths[1] < lengths[2] == in_time
    frames = [0.2 * encoder.config.max_length, 0.5 * encoder.config.max_length]
    for length, count in zip(lengths, frames, strict=False):
        assert count / encoder.config.time_stride <= length <= count / encoder.config.time_stride + 5


@torch.no_grad()
def test_a_clip_that_fills_the_window_is_embedded_as_ever_and_a_short_one_otherwise(encoder, features):
    values = torch.stack(list(features.values()))
    mean, trimmed = embed_sounds(encoder, values), embed_sounds(encoder, values, "trimmed_mean")
    torch.testing.assert_close(trimmed[2], mean[2])
    assert not torch.allclose(trimmed[0], mean[0], atol=1e-3)
    assert not torch.allclose(trimmed[1], mean[1], atol=1e-3)


@torch.no_grad()
def test_a_short_clip_is_embedded_as_its_patches_alone_whatever_its_neighbours(encoder, features):
    values = torch.stack(list(features.values()))
    length = int(sound_patches(values[:1], encoder.config))
    config = encoder.config
    in_time = (config.max_length - config.patch_size) // config.time_stride + 1
    # By hand: the first patches of each row of the spectrogram, which transformers lays out row by row.
    kept = [0, 1, *(place for place in range(2, encoder.embeddings.position_embeddings.shape[1])
                    if (place - 2) % in_time < length)]  # fmt: skip
    handle = encoder.embeddings.register_forward_hook(lambda module, inputs, output: output[:, kept])
    try:
        expected = encoder(values[:1]).last_hidden_state.mean(dim=1)
    finally:
        handle.remove()
    torch.testing.assert_close(embed_sounds(encoder, values[:1], "trimmed_mean"), expected)
    torch.testing.assert_close(embed_sounds(encoder, values, "trimmed_mean")[:1], expected)


def test_other_encoders_and_poolings_are_refused(parts, features):
    other = AutoModel.from_pretrained(parts.language_model)
    with pytest.raises(AudioBertInputError, match="works with the audio spectrogram transformer only, not with bert"):
        embed_sounds(other, features["short"][None], "trimmed_mean")
    with pytest.raises(AudioBertInputError, match="audio pooling 'max' is not known"):
        load_bank_encoders(parts.clap, parts.audio_encoder, "max")


def test_a_model_with_trimmed_sounds_learns_and_hears_them_and_refuses_a_bank_with_padding(parts, features, tmp_path):
    model = without_dropout(assemble(parts, audio_pooling="trimmed_mean")).train()
    values = torch.stack(list(features.values()))
    embedded = model.encode_audio(values)
    torch.testing.assert_close(embedded, embed_sounds(model.audio_encoder, values, "trimmed_mean"))
    embedded.square().sum().backward()
    assert model.audio_encoder.embeddings.patch_embeddings.projection.weight.grad.abs().sum() > 0
    model.eval().save_pretrained(tmp_path)
    loaded = AudioBertForMaskedLM.from_pretrained(tmp_path)
    assert loaded.config.audio_pooling == "trimmed_mean"
    with torch.no_grad():
        torch.testing.assert_close(loaded.encode_audio(values), model.encode_audio(values))
    with pytest.raises(AudioBertInputError, match="made by"):
        model.bank = assemble(parts).bank
