"""A source, chunk by chunk, into a folder of encoded chunks: each kept as soon as it is done, none computed twice."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from audiobert.modeling_audiobert.atomic_files import staged_file
from audiobert.modeling_audiobert.audio_bank import CLIP_SCHEMA
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .bank_encoding import BankEncoders, BankOptions
from .bank_pipeline import EncodedClip, EncodingPipeline
from .bank_speed import SpeedMeter
from .clip_streams import ClipShard, ClipStream, StreamedClip, identity_digest


__all__ = ["CHUNK_SCHEMA", "CONTENT_FIELD", "ChunkFolder", "Worker"]

CONTENT_FIELD = pa.field("content", pa.string())
CHUNK_SCHEMA = pa.schema(
    [
        *CLIP_SCHEMA,
        CONTENT_FIELD,
        ("problem", pa.string()),
        ("key", pa.list_(pa.float32())),
        ("value", pa.list_(pa.float32())),
    ]
)
# Sounds that a stream hands over as bytes are held until their chunk is done.
_CHUNK_BYTES = 64 << 20
# Counted up when the same source and encoders would make other chunks.
_FORMAT = 1


@dataclass(frozen=True)
class Worker:
    """Which of several processes this one is, as `accelerate launch` counts them."""

    index: int = 0
    count: int = 1


@dataclass(frozen=True)
class _Chunk:
    file: Path
    clips: tuple[StreamedClip, ...]


class ChunkFolder:
    """The encoded chunks of one source, by one pair of encoders and one set of options.

    A chunk's name is a digest of all that decides what is in it, so that a changed file, encoder or option makes
    another chunk. Beside them stands a list for each shard: which chunks it consists of, in order.

    Args:
        folder (`Path`): made when needed; it may hold chunks of other builds.
        stream (`ClipStream`): the source.
        encoders (`BankEncoders`), options (`BankOptions`): as in `build_bank`.
        taken (`frozenset[str]`, *optional*): ids that the source must not have.

    Raises:
        AudioBertInputError: the source cannot be reached.
    """

    def __init__(
        self,
        folder: Path,
        stream: ClipStream,
        encoders: BankEncoders,
        options: BankOptions,
        taken: frozenset[str] = frozenset(),
    ):
        self.folder = folder
        self.stream = stream
        self.encoders = encoders
        self.options = options
        self.taken = taken
        self.fingerprints = encoders.fingerprints()
        self._shards = stream.shards()
        self._settings = identity_digest(
            _FORMAT,
            self.fingerprints,
            options.embed_audio,
            options.keep_duplicates,
            options.batch_size,
            options.chunk_size,
            options.max_duration_seconds,
        )

    def fill(self, meter: SpeedMeter, worker: Worker | None = None) -> None:
        """Encode those chunks that are this worker's and not in the folder.

        Where there are as many shards as workers, each takes whole shards, and so reads only those; else every n-th
        chunk.

        Raises:
            AudioBertInputError: an id is taken, the source cannot be read any more, or the folder cannot be written.
        """
        worker = worker or Worker()
        by_shard = len(self._shards) >= worker.count
        bar = tqdm(
            total=self.stream.num_clips, desc="encoding clips", unit="clip", disable=True if worker.index else None
        )
        with bar, EncodingPipeline(self.encoders, self.options, meter) as pipeline:
            for index, shard in enumerate(self._shards):
                if by_shard and index % worker.count != worker.index:
                    continue
                if shard.identity is not None and self._is_complete(index):
                    continue
                names: list[str] = []
                missing = self._missing(index, names, Worker() if by_shard else worker, bar)
                for chunk, parts in groupby(pipeline.run(missing), key=lambda part: part[0]):
                    encoded: dict[int, EncodedClip] = {}
                    for _, clips in parts:
                        encoded.update(clips)
                        bar.update(len(clips))
                    _save(chunk, encoded)
                if by_shard or worker.index == 0:
                    with staged_file(self._listing(index)) as temporary:
                        temporary.write_text(json.dumps(names), encoding="utf-8")

    def files(self) -> list[Path]:
        """Return the chunks of the whole source, in its order; all workers have to be done."""
        listings = (self._listing(index) for index in range(len(self._shards)))
        return [self.folder / name for file in listings for name in json.loads(file.read_text(encoding="utf-8"))]

    def _missing(
        self, index: int, names: list[str], worker: Worker, bar: tqdm
    ) -> Iterator[tuple[_Chunk, tuple[StreamedClip, ...]]]:
        """Walk through a shard, note its chunks' names, and yield the worker's that are to be made."""
        shard = self._shards[index]
        for number, clips in enumerate(_cut(shard.walk(), self.options.chunk_size)):
            self._check_ids(clips)
            file = self.folder / self._name(shard, number, clips)
            names.append(file.name)
            if number % worker.count != worker.index:
                continue
            if _is_whole(file):
                bar.update(len(clips))
            else:
                yield _Chunk(file, clips), clips

    def _check_ids(self, clips: tuple[StreamedClip, ...]) -> None:
        for entry in clips:
            if entry.clip.id in self.taken:
                raise AudioBertInputError(
                    f"the audio bank has a clip '{entry.clip.id}' already, which '{self.stream.name}' names too. "
                    f'Remove it first ("audiobert bank remove"), or give the new clip another id. Nothing was changed.'
                )

    def _name(self, shard: ClipShard, number: int, clips: tuple[StreamedClip, ...]) -> str:
        told = [[vars(entry.clip), entry.stamp, entry.problem] for entry in clips]
        digest = identity_digest(self._settings, shard.name, shard.identity, number, told)
        return f"chunk-{digest}.parquet"

    def _listing(self, index: int) -> Path:
        shard = self._shards[index]
        return self.folder / f"shard-{identity_digest(self._settings, index, shard.name, shard.identity)}.json"

    def _is_complete(self, index: int) -> bool:
        try:
            names = json.loads(self._listing(index).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return False
        return all(_is_whole(self.folder / name) for name in names)


def _cut(clips: Iterator[StreamedClip], size: int) -> Iterator[tuple[StreamedClip, ...]]:
    chunk, held = [], 0
    for clip in clips:
        chunk.append(clip)
        held += clip.held_bytes
        if len(chunk) == size or held >= _CHUNK_BYTES:
            yield tuple(chunk)
            chunk, held = [], 0
    if chunk:
        yield tuple(chunk)


def _is_whole(file: Path) -> bool:
    """Return whether a chunk is there; a power cut may leave half of one."""
    try:
        return pq.read_metadata(file).num_rows > 0
    except (FileNotFoundError, pa.ArrowException):
        return False


def _save(chunk: _Chunk, encoded: dict[int, EncodedClip]) -> None:
    rows = [
        {
            "id": entry.clip.id,
            "caption": entry.clip.caption,
            "label": entry.clip.label,
            "path": entry.clip.path,
            "audio": encoded[place].audio,
            "licence": entry.clip.licence,
            "duration_seconds": encoded[place].duration_seconds,
            "content": encoded[place].content,
            "problem": encoded[place].problem,
            "key": None if encoded[place].key is None else encoded[place].key.numpy(),
            "value": None if encoded[place].value is None else encoded[place].value.numpy(),
        }
        for place, entry in enumerate(chunk.clips)
    ]
    with staged_file(chunk.file) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=CHUNK_SCHEMA), temporary, use_dictionary=False)
