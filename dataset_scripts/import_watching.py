"""Doing something with another library's module when it is first imported, so that it need not be imported for it."""

import importlib.abc
import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType


__all__ = ["when_imported"]


def when_imported(name: str, act: Callable[[ModuleType], None]) -> None:
    """Call a function with a module: now, or once whoever needs the module has imported it.

    Args:
        name (`str`): of the module.
        act (`Callable`): called with the module. What it does happens within somebody else's import, so it must not
            import anything that imports this module.
    """
    loaded = sys.modules.get(name)
    if loaded is not None and not getattr(loaded.__spec__, "_initializing", False):
        act(loaded)
    elif not any(isinstance(finder, _WatchingFinder) and finder.name == name for finder in sys.meta_path):
        sys.meta_path.insert(0, _WatchingFinder(name, act))


class _WatchingFinder(importlib.abc.MetaPathFinder):
    """Waits for the import of one module, once."""

    def __init__(self, name: str, act: Callable[[ModuleType], None]):
        self.name = name
        self.act = act

    def find_spec(self, fullname, path, target=None):
        if fullname != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None:
            spec.loader = _ActingLoader(spec.loader, self.act)
        return spec


class _ActingLoader(importlib.abc.Loader):
    """Loads the module as its own loader does, then acts."""

    def __init__(self, loader: importlib.abc.Loader, act: Callable[[ModuleType], None]):
        self.loader = loader
        self.act = act

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        module.__spec__.loader = module.__loader__ = self.loader
        self.loader.exec_module(module)
        self.act(module)
