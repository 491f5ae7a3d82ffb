"""Ask a saved AudioBERT, and see what it heard.

python examples/fill_mask.py runs/audiobert "Meow is the sound a [MASK] makes."
"""

import sys

from audiobert.trainers.prediction import fill_masks


def main(model: str, *sentences: str) -> None:
    for answer in fill_masks(model, sentences, top_k=3):
        print(answer["text"])
        for span in answer["spans"]:
            for clip in span["clips"]:
                print(f"  heard '{span['text']}': {clip['caption']} (similarity {clip['similarity']:.3f})")
        for name, words in (("hearing on", answer["predictions"]), ("hearing off", answer["hearing_off"])):
            for mask in words:
                print(f"  {name}: " + ", ".join(f"{word['token_str']} {word['score']:.3f}" for word in mask))


if __name__ == "__main__":
    main(*sys.argv[1:])
