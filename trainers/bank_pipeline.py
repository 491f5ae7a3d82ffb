"""Decoding ahead of encoding: clips in groups, in order, while the encoders always have something to do."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from multiprocessing import get_context
from typing import Any

import torch

from .bank_encoding import BankEncoders, BankOptions, encode_prepared, single_threaded
from .bank_speed import SpeedMeter
from .clip_preparation import ClipPreparer, PreparedClip
from .clip_streams import StreamedClip


__all__ = ["EncodedClip", "EncodingPipeline"]

# Windows of so many batches are sorted.
_WINDOW_BATCHES = 8
# Of each decoding process, what it works with.
_preparers: list[ClipPreparer] = []


@dataclass(frozen=True)
class EncodedClip:
    """What became of a clip.

    Args:
        problem (`str`, *optional*): why it cannot be used.
        content (`str`, *optional*): see `PreparedClip`.
        audio (`bytes`, *optional*): its file, where the bank is to hold it.
        key, value (`torch.FloatTensor`, *optional*): of shape `(key_dim,)` and `(value_dim,)`, float32 on the CPU;
            None for a clip with a problem, and for a copy of an earlier one of its group.
    """

    problem: str | None
    content: str | None
    duration_seconds: float
    audio: bytes | None
    key: torch.Tensor | None = None
    value: torch.Tensor | None = None


class EncodingPipeline:
    """A context in which groups of clips are decoded and encoded.

    On a CPU, as many forward passes run side by side as torch had threads, each with one (see `single_threaded`).

    Within a group, windows of eight batches are sorted by length. Both feature extractors bring every clip to one
    length, so there is no padding to save; what sorting gives is that the long clips of fused CLAP, which go through
    more layers, are not mixed with short ones.

    Args:
        encoders (`BankEncoders`), options (`BankOptions`), meter (`SpeedMeter`).
    """

    def __init__(self, encoders: BankEncoders, options: BankOptions, meter: SpeedMeter):
        self.encoders = encoders
        self.options = options
        self.meter = meter
        self._stack = ExitStack()

    def __enter__(self) -> "EncodingPipeline":
        num_threads = self._stack.enter_context(single_threaded())
        on_cpu = next(self.encoders.clap.parameters()).device.type == "cpu"
        self._num_encoding = num_threads if on_cpu else 1
        options = self.options
        extractors = self.encoders.clap_extractor, self.encoders.audio_extractor
        preparer = ClipPreparer(extractors, options.max_duration_seconds, options.embed_audio, options.feature_cache)
        self._encoding = self._pool(ThreadPoolExecutor(self._num_encoding))
        if options.num_proc > 1:
            # Forking a process in which torch has started threads may deadlock.
            pool = ProcessPoolExecutor(options.num_proc, get_context("spawn"), _start_preparing, (preparer,))
            self._preparing, self._prepare = self._pool(pool), _prepare_elsewhere
        else:
            self._preparing = self._pool(ThreadPoolExecutor(max(2, num_threads)))
            self._prepare = preparer
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def run(
        self, groups: Iterable[tuple[Any, Sequence[StreamedClip]]]
    ) -> Iterator[tuple[Any, dict[int, EncodedClip]]]:
        """Yield the clips of each group, encoded, a few at a time.

        Args:
            groups (`Iterable`): names of groups (each another than the one before) with their clips; taken as needed.

        Yields:
            The group's name, and some of its clips by their places in it; groups in order, clips in any.
        """
        entries = (((name, place), clip) for name, clips in groups for place, clip in enumerate(clips))
        ahead = 2 * max(self.options.num_proc, self._num_encoding) + self.options.batch_size
        prepared = _in_order(self._preparing, self._prepare, entries, ahead)
        yield from _in_order(self._encoding, self._encode, self._batches(prepared), self._num_encoding + 1)

    def _batches(
        self, prepared: Iterable[tuple[tuple[Any, int], PreparedClip]]
    ) -> Iterator[tuple[Any, dict[int, PreparedClip]]]:
        """Yield batches, each of one group; a batch without features is of clips that are not encoded."""
        size = self.options.batch_size
        for name, members in groupby(prepared, key=lambda entry: entry[0][0]):
            seen, window, rest = set(), {}, {}
            for (_, place), clip in members:
                self.meter.prepared(clip.duration_seconds, clip.cpu_seconds, self.options.num_proc > 1)
                copied = clip.content in seen and not self.options.keep_duplicates
                seen.add(clip.content)
                if clip.problem or copied:
                    rest[place] = _without_features(clip)
                    continue
                window[place] = clip
                if len(window) >= (size if size == 1 else _WINDOW_BATCHES * size):
                    yield from ((name, batch) for batch in _sorted_batches(window, size))
                    window = {}
            yield from ((name, batch) for batch in _sorted_batches(window, size))
            if rest:
                yield name, rest

    def _encode(self, batch: dict[int, PreparedClip]) -> dict[int, EncodedClip]:
        clips = list(batch.values())
        keys = values = [None] * len(clips)
        if clips[0].clap_features is not None:
            with self.meter.encoding():
                keys, values = encode_prepared(clips, self.encoders, self.options.batch_size)
        return {
            place: EncodedClip(clip.problem, clip.content, clip.duration_seconds, clip.audio, key, value)
            for place, clip, key, value in zip(batch, clips, keys, values, strict=True)
        }

    def _pool(self, pool: Executor) -> Executor:
        self._stack.callback(pool.shutdown, cancel_futures=True)
        return pool


def _in_order(
    pool: Executor, function: Callable, items: Iterable[tuple[Any, Any]], ahead: int
) -> Iterator[tuple[Any, Any]]:
    """Yield each item's name and what `function` makes of it, in order, with at most `ahead` items under way."""
    waiting = deque()
    for name, item in items:
        waiting.append((name, pool.submit(function, item)))
        if len(waiting) >= ahead:
            name, future = waiting.popleft()
            yield name, future.result()
    for name, future in waiting:
        yield name, future.result()


def _sorted_batches(window: dict[int, PreparedClip], size: int) -> Iterator[dict[int, PreparedClip]]:
    for longer in (False, True):
        places = [place for place, clip in window.items() if clip.is_longer == longer]
        places.sort(key=lambda place: window[place].duration_seconds)
        for start in range(0, len(places), size):
            yield {place: window[place] for place in places[start : start + size]}


def _without_features(clip: PreparedClip) -> PreparedClip:
    return PreparedClip(None, None, clip.content, clip.duration_seconds, clip.audio, clip.problem)


def _start_preparing(preparer: ClipPreparer) -> None:
    torch.set_num_threads(1)
    _preparers[:] = [preparer]


def _prepare_elsewhere(entry: StreamedClip) -> PreparedClip:
    return _preparers[0](entry)
