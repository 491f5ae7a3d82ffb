"""The language model that a construction step asks: an endpoint or a local one, each behind the cache of answers."""

from .chat_model import ChatModel
from .endpoint_model import EndpointModel
from .llm_settings import LlmSettings
from .local_model import LocalModel
from .response_cache import CachedModel


__all__ = ["open_model"]


def open_model(settings: LlmSettings, cache: str) -> ChatModel:
    """Return the model of these settings; its answers are kept in the folder `settings.cache`, else in `cache`.

    Raises:
        AudioBertInputError: a local model cannot be loaded. An endpoint is first asked with the first prompt.
    """
    model = LocalModel(settings) if settings.local_model else EndpointModel(settings)
    return CachedModel(model, settings.identity(), settings.cache or cache)
