"""Makes `load_dataset("auditorybench", ...)` work once `audiobert` is imported.

Since loading scripts are gone (datasets 4.0), there is no public place for a builder by name. `load_dataset` asks a
table of packaged modules, and the factory behind that table would search the current folder for data files when no
`data_dir` is given. So the name is entered in the table, and the factory is replaced by a subclass that skips the
search, for our name only. Nothing is imported for it: it happens when `datasets` is first imported.
"""

import hashlib
import logging
from pathlib import Path
from types import ModuleType

from .import_watching import when_imported


__all__ = ["BUILDER_NAME", "builder_digest", "register_auditorybench"]

logger = logging.getLogger(__name__)

BUILDER_NAME = "auditorybench"
_BUILDER_MODULE = "audiobert.dataset_scripts.auditorybench.builder"
_LOADING_MODULE = "datasets.load"


def register_auditorybench() -> None:
    """Let `load_dataset("auditorybench", ...)` find the builder, now or when `datasets` is first imported."""
    when_imported(_LOADING_MODULE, _enter_builder)


def builder_digest() -> str:
    """Return the digest of the builder's source files; a part of the cache's path, so that new code reads afresh."""
    digest = hashlib.sha256()
    for path in sorted((Path(__file__).parent / "auditorybench").glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _enter_builder(loading: ModuleType) -> None:
    """Enter the name in the table of `datasets.load`, and give it a factory that searches no folder."""
    table = getattr(loading, "_PACKAGED_DATASETS_MODULES", None)
    parent = getattr(loading, "PackagedDatasetModuleFactory", None)
    if table is None or parent is None:
        logger.warning(
            'this version of datasets has no place to register a builder: load_dataset("auditorybench") will not find '
            "it. Call audiobert.dataset_scripts.auditorybench.load_auditorybench, or install datasets 4 or 5."
        )
        return
    if BUILDER_NAME in table:
        return
    table[BUILDER_NAME] = (_BUILDER_MODULE, builder_digest())

    class NamedModuleFactory(parent):
        """The packaged modules' factory, which knows that AuditoryBench needs no search for data files."""

        def get_module(self):
            if self.name != BUILDER_NAME:
                return super().get_module()
            if self.data_files is not None:
                from audiobert.modeling_audiobert.errors import AudioBertInputError

                raise AudioBertInputError(
                    "auditorybench finds its own files: pass the folder that holds them as data_dir, not data_files."
                )
            module_path, digest = table[BUILDER_NAME]
            # An empty mapping, not None: for None, load_dataset demands a data_dir.
            arguments = {"data_files": loading.DataFilesDict(), "dataset_name": BUILDER_NAME}
            return loading.DatasetModule(module_path, digest, arguments)

    loading.PackagedDatasetModuleFactory = NamedModuleFactory
