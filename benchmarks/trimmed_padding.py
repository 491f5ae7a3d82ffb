"""What leaving the padding of short clips out changes: the time of a pass, and the embeddings.

    python benchmarks/trimmed_padding.py
    python benchmarks/trimmed_padding.py --audio-encoder runs/audio_encoder --clips clips

Prints one JSON document. Without an encoder: processor seconds of a forward and backward pass over a clip of 2, 5 and
10 s with an audio spectrogram transformer of the published size, whose weights are random. With one: how near the two
embeddings of a clip are to each other (cosine), and how often the nearest other clip has the same label. That is told
of clips that are shorter than the window; the encoder was trained with padding, so this is what changes without
training it anew.
"""

import argparse
import json
import random
import time
from pathlib import Path

import torch
from transformers import ASTConfig, ASTFeatureExtractor, ASTModel, AutoFeatureExtractor, AutoModel

from audiobert.modeling_audiobert.configuration_audiobert import AUDIO_POOLINGS
from audiobert.modeling_audiobert.sound_embedding import embed_sounds, sound_patches
from audiobert.trainers.audio_features import ast_features
from audiobert.trainers.audio_loading import load_audio
from audiobert.trainers.clip_sources import read_clips


def main() -> None:
    """Measure one of the two, and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio-encoder", help="a trained one: a folder or Hub id")
    parser.add_argument("--clips", help="labelled clips: a manifest, or a folder with one")
    parser.add_argument("--count", type=int, default=600, help="clips, drawn at random")
    parser.add_argument("--repeats", type=int, default=3, help="passes, of which the fastest counts")
    arguments = parser.parse_args()
    if arguments.audio_encoder:
        report = compare_embeddings(arguments.audio_encoder, Path(arguments.clips), arguments.count)
    else:
        report = time_passes(arguments.repeats)
    print(json.dumps({"threads": torch.get_num_threads(), **report}, indent=2))  # noqa: T201 - the script's output


def time_passes(repeats: int) -> dict:
    """Time a pass over clips of several lengths."""
    torch.manual_seed(0)
    encoder, extractor = ASTModel(ASTConfig()), ASTFeatureExtractor()
    rows = []
    for duration in (2, 5, 10):
        values = ast_features(torch.randn(duration * 16000).numpy(), extractor)[None]
        row = {"duration_seconds": duration}
        for pooling in AUDIO_POOLINGS:
            row[f"{pooling}_seconds"] = round(min(_seconds(encoder, values, pooling) for _ in range(repeats)), 3)
        row["ratio"] = round(row["mean_seconds"] / row["trimmed_mean_seconds"], 2)
        rows.append(row)
    return {"passes": rows}


def _seconds(encoder: ASTModel, values: torch.Tensor, pooling: str) -> float:
    started = time.process_time()
    embed_sounds(encoder, values, pooling).square().sum().backward()
    return time.process_time() - started


@torch.no_grad()
def compare_embeddings(audio_encoder: str, manifest: Path, count: int) -> dict:
    """Compare the two embeddings of labelled clips that are shorter than the window."""
    encoder = AutoModel.from_pretrained(audio_encoder).eval()
    extractor = AutoFeatureExtractor.from_pretrained(audio_encoder)
    source = read_clips(manifest)
    drawn = random.Random(0).sample([clip for clip in source.clips if clip.label], count)
    rate = extractor.sampling_rate
    features = torch.stack([ast_features(load_audio(source.folder / clip.path, rate), extractor) for clip in drawn])
    lengths = sound_patches(features, encoder.config)
    short = lengths < lengths.max()
    labels = [clip.label for clip, is_short in zip(drawn, short.tolist(), strict=True) if is_short]
    found = {}
    for pooling in AUDIO_POOLINGS:
        embedded = [embed_sounds(encoder, values[None], pooling) for values in features[short]]
        found[pooling] = torch.nn.functional.normalize(torch.cat(embedded), dim=-1)
    cosines = (found["mean"] * found["trimmed_mean"]).sum(dim=-1)
    return {
        "clips": count,
        "shorter_than_the_window": len(labels),
        "share_of_patches_left": round((lengths[short].float() / lengths.max()).mean().item(), 3),
        "cosine": {"mean": round(cosines.mean().item(), 4), "least": round(cosines.min().item(), 4)},
        "nearest_neighbour_has_the_label": {
            pooling: round(_neighbour_accuracy(embedded, labels), 4) for pooling, embedded in found.items()
        },
    }


def _neighbour_accuracy(embedded: torch.Tensor, labels: list[str]) -> float:
    similarities = embedded @ embedded.T
    similarities.fill_diagonal_(-2.0)
    nearest = similarities.argmax(dim=1).tolist()
    return sum(labels[index] == label for index, label in zip(nearest, labels, strict=True)) / len(labels)


if __name__ == "__main__":
    main()
