"""Tiny causal language models: of random weights, or one that can say a single sentence."""

from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast


END = "<|end|>"


def save_causal_model(folder: Path, says: str | None = None, chat: bool = False, longest: int = 8192) -> Path:
    """Save a model and its tokenizer, a token a byte.

    Args:
        folder: where.
        says: what it answers to whatever ends with a line break; without it, the weights are random.
        chat: give its tokenizer a chat template, as instruction-tuned models have one.
        longest: tokens that it reads.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={sign: index for index, sign in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END)
    if says:
        fast.add_tokens([AddedToken(says, normalized=False)])
    if chat:
        fast.chat_template = (
            "{% for message in messages %}[{{ message['role'] }}] {{ message['content'] }}\n{% endfor %}"
            "{% if add_generation_prompt %}[assistant]\n{% endif %}"
        )
    size = len(fast)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=size,
        hidden_size=size if says else 16,
        intermediate_size=16,
        num_hidden_layers=0 if says else 2,
        num_attention_heads=1 if says else 2,
        max_position_embeddings=longest,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=fast.eos_token_id,
        pad_token_id=fast.eos_token_id,
    )
    model = LlamaForCausalLM(config)
    if says:
        _teach(model, fast, says)
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def _teach(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, says: str) -> None:
    """After a line break comes the sentence (one token), after it the end: each token is its own direction."""
    sentence, line_break = (tokenizer(text)["input_ids"][-1] for text in (says, "\n"))
    with torch.no_grad():
        model.get_input_embeddings().weight.copy_(torch.eye(len(tokenizer)))
        head = torch.zeros(len(tokenizer), len(tokenizer))
        head[sentence, line_break] = head[tokenizer.eos_token_id, sentence] = 10.0
        model.get_output_embeddings().weight.copy_(head)
