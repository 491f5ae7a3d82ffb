"""Loading the standard checkpoints that training starts from, with errors that tell what is wrong with them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import huggingface_hub.errors as hub
from safetensors import SafetensorError
from transformers import PretrainedConfig, PreTrainedModel

from .errors import AudioBertInputError


__all__ = ["load_part", "model_type_of"]


def load_part(auto_class: Any, name_or_path: str | Path, *, complete: bool = True, **settings: Any) -> Any:
    """Load a model, tokenizer, configuration or feature extractor from a local folder or the Hub.

    Model weights are read from safetensors only.

    Args:
        auto_class (`type`):
            What to load it with: an Auto class or a concrete class of transformers. A concrete model class takes only
            checkpoints of its own `model_type`.
        name_or_path (`str` or `Path`):
            A local folder or a Hub id.
        complete (`bool`, *optional*, defaults to `True`):
            Whether the checkpoint must hold every weight of the model. Give `False` where a new head is meant to
            start from random weights.
        settings:
            Passed on to `from_pretrained`.

    Raises:
        AudioBertInputError: there is no such folder or repository, the Hub cannot be reached, a file is missing or
            damaged, or the checkpoint is of another kind.
    """
    name = str(name_or_path)
    _check_local(name)
    is_model = hasattr(auto_class, "_model_mapping") or _is_model_class(auto_class)
    with _loading_errors(auto_class, name):
        if not is_model:
            return auto_class.from_pretrained(name, **settings)
        _check_model_type(auto_class, name, settings)
        model, loading = auto_class.from_pretrained(name, use_safetensors=True, output_loading_info=True, **settings)
    missing = sorted(map(str, [*loading["missing_keys"], *loading["mismatched_keys"]]))
    if complete and missing:
        raise AudioBertInputError(
            f"'{name}' lacks {len(missing)} of the weights of {type(model).__name__}, or has them in another shape "
            f"(first: {missing[0]}); it is a checkpoint of another kind of model. Give one saved as "
            f"{type(model).__name__}."
        )
    return model


def model_type_of(name_or_path: str | Path) -> str | None:
    """Return the `model_type` in the configuration of a checkpoint, None where it states none.

    Unlike with `AutoConfig`, it need not be one that transformers knows.

    Args:
        name_or_path (`str` or `Path`): a local folder or a Hub id.

    Raises:
        AudioBertInputError: there is no such folder or repository, the Hub cannot be reached, or the configuration is
            missing or damaged.
    """
    name = str(name_or_path)
    _check_local(name)
    with _loading_errors(PretrainedConfig, name):
        return _read_model_type(name)


@contextmanager
def _loading_errors(loader: Any, name: str) -> Iterator[None]:
    try:
        yield
    except AudioBertInputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError, hub.HfHubHTTPError) as error:
        raise AudioBertInputError(_explain(error, loader, name)) from error


def _read_model_type(name: str, **remote: Any) -> str | None:
    return PretrainedConfig.get_config_dict(name, **remote)[0].get("model_type")


def _is_model_class(auto_class: Any) -> bool:
    return isinstance(auto_class, type) and issubclass(auto_class, PreTrainedModel)


def _check_local(name: str) -> None:
    path = Path(name)
    if path.is_file():
        raise AudioBertInputError(f"'{name}' is a file; give the folder that holds the checkpoint, or a Hub id.")
    looks_local = path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1 or not name
    if looks_local and not path.is_dir():
        raise AudioBertInputError(f"there is no folder '{name}'; give a checkpoint folder or a Hub id.")


def _check_model_type(auto_class: Any, name: str, settings: dict[str, Any]) -> None:
    """A concrete class loads a foreign checkpoint with random weights and a log line; refuse that."""
    if not _is_model_class(auto_class):
        return
    remote = {key: settings[key] for key in ("revision", "cache_dir", "token") if key in settings}
    found = _read_model_type(name, **remote)
    wanted = auto_class.config_class.model_type
    if found != wanted:
        raise AudioBertInputError(
            f"'{name}' is a checkpoint of model_type '{found}'; a '{wanted}' ({auto_class.__name__}) is needed here."
        )


def _explain(error: BaseException, auto_class: Any, name: str) -> str:
    causes = _chain(error)
    local = Path(name).is_dir()
    if not local and _any(causes, hub.GatedRepoError):
        return f"'{name}' is gated: ask for access on its Hub page and log in with 'hf auth login'."
    if not local and _any(causes, hub.RepositoryNotFoundError):
        return (
            f"'{name}' is not a local folder, and the Hub knows no such public repository. Check the spelling; log in "
            f"with 'hf auth login' if it is private."
        )
    if not local and _any(causes, hub.HFValidationError):
        return f"'{name}' is neither a local folder nor a valid Hub id."
    if not local and _any(causes, (hub.LocalEntryNotFoundError, hub.OfflineModeIsEnabled, ConnectionError)):
        return (
            f"'{name}' is not a local folder, and the Hub could not be reached to look for it (nor is it in the local "
            f"cache). Give a folder, or try again with a network."
        )
    if "Unrecognized configuration class" in str(error):
        return f"'{name}' is a checkpoint of {_model_type(name)}, which {auto_class.__name__} cannot load."
    return f"cannot load '{name}' with {auto_class.__name__}: {_first_line(error)}"


def _first_line(error: BaseException) -> str:
    # transformers 4 goes on with the names of all its model types.
    lines = str(error).partition(", or contain one of")[0].strip().splitlines()
    return lines[0].rstrip(". ") + "." if lines else f"{type(error).__name__}."


def _chain(error: BaseException | None) -> list[BaseException]:
    causes = []
    while error is not None and error not in causes:
        causes.append(error)
        error = error.__cause__ or error.__context__
    return causes


def _any(causes: list[BaseException], kinds: Any) -> bool:
    return any(isinstance(cause, kinds) for cause in causes)


def _model_type(name: str) -> str:
    path = Path(name) / "config.json"
    if not path.is_file():
        return "another model type"
    return f"model_type '{json.loads(path.read_text(encoding='utf-8')).get('model_type')}'"
