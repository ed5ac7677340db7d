"""Which batch normalisations see the output of a linear or convolution layer, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import cast

from torch import fx, nn

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, *TRANSPOSED)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)

Pairs = Iterable[tuple[str, str]]
"""Names of a layer and of the normalisation of its output."""


def batch_norm_pairs(model: nn.Module) -> tuple[tuple[str, str], ...]:
    """Find layers whose output one batch normalisation sees, and nothing else does.

    By `torch.fx` where it can trace the model, else among the neighbours in every `torch.nn.Sequential`. A layer or
    normalisation that is called several times is left out.

    Examples
    --------
    >>> batch_norm_pairs(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Conv2d(2, 2, 3)))
    (('0', '1'),)
    """
    try:
        graph = _Tracer().trace(model)
    except Exception:  # whatever the model's own code raises when it is run on symbols
        return tuple(_neighbours(model))
    return tuple(_traced(model, graph))


def _traced(model: nn.Module, graph: fx.Graph) -> Iterator[tuple[str, str]]:
    """Find pairs of which neither part is used otherwise."""
    calls = Counter(id(model.get_submodule(cast(str, n.target))) for n in graph.nodes if n.op == "call_module")
    for node in graph.nodes:
        source = node.args[0] if node.op == "call_module" and node.args else None
        if not isinstance(source, fx.Node) or source.op != "call_module" or len(source.users) != 1:
            continue
        layer, norm = (model.get_submodule(cast(str, n.target)) for n in (source, node))
        if isinstance(layer, LAYERS) and isinstance(norm, NORMS) and calls[id(layer)] == calls[id(norm)] == 1:
            yield str(source.target), str(node.target)


def _neighbours(model: nn.Module) -> Iterator[tuple[str, str]]:
    """Find pairs in sequences, of modules that occur once in the model."""
    occurrences = Counter(id(module) for _, module in model.named_modules(remove_duplicate=False))
    for path, sequence in model.named_modules():
        if type(sequence) is not nn.Sequential:
            continue
        children = list(sequence._modules.items())
        for (name, layer), (next_name, norm) in pairwise(children):
            once = occurrences[id(layer)] == occurrences[id(norm)] == 1
            if once and isinstance(layer, LAYERS) and isinstance(norm, NORMS):
                prefix = f"{path}." if path else ""
                yield prefix + name, prefix + next_name


class _Tracer(fx.Tracer):
    """Trace into everything but layers: an approximate layer is one call, too."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether the module is one call."""
        return isinstance(m, LAYERS) or super().is_leaf_module(m, module_qualified_name)
