"""What every AudioBERT model shares: loading, saving, initialising, and knowing whether its bank fits."""

import os
from pathlib import Path

import torch
from torch import nn
from transformers import PreTrainedModel

from .adapter import initialize_adapter, is_adapter_weight
from .atomic_files import staged_folder
from .compat import current_loading_arguments, initialized_flag
from .configuration_audiobert import AudioBertConfig
from .errors import AudioBertInputError
from .fingerprint import audio_encoder_fingerprint
from .injection import prepare_for_injection
from .publishing import PublishingMixin
from .retrieval import AudioBertRetriever


__all__ = ["AudioBertPreTrainedModel"]

_PUSH_ARGUMENTS = ("token", "private", "revision", "create_pr", "commit_message", "commit_description", "tags")
_HUB_ARGUMENTS = ("revision", "token", "cache_dir", "local_files_only", "force_download", "proxies")


class AudioBertPreTrainedModel(PublishingMixin, PreTrainedModel):
    """Loading and saving of a model together with its tokenizers and audio bank, as RAG's retriever hangs on it."""

    config_class = AudioBertConfig
    base_model_prefix = "audiobert"
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True
    accepts_loss_kwargs = False  # the loss is a mean over the batch's labels: the Trainer divides it by its steps
    _supports_sdpa = True
    _supports_flash_attn = True

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path, *args, retriever=None, bank_index: str = "saved", **kwargs
    ):
        """Load a saved AudioBERT with its bank and tokenizers; see [`PreTrainedModel.from_pretrained`].

        Args:
            pretrained_model_name_or_path (`str` or `os.PathLike`): a folder or the id of a Hub repository.
            retriever (`AudioBertRetriever`, *optional*): to use instead of the saved one.
            bank_index (`str`, *optional*, defaults to `"saved"`):
                `"exact"` to search all keys of the bank, whatever index it was saved with; see [`AudioBank.load`].
            *args, **kwargs: passed on.

        Raises:
            AudioBertInputError: weights, the bank or a tokenizer are missing: nothing is initialised at random.
        """
        wants_info = kwargs.pop("output_loading_info", False)
        kwargs = current_loading_arguments(kwargs)
        model, info = super().from_pretrained(pretrained_model_name_or_path, *args, output_loading_info=True, **kwargs)
        absent = sorted(map(str, [*info["missing_keys"], *info["mismatched_keys"]]))
        if absent:
            raise AudioBertInputError(
                f"'{pretrained_model_name_or_path}' lacks {len(absent)} of the model's weights, or has them in "
                f"another shape, '{absent[0]}' among them. Save the model again, or correct its config.json."
            )
        hub_kwargs = {name: kwargs[name] for name in _HUB_ARGUMENTS if kwargs.get(name)}
        if retriever is None:
            if kwargs.get("trust_remote_code"):
                hub_kwargs["trust_remote_code"] = True
            retriever = AudioBertRetriever.from_pretrained(
                pretrained_model_name_or_path, bank_index=bank_index, **hub_kwargs
            )
        model.retriever = retriever
        model._after_loading()
        hub_kwargs.pop("trust_remote_code", None)
        model._remember_card(pretrained_model_name_or_path, hub_kwargs)
        return (model, info) if wants_info else model

    def save_pretrained(self, save_directory: str | os.PathLike, *args, push_to_hub: bool = False, **kwargs) -> None:
        """Save weights, configuration, tokenizers, feature extractor, audio bank, model card and the code for them.

        Args:
            save_directory (`str` or `os.PathLike`): a folder; what it holds under other names stays.
            push_to_hub (`bool`, *optional*, defaults to `False`): also upload it, as `repo_id`.
            *args, **kwargs: see [`PreTrainedModel.save_pretrained`].

        Raises:
            AudioBertInputError: the folder cannot be written to, or the disk is full.
        """
        self._note_encoder_changes()
        for sub_config in self.config.sub_configs:
            # Where the parts came from is a fact of this machine, not of the model.
            getattr(self.config, sub_config)._name_or_path = ""
        # The model's and the configuration's classes are added by transformers, the processor's is not.
        known = getattr(self.config, "auto_map", None) or {}
        self.config.auto_map = {**known, "AutoProcessor": "processing_audiobert.AudioBertProcessor"}
        with staged_folder(save_directory) as stage:
            super().save_pretrained(stage, *args, **kwargs)
            if self.retriever is not None and kwargs.get("is_main_process", True):
                self.retriever.save_pretrained(stage)
            if kwargs.get("is_main_process", True):
                self._write_card(stage, Path(save_directory).name)
        if push_to_hub:
            given = {name: kwargs[name] for name in _PUSH_ARGUMENTS if name in kwargs}
            self.push_to_hub(kwargs.get("repo_id") or Path(save_directory).name, **given)

    def initialize_weights(self) -> None:
        """Initialise what was not loaded; an adapter that was not loaded starts without effect."""
        new = {
            f"{module_name}.{name}"
            for module_name, module in self.language_model.named_modules()
            for name, parameter in module.named_parameters(recurse=False)
            if is_adapter_weight(f"{module_name}.{name}") and not initialized_flag(module, parameter)
        }
        super().initialize_weights()
        initialize_adapter(self.language_model, new)

    def freeze(self) -> None:
        """Let only the adapter, the audio encoder and the projection be trained, as in the paper."""
        for name, parameter in self.named_parameters():
            trained = is_adapter_weight(name) or name.startswith(("audio_encoder.", "projection."))
            parameter.requires_grad_(trained)

    def train(self, mode: bool = True) -> "AudioBertPreTrainedModel":
        """Set training mode, except for the parts that are never trained here: dropout would blur what they find."""
        super().train(mode)
        self.span_detector.eval()
        self.clap_text.eval()
        return self

    def refresh_values(self, values: torch.Tensor) -> None:
        """Replace the bank's values by those that the audio encoder gives now, after it was trained.

        Args:
            values (`torch.FloatTensor` of shape `(num_clips, value_dim)`): `encode_audio` of the clips, in order.
        """
        self._note_encoder_changes()
        self.retriever.bank = self.bank.with_values(values, self.config.audio_encoder_fingerprint)

    def get_input_embeddings(self) -> nn.Module:
        return self.language_model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.language_model.set_input_embeddings(value)
        prepare_for_injection(value)

    def get_output_embeddings(self) -> nn.Module | None:
        return self.language_model.get_output_embeddings()

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        self.language_model.set_output_embeddings(new_embeddings)

    def gradient_checkpointing_enable(self, gradient_checkpointing_kwargs: dict | None = None, **kwargs) -> None:
        """Trade time for memory; see [`PreTrainedModel.gradient_checkpointing_enable`]."""
        # The reentrant kind passes no gradient to the adapter when its input needs none, as with a frozen encoder.
        super().gradient_checkpointing_enable(gradient_checkpointing_kwargs or {"use_reentrant": False}, **kwargs)

    def _after_loading(self) -> None:
        # from_pretrained forgets requires_grad, and replaces every parameter.
        self.freeze()
        # These multiply single vectors, for which MKL's last bits depend on where in memory the weights lie; mapped
        # from a file that is anywhere. Without the copy a saved model's similarities would change when loaded.
        for module in (self.projection, self.clap_text.text_projection, self.clap_text.text_model.pooler):
            for parameter in module.parameters():
                parameter.data = parameter.data.clone()
        self._encoder_version = self._current_encoder_version()

    def _current_encoder_version(self) -> int:
        # torch counts in-place changes of each tensor: an optimizer step or load_state_dict, but not a move.
        return sum(parameter._version for parameter in self.audio_encoder.parameters())

    def _note_encoder_changes(self) -> None:
        """Bring the audio encoder's fingerprint up to date, if its weights were changed since it was taken."""
        version = self._current_encoder_version()
        if version != self._encoder_version:
            if self.retriever is not None:
                self.config.audio_encoder_fingerprint = audio_encoder_fingerprint(
                    self.audio_encoder, self.retriever.feature_extractor, self.config.audio_pooling
                )
            self._encoder_version = version
