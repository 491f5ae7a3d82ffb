"""Recipes: YAML files read into dataclasses, with `key=value` overrides, and saved so that they repeat the run."""

import difflib
import types
import typing
from collections.abc import Sequence
from dataclasses import MISSING, asdict, fields, is_dataclass
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import yaml

from audiobert.modeling_audiobert.atomic_files import staged_file
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .compat import current_training_names


__all__ = [
    "RECIPE_FILE",
    "differing_keys",
    "load_recipe",
    "recipe_settings",
    "save_recipe",
    "shipped_recipes",
    "with_training_defaults",
]

RECIPE_FILE = "recipe.yaml"
_SHIPPED = "audiobert.trainers.recipes"

# What the Trainer is told by the run itself.
_SET_BY_THE_RUN = {
    "output_dir": "the recipe's own output_dir",
    "seed": "the recipe's seeds",
    "data_seed": "the recipe's seeds",
    "resume_from_checkpoint": "the run, which resumes by itself",
    "remove_unused_columns": "the run, whose collators need every column",
}

RecipeT = TypeVar("RecipeT")


def load_recipe(recipe_class: type[RecipeT], source: str | Path, overrides: Sequence[str] = ()) -> RecipeT:
    """Return the recipe of one kind: the dataclass's defaults, then the file, then the overrides.

    A file may hold several YAML documents (separated by `---`), each with a `kind:`; the one of `recipe_class.kind` is
    taken. Nested mappings of dataclass fields and the `training:` mapping are merged key by key, everything else is
    replaced as a whole. Paths in a recipe are relative to the current folder.

    Args:
        recipe_class (`type`):
            A dataclass with a class attribute `kind: ClassVar[str]`. Its hints are checked: `int`, `float`, `bool`,
            `str`, `Path`, `list[...]`, `dict`, `X | None` and nested dataclasses. A field named `training` holds
            settings under the names of `transformers.TrainingArguments`.
        source (`str` or `Path`):
            A YAML file, or the name of a recipe shipped with the package (`"cpu_small"`).
        overrides (`Sequence[str]`, *optional*):
            `key=value`, dotted for what is nested (`training.learning_rate=1e-4`); the value is read as YAML.

    Returns:
        An instance of `recipe_class`.

    Raises:
        AudioBertInputError: the file is missing, is not YAML, or has no (or two) documents of this kind; a key is
            unknown, a value has the wrong type, or a required key is missing.
    """
    path, text = _recipe_text(source)
    settings = _document_of_kind(recipe_class.kind, path, text)
    values = _read_fields(recipe_class, settings, _Origin(str(path)))
    for override in overrides:
        keys, value = _parse_override(override)
        nested = value
        for key in reversed(keys):
            nested = {key: nested}
        read = _read_fields(recipe_class, nested, _Origin(f"the argument '{override}'", is_text=True))
        values = _merge(values, read)
    return _build(recipe_class, values, str(path))


def with_training_defaults(recipe_class: type, training: dict[str, Any]) -> dict[str, Any]:
    """Return a recipe's `training` settings laid over the defaults of its class."""
    (default,) = (field.default_factory for field in fields(recipe_class) if field.name == "training")
    return current_training_names(default())[0] | current_training_names(training)[0]


def recipe_settings(recipe: Any) -> dict[str, Any]:
    """Return the recipe as plain YAML values, `kind` first."""
    return {"kind": recipe.kind, **{key: _plain(value) for key, value in asdict(recipe).items()}}


def save_recipe(recipe: Any, folder: str | Path) -> Path:
    """Write the resolved recipe to `recipe.yaml` in `folder` and return its path; loading it repeats the run.

    Raises:
        AudioBertInputError: the folder cannot be written to.
    """
    path = Path(folder) / RECIPE_FILE
    with staged_file(path) as temporary:
        temporary.write_text(
            yaml.safe_dump(recipe_settings(recipe), sort_keys=False, allow_unicode=True), encoding="utf-8"
        )
    return path


def differing_keys(recipe: Any, saved: Any) -> list[str]:
    """Return the dotted keys in which two recipes of one kind differ."""
    one, other = _flatten(recipe_settings(recipe)), _flatten(recipe_settings(saved))
    return [key for key in {**one, **other} if one.get(key, MISSING) != other.get(key, MISSING)]


def shipped_recipes() -> list[str]:
    """Return the names of the recipes that come with the package."""
    return sorted(entry.name[: -len(".yaml")] for entry in resources.files(_SHIPPED).iterdir() if _is_yaml(entry.name))


class _Origin:
    """Where a value was written, for messages, and whether it is typed by hand on the command line."""

    def __init__(self, name: str, is_text: bool = False):
        self.name = name
        self.is_text = is_text

    def error(self, reason: str) -> AudioBertInputError:
        return AudioBertInputError(f"{self.name}: {reason}")


def _recipe_text(source: str | Path) -> tuple[Path | str, str]:
    path = Path(source)
    try:
        if path.is_file():
            return path, path.read_text(encoding="utf-8")
        if str(source) in shipped_recipes():
            entry = resources.files(_SHIPPED) / f"{source}.yaml"
            return f"the recipe '{source}'", entry.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise AudioBertInputError(f"the recipe '{path}' is not a text file in UTF-8: {error}.") from error
    except OSError as error:
        raise AudioBertInputError(f"cannot read the recipe '{path}': {error.strerror}.") from error
    raise AudioBertInputError(
        f"there is no recipe '{source}': give a YAML file, or one of those that come with the package "
        f"({', '.join(shipped_recipes())})."
    )


def _document_of_kind(kind: str, path: Path | str, text: str) -> dict[str, Any]:
    try:
        documents = [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.YAMLError as error:
        raise AudioBertInputError(f"{path} is not valid YAML: {error}") from error
    for document in documents:
        if not isinstance(document, dict) or not isinstance(document.get("kind"), str):
            raise AudioBertInputError(
                f"{path}: each document of a recipe is a mapping with a 'kind:', such as 'kind: {kind}'."
            )
    matching = [document for document in documents if document["kind"] == kind]
    if len(matching) != 1:
        kinds = ", ".join(document["kind"] for document in documents) or "nothing"
        count = "no document" if not matching else f"{len(matching)} documents"
        raise AudioBertInputError(
            f"{path} has {count} of 'kind: {kind}' (it holds {kinds}); this command needs exactly one."
        )
    return {key: value for key, value in matching[0].items() if key != "kind"}


def _parse_override(override: str) -> tuple[list[str], Any]:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise AudioBertInputError(f"'{override}' is not an override: write key=value, such as output_dir=runs/first.")
    return [part.strip() for part in key.split(".")], text


def _read_fields(recipe_class: type, settings: Any, origin: _Origin, prefix: str = "") -> dict[str, Any]:
    """Check and convert a mapping against a dataclass; returns only the keys that were given."""
    if not isinstance(settings, dict):
        raise origin.error(f"'{prefix.rstrip('.')}' is a group of settings, not {settings!r}.")
    hints = typing.get_type_hints(recipe_class)
    names = [field.name for field in fields(recipe_class) if field.init]
    read = {}
    for key, value in settings.items():
        if key not in names:
            raise origin.error(_unknown_key(f"{prefix}{key}", [f"{prefix}{name}" for name in names]))
        if key == "training" and not prefix:
            read[key] = _read_training(value, origin)
        else:
            read[key] = _read_value(value, hints[key], origin, f"{prefix}{key}")
    return read


def _read_training(settings: Any, origin: _Origin) -> dict[str, Any]:
    """Check the `training:` mapping against the fields of `transformers.TrainingArguments`."""
    if not isinstance(settings, dict):
        raise origin.error(f"'training' is a mapping of transformers.TrainingArguments, not {settings!r}.")
    try:
        settings, hints = current_training_names(settings)
    except ValueError as error:
        raise origin.error(str(error)) from error
    read = {}
    for key, value in settings.items():
        if key in _SET_BY_THE_RUN:
            raise origin.error(f"'training.{key}' is set by {_SET_BY_THE_RUN[key]}; remove it here.")
        if key not in hints:
            raise origin.error(_unknown_key(f"training.{key}", [f"training.{name}" for name in hints]))
        read[key] = _read_value(value, hints[key], origin, f"training.{key}")
    return read


def _unknown_key(key: str, names: list[str]) -> str:
    near = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
    return f"'{key}' is not a setting of this recipe; " + (
        f"did you mean '{near[0]}'?" if near else f"its settings are {', '.join(names)}."
    )


def _read_value(value: Any, hint: Any, origin: _Origin, key: str) -> Any:
    """Check `value` against `hint`; on the command line it is text, read as YAML first unless text is meant."""
    if is_dataclass(hint):
        return _read_fields(hint, value, origin, prefix=f"{key}.")
    options = _options(hint)
    if origin.is_text and isinstance(value, str):
        value = _read_text(value, options, origin, key)
    for option in options:
        converted = _as_type(value, option, origin, key)
        if converted is not MISSING:
            return converted
    wanted = " or ".join(_type_name(option) for option in options)
    reason = f"'{key}' must be {wanted}, not {value!r}"
    if float in options and isinstance(value, str) and _is_number(value):
        reason += f"; YAML reads {value} as text: write {_yaml_float(value)} instead"
    raise origin.error(f"{reason}.")


def _read_text(text: str, options: list[Any], origin: _Origin, key: str) -> Any:
    if text in ("null", "none", "None") and type(None) in options:
        return None
    if options[0] in (str, Path):
        return text
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise origin.error(f"the value of '{key}' is not valid YAML.") from error
    if isinstance(value, bool) and bool not in options and str in options:
        return text  # YAML reads "no" as false; save_strategy=no is meant as it stands
    return float(value) if float in options and isinstance(value, str) and _is_number(value) else value


def _as_type(value: Any, hint: Any, origin: _Origin, key: str) -> Any:
    """Return `value` as one plain type, or MISSING where it is not of that type."""
    container = typing.get_origin(hint) or hint
    if container in (dict, Any) and isinstance(value, dict):
        item = (*typing.get_args(hint), Any, Any)[1]
        return {name: _read_value(entry, item, origin, f"{key}.{name}") for name, entry in value.items()}
    if container is list and isinstance(value, list):
        item = (typing.get_args(hint) or (Any,))[0]
        return [_read_value(entry, item, origin, f"{key}[{index}]") for index, entry in enumerate(value)]
    if container is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if container is Path and isinstance(value, str):
        return Path(value)
    if container is Any:
        return value
    if isinstance(container, type) and type(value) is container:
        return value
    return MISSING


def _options(hint: Any) -> list[Any]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return [option for part in typing.get_args(hint) for option in _options(part)]
    return [hint]


def _type_name(hint: Any) -> str:
    names = {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        str: "text",
        Path: "a path",
        dict: "a mapping",
    }
    if hint is type(None):
        return "null"
    if typing.get_origin(hint) is list or hint is list:
        item = typing.get_args(hint)
        return "a list" + (f" (each {_type_name(item[0])})" if item else "")
    if (typing.get_origin(hint) or hint) is dict:
        return "a mapping"
    return names.get(hint, str(hint))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _yaml_float(text: str) -> str:
    """Spell a number so that YAML reads it as one: with a dot before, and a sign behind, the `e`."""
    return str(yaml.safe_dump(float(text))).splitlines()[0]


def _merge(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return `values` with `changes` laid over them, mapping by mapping."""
    merged = dict(values)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _build(recipe_class: type[RecipeT], values: dict[str, Any], where: str) -> RecipeT:
    hints = typing.get_type_hints(recipe_class)
    arguments = dict(values)
    for field in fields(recipe_class):
        given = arguments.get(field.name, MISSING)
        if is_dataclass(hints[field.name]) and given is not MISSING:
            arguments[field.name] = _build(hints[field.name], given, where)
        elif field.name == "training" and field.default_factory is not MISSING:
            arguments[field.name] = with_training_defaults(recipe_class, {} if given is MISSING else given)
        elif given is MISSING and field.default is MISSING and field.default_factory is MISSING:
            raise AudioBertInputError(
                f"{where} does not set '{field.name}', and it has no default: add it, or give {field.name}=... ."
            )
    return recipe_class(**arguments)


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def _flatten(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in settings.items():
        flat |= _flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _is_yaml(name: str) -> bool:
    return name.endswith(".yaml")
