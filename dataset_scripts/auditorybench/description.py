"""What the card of an exported AuditoryBench says beside the numbers."""

from .builder import CITATION, DOWNLOAD_URL
from .dataset_card import CardTexts
from .export import BenchmarkDescription
from .sources import ANIMAL, COMBINED, PINNED, REPOSITORY


__all__ = ["MIT_LICENCE", "auditorybench_description"]

MIT_LICENCE = """\
MIT License

Copyright (c) {holder}

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""

_SUMMARY = """\
AuditoryBench (arXiv 2409.08199) asks language models what they know of sounds. Two tasks: which animal makes a sound
(`animal_sound_recognition`), and which of two sounds is higher (`sound_pitch_comparison`); `combined` is both. Each
row is a sentence with a gap, its answer, and the spans that name the sounds."""

_DEFECTS = """\
- At the published head, the animal task's train file is its test file, byte for byte. It is not served here: the
  train split is that of a later revision, which has 4,534 rows where the paper's Table I has 4,211. Only its rows and
  columns can be verified, as its exact bytes are not known to us.
- The animal answers and spans were written by a language model from sound captions: some answers are no animals, and
  some published letters point at another choice than the answer."""

_CLEANED = "\n- Rows of train whose sentence also stands in validation, test or wiki were left out of this export."


def auditorybench_description(repository: str, cleaned: bool) -> BenchmarkDescription:
    """Return the description of an AuditoryBench export.

    Args:
        repository (`str`):
            The Hub id, or the folder's name, for the card's example.
        cleaned (`bool`):
            Whether train lacks the sentences that are also evaluated.
    """
    train = PINNED[ANIMAL, "train"]
    digests = "\n".join(
        f"- `{file.path}` at `{file.revision}`: {file.num_rows:,} rows, sha256 `{file.sha256 or 'not known'}`"
        for file in PINNED.values()
    )
    texts = CardTexts(
        pretty_name="AuditoryBench",
        summary=_SUMMARY,
        repository=repository,
        splits_note="Train, validation (the paper's dev), test, and wiki: the same questions from Wikipedia's facts.",
        defects=_DEFECTS + (_CLEANED if cleaned else ""),
        sources_note=(
            f"Published in github.com/{REPOSITORY} (`{DOWNLOAD_URL}/REVISION/PATH`):\n\n{digests}\n\n"
            f"The rows of this export; a file with a sha256 behind its name is not, byte for byte, one of the "
            f"published ones known to us (the animal train file is `{train.path}`):"
        ),
        licence_note="The text is under the MIT licence, Copyright (c) 2024 Hyunjong Ok; see `LICENSE`.",
        citation=CITATION,
    )
    metadata = {
        "license": "mit",
        "language": ["en"],
        "pretty_name": "AuditoryBench",
        "task_categories": ["fill-mask"],
        "size_categories": ["10K<n<100K"],
        "tags": ["audio", "auditory-knowledge", "arxiv:2409.08199"],
    }
    return BenchmarkDescription(texts, metadata, MIT_LICENCE.format(holder="2024 Hyunjong Ok"), COMBINED)
