"""A causal language model of transformers, run in this process."""

import threading
from typing import Any

from audiobert.modeling_audiobert.errors import AudioBertInputError

from .chat_model import Completion, Prompt, RequestRefused, Usage
from .llm_settings import LlmSettings


__all__ = ["LocalModel"]


class LocalModel:
    """Answers with a local causal language model, one prompt at a time, sampling by the prompt's seed.

    Args:
        settings (`LlmSettings`): with `local_model`: a folder or a Hub id.

    Raises:
        AudioBertInputError: there is no such model, or it is not a causal language model.
    """

    def __init__(self, settings: LlmSettings):
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        from audiobert.modeling_audiobert.checkpoint_loading import load_part

        self.settings = settings
        self._tokenizer = load_part(AutoTokenizer, settings.local_model)
        self._model = load_part(AutoModelForCausalLM, settings.local_model).eval()
        if torch.accelerator.is_available():
            self._model = self._model.to(torch.accelerator.current_accelerator())
        self._alone = threading.Lock()
        if self._tokenizer.eos_token_id is None:
            raise AudioBertInputError(
                f"the tokenizer of '{settings.local_model}' has no end-of-text token: answers would never end. Set "
                "eos_token in its tokenizer_config.json."
            )

    def complete(self, prompt: Prompt, usage: Usage) -> Completion:
        """Return the model's answer; see `ChatModel.complete`."""
        import torch

        # A causal model takes no token types, though its tokenizer may give them (with transformers 4.55).
        encoded = self._encode(prompt)
        inputs = {name: encoded[name].to(self._model.device) for name in ("input_ids", "attention_mask")}
        read = inputs["input_ids"].shape[1]
        longest = getattr(self._model.config, "max_position_embeddings", None)
        if longest is not None and read + self.settings.max_tokens > longest:
            raise RequestRefused(
                f"the prompt's {read} tokens and max_tokens {self.settings.max_tokens} exceed the {longest} tokens "
                f"that the model reads"
            )
        # Generation draws from the global state, which is put back afterwards.
        with self._alone, torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(prompt.seed)
            output = self._model.generate(
                **inputs,
                max_new_tokens=self.settings.max_tokens,
                pad_token_id=self._tokenizer.eos_token_id,
                **self._sampling(),
            )
        written = output[0, read:]
        ended = self._tokenizer.eos_token_id in written.tolist()
        completion = Completion(
            text=self._tokenizer.decode(written, skip_special_tokens=True),
            finish_reason="stop" if ended else "length",
            prompt_tokens=read,
            completion_tokens=len(written),
        )
        usage.add_call(completion)
        return completion

    def _encode(self, prompt: Prompt) -> Any:
        messages = list(prompt.messages)
        if self._tokenizer.chat_template:
            return self._tokenizer.apply_chat_template(
                messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
            )
        # A plain language model was trained on no roles; blank lines are what text has between speakers.
        text = "\n\n".join(message["content"] for message in messages) + "\n\n"
        return self._tokenizer(text, return_tensors="pt", return_token_type_ids=False)

    def _sampling(self) -> dict[str, Any]:
        if not self.settings.temperature:
            return {"do_sample": False}
        return {"do_sample": True, "temperature": self.settings.temperature, "top_p": self.settings.top_p}
