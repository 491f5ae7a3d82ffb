"""A stand-in for Gaudi's software: notes what it is asked, and computes on the CPU."""

import sys
from collections import Counter
from types import ModuleType

import torch


class FusedClipNorm:
    """As Gaudi's, made for parameters and a norm; counts its calls."""

    calls: Counter

    def __init__(self, parameters, max_norm):
        self.max_norm = max_norm

    def clip_norm(self, parameters):
        self.calls["clip_norm"] += 1
        return torch.nn.utils.clip_grad_norm_(list(parameters), self.max_norm).reshape(1)


def install_habana_stand_in(monkeypatch) -> Counter:
    """Make `habana_frameworks` importable for one test; returns the counts of what it is asked."""
    calls = Counter()

    def counted(name, result=None):
        def call(*args, **kwargs):
            calls[name] += 1
            return result() if callable(result) else result

        return call

    class FusedAdamW(torch.optim.AdamW):
        def step(self, *args, **kwargs):
            calls["fused_adamw_step"] += 1
            return super().step(*args, **kwargs)

    class CountedClipNorm(FusedClipNorm):
        pass

    CountedClipNorm.calls = calls
    contents = {
        "habana_frameworks": {},
        "habana_frameworks.torch": {},
        "habana_frameworks.torch.core": {"mark_step": counted("mark_step")},
        "habana_frameworks.torch.hpu": {
            "memory_stats": counted("memory_stats", lambda: {"InUse": 2**30, "MaxInUse": 2**30, "Limit": 2**35}),
            "enable_dynamic_shape": counted("enable_dynamic_shape"),
            "disable_dynamic_shape": counted("disable_dynamic_shape"),
        },
        "habana_frameworks.torch.hpu.random": {
            "get_rng_state": torch.random.get_rng_state,
            "set_rng_state": torch.random.set_rng_state,
            "manual_seed_all": counted("manual_seed_all"),
        },
        "habana_frameworks.torch.hpex": {},
        "habana_frameworks.torch.hpex.optimizers": {"FusedAdamW": FusedAdamW},
        "habana_frameworks.torch.hpex.normalization": {"FusedClipNorm": CountedClipNorm},
    }
    for name, attributes in contents.items():
        module = ModuleType(name)
        module.__path__ = []
        vars(module).update(attributes)
        monkeypatch.setitem(sys.modules, name, module)
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)
    return calls
