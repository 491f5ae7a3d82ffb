"""The page's own HTML: the sentence with its spans, bars, and cards of clips. Everything from outside is escaped."""

import base64
import io
from collections.abc import Sequence
from html import escape
from typing import Any

import soundfile

from audiobert.trainers.audio_loading import Sound
from audiobert.trainers.spectrogram_picture import spectrogram_png


__all__ = [
    "bars",
    "clip_card",
    "marked_sentence",
    "no_player",
    "notice",
    "own_sound_card",
    "player",
    "sentence_with_spans",
]

# One card holds that much of a sound: longer ones would make the page heavy.
_SHOWN_SECONDS = 12
_SHOWN_RATE = 16_000


def notice(message: str) -> str:
    """A sentence about what cannot be done, and what to do; nothing for an empty one."""
    return f'<div class="ab-notice" role="alert">{escape(message)}</div>' if message else ""


def sentence_with_spans(answer: dict[str, Any], mask_token: str) -> str:
    """The sentence, its spans marked and named by what they hear, its masks set off."""
    ranges = [(span["start"], span["end"], _heard_by(span)) for span in answer["spans"]]
    listened = "" if answer["spans"] else '<p class="ab-hint">No word in it names a sound: nothing to hear.</p>'
    return marked_sentence(answer["text"], ranges, mask_token) + listened


def marked_sentence(text: str, ranges: Sequence[tuple[int, int, str | None]], mask_token: str) -> str:
    """A sentence with character ranges marked, each with what is shown when it is pointed at, and its masks set off.

    Args:
        text (`str`): the sentence.
        ranges: start, end and title of each; in order, none reaching into the next.
        mask_token (`str`): how the sentence writes a mask.
    """
    parts, position = [], 0
    for start, end, title in ranges:
        named = "" if title is None else f' title="{escape(title)}"'
        parts.append(_with_masks(text[position:start], mask_token))
        parts.append(f'<mark class="ab-span"{named}>{escape(text[start:end])}</mark>')
        position = end
    parts.append(_with_masks(text[position:], mask_token))
    return f'<p class="ab-sentence">{"".join(parts)}</p>'


def bars(answer: dict[str, Any], hearing: bool) -> str:
    """For each mask, the predictions without and with hearing side by side, on one scale."""
    masks = list(zip(answer["hearing_off"], answer["predictions"], strict=True))
    heard = any(span["sound"] or any(clip["heard"] for clip in span["clips"]) for span in answer["spans"])
    note = " (hearing switched off)" if not hearing else "" if heard else " (nothing to hear: the same)"
    parts = []
    for number, (off, on) in enumerate(masks, start=1):
        scale = max(token["score"] for token in [*off, *on])
        heading = f'<h3 class="ab-mask-number">Mask {number}</h3>' if len(masks) > 1 else ""
        parts.append(
            f'{heading}<div class="ab-bars">'
            + _column("off", "Language model alone", off, scale)
            + _column("on", f"AudioBERT{note}", on, scale)
            + "</div>"
        )
    return "".join(parts)


def clip_card(clip: dict[str, Any], sound_html: str) -> str:
    """What is known of a clip of the bank, with its player and picture; its similarity may be None: not known."""
    facts = [] if clip["similarity"] is None else [f"similarity <b>{clip['similarity']:.3f}</b>"]
    facts += [f"licence: {escape(clip['licence'] or 'not recorded')}", f"clip {escape(clip['id'])}"]
    return _card(clip["caption"] or clip["label"] or "no caption", facts, sound_html, clip["heard"])


def own_sound_card(name: str, sound_html: str) -> str:
    """The visitor's own sound, as a card among the clips."""
    return _card(name, ["your own sound"], sound_html, heard=True)


def player(sound: Sound, name: str, compressed: bool = False) -> str:
    """A sound's spectrogram and player, both inside the page itself; as MP3, a tenth of the size, if compressed."""
    waveform = sound.at_rate(_SHOWN_RATE)[: _SHOWN_SECONDS * _SHOWN_RATE]
    stream = io.BytesIO()
    kind, settings = ("mpeg", {"format": "MP3"}) if compressed else ("wav", {"format": "WAV", "subtype": "PCM_16"})
    soundfile.write(stream, waveform, _SHOWN_RATE, **settings)
    picture = base64.b64encode(spectrogram_png(waveform, _SHOWN_RATE)).decode()
    cut = "" if sound.duration_seconds <= _SHOWN_SECONDS else f" (its first {_SHOWN_SECONDS} s)"
    return (
        f'<img class="ab-spectrogram" alt="spectrogram of {escape(name)}{cut}" src="data:image/png;base64,{picture}">'
        f'<audio controls preload="metadata" aria-label="play {escape(name)}{cut}" '
        f'src="data:audio/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"></audio>'
    )


def no_player(reason: str) -> str:
    """In the player's place, why there is none."""
    return f'<p class="ab-hint">{escape(reason)}</p>'


def _card(title: str, facts: list[str], sound_html: str, heard: bool) -> str:
    badge = '<span class="ab-badge">heard</span>' if heard else ""
    listed = "".join(f"<li>{fact}</li>" for fact in facts)
    return (
        f'<div class="ab-card{" ab-heard" if heard else ""}">{sound_html}'
        f'<p class="ab-caption">{escape(title)} {badge}</p><ul class="ab-facts">{listed}</ul></div>'
    )


def _with_masks(text: str, mask_token: str) -> str:
    return escape(text).replace(escape(mask_token), '<span class="ab-mask">[MASK]</span>')


def _heard_by(span: dict[str, Any]) -> str:
    heard = [clip["caption"] or clip["id"] for clip in span["clips"] if clip["heard"]]
    return f"hears: {span['sound'] or ', '.join(heard) or 'nothing similar enough in the bank'}"


def _column(kind: str, title: str, tokens: list[dict[str, Any]], scale: float) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(token["token_str"].strip())}</th><td class="ab-track">'
        f'<div class="ab-bar" style="width:{100 * token["score"] / scale:.1f}%"></div></td>'
        f'<td class="ab-score">{100 * token["score"]:.1f} %</td></tr>'
        for token in tokens
    )
    return f'<table class="ab-column ab-{kind}"><caption>{escape(title)}</caption><tbody>{rows}</tbody></table>'
