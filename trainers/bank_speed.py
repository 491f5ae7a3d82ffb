"""Where the time of building a bank goes."""

import json
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from audiobert.modeling_audiobert.atomic_files import staged_file


__all__ = ["SpeedMeter", "combined_speed"]


class SpeedMeter:
    """Measures one process of a build, from its creation on; its methods may be called from any thread."""

    def __init__(self):
        self._lock = threading.Lock()
        self._started = time.perf_counter()
        self._cpu_started = time.process_time()
        self._encoding_cpu = self._preparing_cpu = self._elsewhere_cpu = 0.0
        self._audio_seconds = 0.0
        self._num_clips = 0
        self._running = 0
        self._running_since = 0.0
        self._busy = 0.0

    @contextmanager
    def encoding(self) -> Iterator[None]:
        """Count the block as a forward pass of the encoders."""
        started = time.thread_time()
        with self._lock:
            if self._running == 0:
                self._running_since = time.perf_counter()
            self._running += 1
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1
                if self._running == 0:
                    self._busy += time.perf_counter() - self._running_since
                self._encoding_cpu += time.thread_time() - started

    def prepared(self, duration_seconds: float, cpu_seconds: float, elsewhere: bool) -> None:
        """Count a decoded clip; `elsewhere`: in another process, whose processor time is not in this one's."""
        with self._lock:
            self._num_clips += 1
            self._audio_seconds += duration_seconds
            self._preparing_cpu += cpu_seconds
            self._elsewhere_cpu += cpu_seconds if elsewhere else 0.0

    def facts(self) -> dict[str, float]:
        """Return what was measured: seconds of the clock, of sound, and of the processor by what they went into."""
        with self._lock:
            return {
                "clips": self._num_clips,
                "audio_seconds": self._audio_seconds,
                "seconds": time.perf_counter() - self._started,
                "forward_seconds": self._busy,
                "cpu_seconds": time.process_time() - self._cpu_started + self._elsewhere_cpu,
                "cpu_seconds_forward": self._encoding_cpu,
                "cpu_seconds_decoding_and_features": self._preparing_cpu,
            }

    def save(self, file: Path) -> None:
        """Write `facts`, for the process that sums them up."""
        with staged_file(file) as temporary:
            temporary.write_text(json.dumps(self.facts()), encoding="utf-8")


def combined_speed(facts: Iterable[dict[str, float]]) -> dict[str, Any]:
    """Return the speed of a build from the `facts` of its processes.

    Returns:
        `dict`: the sums of the facts (of `seconds`, the longest), and
            - `real_time_factor`: seconds of the clock per second of sound, None if nothing was encoded;
            - `encoder_share`: of the processor's time, how much was spent in forward passes, 0 to 1;
            - `encoder_busy_share`: of the clock's time, how much had a forward pass running in it.
    """
    facts = list(facts)
    total: dict[str, Any] = {name: sum(entry[name] for entry in facts) for name in facts[0]}
    total["seconds"] = max(entry["seconds"] for entry in facts)
    running = sum(entry["seconds"] for entry in facts)
    rounded = {name: round(value, 3) for name, value in total.items()}
    encoded = total["audio_seconds"] > 0
    return {
        **rounded,
        "real_time_factor": round(total["seconds"] / total["audio_seconds"], 5) if encoded else None,
        "encoder_share": round(total["cpu_seconds_forward"] / total["cpu_seconds"], 4) if encoded else None,
        "encoder_busy_share": round(total["forward_seconds"] / running, 4) if encoded else None,
    }
