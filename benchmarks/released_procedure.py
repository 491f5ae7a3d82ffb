"""The procedure of the paper's released code, written anew from a description of what it does, for comparison.

One sentence after the other: a second model of BERT's size finds spans in the sentence, padded to 128 tokens;
"{span} sound" goes through CLAP's text tower, padded to 64; scikit-learn compares it with every clip, all of which are
sorted, and the first 50 kept; librosa decodes the best clip's file, AST features are computed and go through the audio
encoder, also when the clip occurred before; then the language model, with the embedding at the span's first token.

Where the description is silent the cheaper choice was made: the language model reads the sentence without padding, and
keys are held as an array, not read from JSON for each search.
"""

from pathlib import Path

import librosa
import numpy as np
import torch
from sklearn.metrics.pairwise import cosine_similarity

from audiobert import AudioBertForMaskedLM


__all__ = ["ReleasedProcedure"]

SENTENCE_TOKENS = 128
QUERY_TOKENS = 64
NEAREST = 50


class ReleasedProcedure:
    """Does what an AudioBERT with a separate span detector does, with the same weights, in the released code's way.

    Args:
        model (`AudioBertForMaskedLM`): whose parts are used, one by one.
        keys (`np.ndarray` of shape `(num_clips, key_dim)`): CLAP embeddings of the clips.
        files (`list[Path]`): audio files; clip n is file n, counted anew at their end.
    """

    def __init__(self, model: AudioBertForMaskedLM, keys: np.ndarray, files: list[Path]):
        self.model = model
        self.keys = keys
        self.files = files
        self.tokenizer = model.retriever.tokenizer
        self.clap_tokenizer = model.retriever.clap_tokenizer
        self.extractor = model.retriever.feature_extractor

    @torch.no_grad()
    def answer(self, sentence: str) -> torch.Tensor:
        """Return the logits of one sentence, of shape `(sequence_length, vocab_size)`."""
        spans = self.spans(sentence)
        clips = [int(self.nearest(self.span_text(sentence, span))[0]) for span in spans]
        values = [self.encode(self.features(clip)[None])[0] for clip in clips]
        return self.predict(sentence, spans, values)[0]

    @torch.no_grad()
    def spans(self, sentence: str) -> list[tuple[int, int]]:
        """Return the token ranges of a sentence's spans."""
        inputs = self.tokenizer(
            sentence,
            padding="max_length",
            max_length=SENTENCE_TOKENS,
            truncation=True,
            return_tensors="pt",
            return_token_type_ids=False,
        )
        labels = self.model.span_detector(**inputs).logits[0].argmax(dim=-1).tolist()
        labels = [label if seen else 0 for label, seen in zip(labels, inputs["attention_mask"][0], strict=True)]
        starts = [place for place, label in enumerate(labels) if label and not labels[place - 1]]
        return [(start, labels.index(0, start)) for start in starts]

    def span_text(self, sentence: str, span: tuple[int, int]) -> str:
        """Return the words of a span."""
        return self.tokenizer.decode(self.tokenizer(sentence)["input_ids"][slice(*span)])

    @torch.no_grad()
    def nearest(self, span_text: str) -> np.ndarray:
        """Return the 50 clips whose keys are nearest to a span."""
        inputs = self.clap_tokenizer(
            f"{span_text} sound",
            padding="max_length",
            max_length=QUERY_TOKENS,
            truncation=True,
            return_tensors="pt",
            return_token_type_ids=False,
        )
        query = self.model.clap_text(**inputs).text_embeds.tolist()
        return np.argsort(cosine_similarity(np.array(query, dtype=np.float32), self.keys)[0])[::-1][:NEAREST]

    def features(self, clip: int) -> torch.Tensor:
        """Return the audio encoder's input of a clip: decoded and computed each time."""
        wave, rate = librosa.load(self.files[clip % len(self.files)], sr=self.extractor.sampling_rate)
        return self.extractor(wave, sampling_rate=rate, return_tensors="pt")["input_values"][0]

    def encode(self, features: torch.Tensor) -> torch.Tensor:
        """Return the embeddings of clips, of shape `(num_clips, value_dim)`."""
        return self.model.audio_encoder(features).last_hidden_state.mean(dim=1)

    def predict(self, sentence: str, spans: list[tuple[int, int]], values: list[torch.Tensor]) -> torch.Tensor:
        """Return logits of one sentence, of shape `(1, sequence_length, vocab_size)`."""
        input_ids = self.tokenizer(sentence, return_tensors="pt")["input_ids"]
        embeddings = self.model.get_input_embeddings()(input_ids)
        for (start, _), value in zip(spans, values, strict=True):
            embeddings[0, start] += self.model.projection(value)
        return self.model.language_model(inputs_embeds=embeddings).logits

    def training_loss(self, batch: dict[str, torch.Tensor], encoder_trained: bool) -> torch.Tensor:
        """Return the loss of a batch of an `AudioBertCollator`, after decoding and encoding every clip in it anew."""
        clips = batch["clip_ids"][..., 0]
        rows, columns = (clips >= 0).nonzero(as_tuple=True)
        features = torch.stack([self.features(clip) for clip in clips[rows, columns].tolist()])
        with torch.set_grad_enabled(encoder_trained):
            values = (
                self.encode(features) if encoder_trained else torch.cat([self.encode(one[None]) for one in features])
            )
        embeddings = self.model.get_input_embeddings()(batch["input_ids"])
        places = (rows, batch["span_positions"][rows, columns, 0])
        embeddings = embeddings.index_put(places, self.model.projection(values), accumulate=True)
        logits = self.model.language_model(inputs_embeds=embeddings, attention_mask=batch["attention_mask"]).logits
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten())
