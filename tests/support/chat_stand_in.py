"""A server on 127.0.0.1 that follows the OpenAI chat format: it writes by rule, and misbehaves where it is told to.

The rules read the request as a language model would: the last data block says what is asked, the system message which
of the three prompts it is. No answer depends on anything but the request and `Misdeeds`, so that every run is alike.

By hand: python tests/support/chat_stand_in.py 8000 serves the model stand-in/writer at http://127.0.0.1:8000/v1, with
every misdeed that `often_wrong` knows.
"""

import hashlib
import json
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from http_stand_in import Quiet, serving


MODEL, KEY = "stand-in/writer", "a-key"
# The everyday names among the words of a caption; anything else is "other".
ANIMALS = re.findall(
    "[a-z]+",
    "dog cat bird cow sheep frog pig horse dolphin bear elephant crow donkey rooster hen insect lion monkey chicken "
    "cricket owl duck goose goat whale bee wolf mouse tiger camel deer fox zebra rabbit squirrel turkey",
)
CALLS = ("yelp", "honk", "growl", "chirp", "squeak", "rumble", "trill", "howl", "cluck", "hum", "snarl", "peep")
SCENES = (
    "near the river", "behind the old mill", "in the early morning", "on a windy hill", "outside the village",
    "after the rain", "under a bright moon", "beside the road", "at the edge of the wood", "on the far shore",
)  # fmt: skip
HIGH = (
    "flute",
    "piccolo",
    "bell",
    "whistle",
    "violin",
    "bird",
    "cricket",
    "triangle",
    "cymbal",
    "cat",
    "glockenspiel",
)


@dataclass
class Misdeeds:
    """What goes wrong, by what stands in a request's data; each is a function of the data and how often it came.

    Args:
        status: returns an HTTP status other than 200, or None; 429 comes with a `Retry-After` of `retry_after`.
        content: returns what the model says instead of its answer, or None.
        hang_seconds: returns how long to say nothing.
    """

    status: Callable[[str, int], int | None] = lambda data, times: None
    content: Callable[[str, int], str | None] = lambda data, times: None
    hang_seconds: Callable[[str, int], float] = lambda data, times: 0.0
    retry_after: str = "0.05"


@dataclass
class ChatState:
    """What the server was asked, and how it behaves."""

    misdeeds: Misdeeds = field(default_factory=Misdeeds)
    key: str | None = None
    requests: list[dict[str, Any]] = field(default_factory=list)
    times: Counter = field(default_factory=Counter)
    busy: int = 0
    most_busy: int = 0
    answered: int = 0

    def __post_init__(self):
        self.lock = threading.Lock()


def often_wrong() -> Misdeeds:
    """Every kind of misdeed, each at a fixed share of the requests: most of them once, a few however often."""

    def share(data: str) -> int:
        return int(hashlib.sha256(data.encode("utf-8", "replace")).hexdigest(), 16) % 1000

    def status(data: str, times: int) -> int | None:
        drawn = share(data)
        if drawn < 4:
            return 400 if drawn < 2 else 500  # always
        once = {range(4, 44): 429, range(44, 74): 500, range(74, 84): 503, range(84, 94): 200}
        return next((code for drawn_from, code in once.items() if drawn in drawn_from and not times), None)

    def content(data: str, times: int) -> str | None:
        said = ['{"items": [{"sentence": "The', '{"source": ["dog"]}', "", "Natürlich! Hier ist die Antwort:", "[]"]
        drawn = share(data)
        return said[drawn % len(said)] if 200 <= drawn < 250 or ("cannot be used" in data and drawn < 100) else None

    return Misdeeds(status, content, hang_seconds=lambda data, times: 3.0 if share(data) == 300 and not times else 0.0)


def chat_handler(state: ChatState) -> type[Quiet]:
    """Return a request handler that answers chats and notes them in `state`."""

    class Chat(Quiet):
        def do_POST(self):
            body = json.loads(self.body())
            data = body["messages"][-1]["content"] if "messages" in body else ""
            with state.lock:
                state.requests.append({"path": self.path, "authorization": self.headers.get("Authorization"), **body})
                times = state.times[data]
                state.times[data] += 1
                state.busy += 1
                state.most_busy = max(state.most_busy, state.busy)
            try:
                self.reply(body, data, times)
            finally:
                with state.lock:
                    state.busy -= 1

        def reply(self, body, data, times):
            time.sleep(state.misdeeds.hang_seconds(data, times))
            if state.key and self.headers.get("Authorization") != f"Bearer {state.key}":
                return self.refuse(401, "Incorrect API key provided")
            if self.path != "/v1/chat/completions" or body["model"] != MODEL:
                return self.refuse(404, f"The model `{body['model']}` does not exist.")
            status = state.misdeeds.status(data, times)
            if status == 200:  # a proxy's page
                return self.answer(b"<html>maintenance</html>", Content_Type="text/html")
            if status:
                return self.refuse(status, "maximum context length exceeded" if status == 400 else "overloaded")
            content = state.misdeeds.content(data, times)
            content = json.dumps(written(body["messages"])) if content is None else content
            with state.lock:
                state.answered += 1
            self.answer_json(completion(content, len(json.dumps(body["messages"])) // 4))

        def refuse(self, status, message):
            headers = {"Retry_After": state.misdeeds.retry_after} if status in (429, 503) else {}
            content = json.dumps({"error": {"message": message, "type": "error", "code": status}}).encode()
            self.answer(content, status, Content_Type="application/json", **headers)

    return Chat


def completion(content: str, prompt_tokens: int) -> dict[str, Any]:
    """A reply in the OpenAI chat format."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": MODEL,
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": len(content) // 4,
            "total_tokens": prompt_tokens + len(content) // 4,
        },
    }


def asked_of(messages: list[dict[str, str]]) -> dict[str, Any]:
    """The data of the last request, also where a repair was asked for."""
    blocks = [re.search(r"<data>\n(.*)\n</data>", turn["content"], re.DOTALL) for turn in messages]
    return json.loads([block for block in blocks if block][-1].group(1))


def written(messages: list[dict[str, str]]) -> dict[str, Any]:
    """What the server writes: a category, or sentences that fit the clips."""
    system, asked = messages[0]["content"], asked_of(messages)
    if "tree of categories" in system:
        return category_of(asked)
    draw = int(hashlib.sha256(json.dumps(messages, sort_keys=True).encode()).hexdigest(), 16)
    write = animal_item if "animal sounds" in system else pitch_item
    return {"items": [write(asked, draw + 7 * number) for number in range(asked["items"])]}


def category_of(asked: dict[str, Any]) -> dict[str, Any]:
    words = re.findall(r"[a-z]+", " ".join([asked["caption"], *asked["tags"], asked["description"]]).lower())
    animal = next((word for word in words if word in ANIMALS), None)
    if animal:
        return {"broad": "animal", "source": animal, "kinds": []}
    last = next((word for word in reversed(words) if len(word) > 2), "unknown")
    broad = "instrument" if re.search(r"sound of|note|played|drum", asked["caption"]) else "household"
    return {"broad": broad, "source": last, "kinds": []}


def animal_item(asked: dict[str, Any], draw: int) -> dict[str, Any]:
    call, scene = CALLS[draw % len(CALLS)], SCENES[draw // 100 % len(SCENES)]
    other = CALLS[draw // 7 % len(CALLS)]
    sentence = (
        f"The {call} of a [MASK] was heard {scene}.",
        f"People know the [MASK] by its {other}-like {call} {scene}.",
        f"With a long {call}, the [MASK] called {scene}.",
    )[draw // 1000 % 3]
    return {"sentence": sentence, "span": call, "answer": asked["category"].split("/")[1]}


def pitch_item(asked: dict[str, Any], draw: int) -> dict[str, Any]:
    first, second = (f"sound of the {asked[side]['category'].split('/')[-1]}" for side in ("first", "second"))
    scene = SCENES[draw % len(SCENES)]
    sentence = f"Heard {scene}, the {first} has a [MASK] pitch than the {second}."
    higher = any(word in first for word in HIGH) or (not any(word in second for word in HIGH) and draw // 10 % 2)
    return {"sentence": sentence, "span_1": first, "span_2": second, "answer": "higher" if higher else "lower"}


if __name__ == "__main__":
    with serving(chat_handler(ChatState(often_wrong())), port=int(sys.argv[1])) as serving_at:
        sys.stdout.write(f"{MODEL} answers at {serving_at}/v1\n")
        threading.Event().wait()
