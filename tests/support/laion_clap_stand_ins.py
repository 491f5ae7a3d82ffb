"""What laion-clap needs to be imported without torchvision, whose wheels do not fit every build of torch.

Its modules import names of torchvision for pictures and for training; embedding clips and texts uses none of them.
"""

import sys
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType


_PICTURES = ("Normalize", "Compose", "RandomResizedCrop", "InterpolationMode", "ToTensor", "Resize", "CenterCrop")
_MODULES = {
    "torchvision": (),
    "torchvision.datasets": (),
    "torchvision.transforms": _PICTURES,
    "torchvision.ops": (),
    "torchvision.ops.misc": ("FrozenBatchNorm2d",),
}


@contextmanager
def torchvision_stub():
    """Let `import torchvision` succeed, with empty classes, until the block ends."""
    before = {name: sys.modules.get(name) for name in _MODULES}
    for name, attributes in _MODULES.items():
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        vars(module).update({attribute: type(attribute, (), {}) for attribute in attributes})
        sys.modules[name] = module
    for name in _MODULES:
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, sys.modules[name])
    try:
        yield
    finally:
        for name, module in before.items():
            sys.modules.pop(name)
            if module is not None:
                sys.modules[name] = module
