"""The demo's page in Gradio: its parts, and what happens when a visitor touches one."""

from functools import partial
from html import escape
from typing import Any

import gradio as gr

from audiobert.trainers.bank_facts import bank_facts
from audiobert.trainers.listener import Listener

from .examples import example_sentences
from .visit import Asked, Shown, Visit


__all__ = ["demo_page", "page_theme"]

_SHOWN_LICENCES = 3


def page_theme() -> gr.themes.Base:
    """Return the page's look, in fonts of the visitor's own system: none is fetched."""
    theme = gr.themes.Soft(
        primary_hue="amber",
        neutral_hue="stone",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )
    # The hue's own shades are too light to be read on, or on white.
    return theme.set(
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        block_title_text_color="*neutral_800",
        block_title_text_color_dark="*neutral_100",
        block_label_text_color="*neutral_800",
        block_label_text_color_dark="*neutral_100",
        block_label_background_fill="none",
        block_title_background_fill="none",
        block_title_padding="0",
    )


def demo_page(listener: Listener) -> gr.Blocks:
    """Return the page of a loaded AudioBERT; see [`launch_demo`]."""
    visit = Visit(listener)
    examples = example_sentences(listener.name)
    with gr.Blocks(analytics_enabled=False, title="AudioBERT", delete_cache=(3600, 3600)) as page:
        gr.HTML(_head(listener), elem_classes="ab-head")
        asked, answer = gr.State(Asked()), gr.State(None)
        with gr.Row(equal_height=True):
            text = gr.Textbox(
                examples[0], label="A sentence with [MASK]", max_lines=4, scale=5, min_width=260, elem_id="sentence"
            )
            with gr.Column(scale=1, min_width=150):
                submit = gr.Button("Fill the mask", variant="primary", elem_id="submit")
                hearing = gr.Checkbox(True, label="Hearing", elem_id="hearing")
        with gr.Row(elem_classes="ab-examples"):
            buttons = [gr.Button(sentence, size="sm") for sentence in examples]
        message = gr.HTML(elem_id="notice")
        sentence = gr.HTML(elem_id="shown-sentence")
        bars = gr.HTML(elem_id="bars")
        results = [asked, answer, message, sentence, bars]
        _draw_spans(visit, results, hearing)
        with gr.Accordion("Let it hear a sound of your own", open=False, elem_id="own"):
            place = gr.Dropdown([], label="Heard at the word", elem_id="own-place", interactive=True)
            own = gr.Audio(
                sources=["upload", "microphone"],
                type="filepath",
                label="0.1 s to 10 minutes",
                editable=False,  # what is cut there would not be heard
                elem_id="own-sound",
            )

        def ask(text: str, hearing: bool) -> list:
            shown = visit.show(Asked(text), hearing)
            choices = [(label, _written(place)) for label, place in visit.places(shown.answer)]
            places = gr.Dropdown(choices, value=choices[0][1] if choices else None)
            return [*_values(shown), places, None]

        def show_again(asked: Asked, hearing: bool) -> list:
            return _values(visit.show(asked, hearing))

        def hear_own(asked: Asked, hearing: bool, sound: str | None, place: str | None) -> list:
            return _values(visit.choose_sound(asked, sound, _place(place), hearing))

        # Asking anew forgets what was chosen for the sentence before.
        asking = {"fn": ask, "inputs": [text, hearing], "outputs": [*results, place, own], "show_progress": "minimal"}
        for event in (submit.click, text.submit, page.load):
            event(**asking)
        for button, example in zip(buttons, examples, strict=True):
            button.click(partial(str, example), outputs=text).then(**asking)
        hearing.input(show_again, [asked, hearing], results, show_progress="minimal")
        for event in (own.upload, own.stop_recording, own.clear, place.input):
            event(hear_own, [asked, hearing, own, place], results, show_progress="minimal")
    return page


def _draw_spans(visit: Visit, results: list, hearing: gr.Checkbox) -> None:
    """Below the bars: for each span its sounds, each with a button that lets it be heard."""
    asked, answer = results[:2]

    @gr.render([asked, answer], triggers=[answer.change])
    def draw(asked: Asked, answer: dict[str, Any] | None) -> None:
        for number, span in enumerate(answer["spans"] if answer else []):
            gr.HTML(f'<h3 class="ab-span-title">At <mark class="ab-span">{escape(span["text"])}</mark></h3>')
            with gr.Row(elem_classes="ab-cards", elem_id=f"span-{number}"):
                for card, clip in visit.cards(asked, span):
                    with gr.Column(min_width=210):
                        gr.HTML(card)
                        if clip is not None:
                            _button(visit, span, clip, hearing, results)


def _button(visit: Visit, span: dict[str, Any], clip: str, hearing: gr.Checkbox, results: list) -> None:
    heard = any(other["heard"] for other in span["clips"] if other["id"] == clip)

    def choose(asked: Asked, hearing: bool) -> list:
        return _values(visit.choose_clip(asked, span, clip, hearing))

    button = gr.Button("Heard now" if heard else "Hear this clip", size="sm", interactive=not heard)
    button.click(choose, [results[0], hearing], results, show_progress="minimal")


def _values(shown: Shown) -> list:
    return [shown.asked, shown.answer, shown.notice, shown.sentence, shown.bars]


def _written(place: tuple[int, int]) -> str:
    return f"{place[0]}-{place[1]}"  # a drop-down list takes text only


def _place(written: str | None) -> tuple[int, int] | None:
    if not written:
        return None
    start, _, end = written.partition("-")
    return int(start), int(end)


def _head(listener: Listener) -> str:
    facts = bank_facts(listener.model.bank)
    licences = [f"{name} ({count})" for name, count in facts["licences"].items()]
    if len(licences) > _SHOWN_LICENCES:
        licences[_SHOWN_LICENCES:] = [f"and {len(licences) - _SHOWN_LICENCES} more"]
    return (
        "<h1>AudioBERT</h1><p>A language model that knows what things sound like: it finds the words that name a "
        "sound, looks for a clip of it, and hears that clip while it fills the mask. Its audio bank holds "
        f"{facts['clips']} clips; licences: {escape(', '.join(licences) or 'none')}.</p>"
    )
