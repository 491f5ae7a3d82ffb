"""Build an audio bank our way and by the procedure of the paper's released code, on the same clips, in one run.

    python benchmarks/bank_building.py ../shared/audio_bank/manifest.csv --encoders full --clips 16
    python benchmarks/bank_building.py ../shared/audio_bank/manifest.csv --encoders small --clips 150 --again

The procedure: one clip after the other, decoded by librosa at the rate of each encoder, features, a forward pass of
CLAP and one of the audio encoder with torch's own threads, everything kept in lists, which are written as JSON at the
end. Ours is `build_bank`: the same decoding errors, checks and digests as always, chunks kept on disk on the way.

The encoders have random weights, so nothing is downloaded: "full" are those of laion/clap-htsat-fused (with a small
text tower, which no clip goes through) and MIT/ast-finetuned-audioset-10-10-0.4593, "small" those that
trainers/recipes/cpu_small.yaml trains. Prints one JSON document; ratios above 1 are ours.
"""

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import librosa
import numpy as np
import torch
from transformers import ASTConfig, ASTFeatureExtractor, ASTModel, ClapConfig, ClapFeatureExtractor, ClapModel

from audiobert.trainers.bank_building import build_bank
from audiobert.trainers.bank_encoding import BankEncoders, BankOptions
from audiobert.trainers.clip_sources import ClipSource, read_clips


TEXT = {"num_hidden_layers": 1, "hidden_size": 64, "num_attention_heads": 2, "intermediate_size": 64}
SMALL_TOWER = {
    "spec_size": 128,
    "patch_size": 8,
    "patch_stride": [8, 8],
    "window_size": 8,
    "patch_embeds_hidden_size": 96,
    "depths": [2, 2],
    "num_attention_heads": [4, 8],
    "hidden_size": 192,
}
SMALL_ENCODER = {
    "max_length": 384,
    "num_mel_bins": 64,
    "hidden_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 512,
}


def main() -> None:
    """Measure both, and print and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", help="clips to build from")
    parser.add_argument("--encoders", choices=["full", "small"], default="small")
    parser.add_argument("--clips", type=int, default=200, help="how many, taken evenly from the manifest")
    parser.add_argument("--threads", type=int, help="of torch, for both; by default as many as it takes")
    parser.add_argument("--again", action="store_true", help="also build with features kept by an earlier build")
    parser.add_argument("--out", help="also write the JSON document here")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    source = read_clips(arguments.manifest)
    step = max(1, len(source) // arguments.clips)
    source = ClipSource(source.folder, source.clips[::step][: arguments.clips], source.name)
    encoders = random_encoders(arguments.encoders)
    with tempfile.TemporaryDirectory() as folder:
        # The first forward passes and the first decoding are slower than all later ones: not counted, for neither.
        warm = ClipSource(source.folder, source.clips[:2])
        released(warm, encoders, Path(folder) / "warm.json")
        build_bank(warm, encoders, Path(folder) / "warm")
        theirs = released(source, encoders, Path(folder) / "bank.json")
        bank, report = build_bank(source, encoders, Path(folder) / "bank", BankOptions(keep_duplicates=True))
        ours = report.speed | {"bytes": sum(file.stat().st_size for file in (Path(folder) / "bank").iterdir())}
        if arguments.again:
            options = BankOptions(keep_duplicates=True, feature_cache=Path(folder) / "features")
            build_bank(source, encoders, Path(folder) / "first", options)
            again = build_bank(source, encoders, Path(folder) / "again", options)[1].speed
    agreement = (bank.keys.numpy() * theirs.pop("keys")).sum(axis=1)
    document = {
        "encoders": arguments.encoders,
        "clips": len(source),
        "audio_seconds": report.speed["audio_seconds"],
        "torch_threads": torch.get_num_threads(),
        "released_procedure": theirs,
        "ours": ours,
        "ours_after_the_first_decode": again if arguments.again else None,
        "ratios": {
            "speed": round(theirs["seconds"] / ours["seconds"], 2),
            "processor_time": round(theirs["cpu_seconds"] / ours["cpu_seconds"], 2),
            "bytes": round(theirs["bytes"] / ours["bytes"], 2),
        },
        "least_cosine_of_keys": round(float(agreement.min()), 6),
        "peak_memory_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }
    text = json.dumps(document, indent=2)
    print(text)  # noqa: T201 - the script's output
    if arguments.out:
        Path(arguments.out).write_text(text + "\n", encoding="utf-8")


def random_encoders(size: str) -> BankEncoders:
    """Return encoders of the published shapes, or of the small recipe's, with random weights."""
    torch.manual_seed(0)
    if size == "full":
        tower = {"enable_fusion": True, "fusion_type": "aff_2d"}
        window, shape, frames = {"truncation": "fusion"}, {}, {}
    else:
        tower = SMALL_TOWER
        window = {"sampling_rate": 16000, "max_length_s": 5, "hop_length": 320, "feature_size": 64}
        window |= {"frequency_max": 8000, "truncation": "rand_trunc"}
        shape, frames = SMALL_ENCODER, {"max_length": 384, "num_mel_bins": 64}
    config = ClapConfig(text_config=TEXT, audio_config=tower)
    return BankEncoders(
        clap=ClapModel(config).eval(),
        clap_extractor=ClapFeatureExtractor(**window),
        clap_tokenizer=None,
        audio_encoder=ASTModel(ASTConfig(**shape)).eval(),
        audio_extractor=ASTFeatureExtractor(**frames),
    )


@torch.no_grad()
def released(source: ClipSource, encoders: BankEncoders, file: Path) -> dict:
    """Encode clip after clip and write lists as JSON; return the time it took, and in forward passes."""
    keys, values, forward = [], [], 0.0
    started, cpu_started = time.perf_counter(), time.process_time()
    for clip in source.clips:
        path = source.file(clip)
        extractor = encoders.clap_extractor
        sound, _ = librosa.load(path, sr=extractor.sampling_rate)
        np.random.seed(0)  # it draws where a long clip is cut
        inputs = extractor(sound, sampling_rate=extractor.sampling_rate, return_tensors="pt")
        inputs["is_longer"] = torch.tensor([[len(sound) > extractor.nb_max_samples]])
        before = time.perf_counter()
        output = encoders.clap.audio_model(**inputs)
        key = torch.nn.functional.normalize(encoders.clap.audio_projection(output.pooler_output), dim=-1)
        forward += time.perf_counter() - before
        extractor = encoders.audio_extractor
        sound, _ = librosa.load(path, sr=extractor.sampling_rate)
        inputs = extractor(sound, sampling_rate=extractor.sampling_rate, return_tensors="pt")
        before = time.perf_counter()
        value = encoders.audio_encoder(**inputs).last_hidden_state.mean(dim=1)
        forward += time.perf_counter() - before
        keys.append(key[0].tolist())
        values.append(value[0].tolist())
    file.write_text(json.dumps({"keys": keys, "values": values, "clips": _facts(source.clips)}), encoding="utf-8")
    seconds = time.perf_counter() - started
    return {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(time.process_time() - cpu_started, 2),
        "forward_share": round(forward / seconds, 4),
        "bytes": file.stat().st_size,
        "keys": np.array(keys, dtype=np.float32),
    }


def _facts(clips: Sequence) -> list[dict]:
    return [vars(clip) for clip in clips]


if __name__ == "__main__":
    main()
