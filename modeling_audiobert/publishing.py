"""The model card that a saved AudioBERT comes with, and its way to the Hub."""

import logging
import os
import tempfile
from pathlib import Path
from typing import Any

from huggingface_hub import CommitInfo, ModelCard
from transformers.utils import cached_file

from .hub_upload import file_on_hub, upload_folder
from .model_card import audiobert_card, renamed_card


__all__ = ["PublishingMixin"]

logger = logging.getLogger(__name__)

_CARD = "README.md"


class PublishingMixin:
    """Cards and uploads of a model. One that was loaded, and not changed since, keeps the card that it came with."""

    _card_source: tuple[str, dict[str, Any], tuple] | None = None

    def push_to_hub(  # noqa: PLR0913 - those of PreTrainedModel.push_to_hub, and one more
        self,
        repo_id: str,
        *,
        commit_message: str | None = None,
        commit_description: str | None = None,
        private: bool | None = None,
        token: bool | str | None = None,
        revision: str | None = None,
        create_pr: bool = False,
        tags: list[str] | None = None,
        replace_card: bool = False,
        **save_kwargs: Any,
    ) -> CommitInfo:
        """Upload the model with its bank, tokenizers, code and card; see [`PreTrainedModel.push_to_hub`].

        A card that the repository has already stays as it is, as with any model of transformers.

        Args:
            repo_id (`str`): `USER/NAME`; created where it does not exist.
            commit_message, commit_description, private, token, revision, create_pr: as in transformers.
            tags (`list[str]`, *optional*): added to the model's own card.
            replace_card (`bool`, *optional*, defaults to `False`): write the model's card over the repository's.
            **save_kwargs: of `save_pretrained`, such as `max_shard_size`.

        Raises:
            AudioBertInputError: the name is no repository's, the Hub cannot be reached, or it refuses.
        """
        keeps = not replace_card and file_on_hub(repo_id, _CARD, revision, token)
        if keeps:
            logger.warning("'%s' keeps the card that it has; replace_card=True writes the model's own.", repo_id)
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder, **save_kwargs)
            self._write_card(Path(folder), repo_id, tags)
            return upload_folder(
                folder,
                repo_id,
                private=private,
                token=token,
                commit_message=commit_message or "Upload AudioBERT",
                commit_description=commit_description,
                revision=revision,
                create_pr=create_pr,
                ignore_patterns=[_CARD] if keeps else None,
            )

    def _remember_card(self, name_or_path: str | os.PathLike, hub_kwargs: dict[str, Any]) -> None:
        """Note where the model came from, and in which state it was then. The card is read when it is needed."""
        source = os.path.abspath(name_or_path) if os.path.isdir(name_or_path) else str(name_or_path)
        self._card_source = source, hub_kwargs, self._card_state()

    def _write_card(self, folder: Path, name: str, tags: list[str] | None = None) -> None:
        text = self._own_card(name) or audiobert_card(self, name)
        if tags:
            card = ModelCard(text)
            card.data.tags = [*(card.data.tags or []), *(tag for tag in tags if tag not in (card.data.tags or []))]
            text = str(card)
        (folder / _CARD).write_text(text, encoding="utf-8")

    def _own_card(self, name: str) -> str | None:
        if self._card_source is None or self._card_source[2] != self._card_state():
            return None
        source, hub_kwargs, _ = self._card_source
        quiet = {
            f"_raise_exceptions_for_{reason}": False
            for reason in ("missing_entries", "connection_errors", "gated_repo")
        }
        path = cached_file(source, _CARD, **hub_kwargs, **quiet)
        if path is None:
            return None
        old = Path(source).name if os.path.isdir(source) else source
        return renamed_card(Path(path).read_text(encoding="utf-8"), old, name)

    def _card_state(self) -> tuple:
        """Whatever makes a card untrue when it changes: torch counts in-place changes of each tensor."""
        versions = sum(parameter._version for parameter in self.parameters())
        bank = None if self.retriever is None else (len(self.retriever.bank), self.retriever.bank.value_fingerprint)
        return versions, bank
