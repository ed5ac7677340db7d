"""Conversion by torchao: approximate layers as one more configuration of ``torchao.quantization.quantize_``.

For models some of whose layers are quantised by torchao's own configurations. Elsewhere `surrogate.nn.approximate_` is
the better way: it takes patterns of names, and converts all layers or none.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from torch import nn

from surrogate.nn.config import ApproxConfig
from surrogate.nn.convert import approximate_
from surrogate.nn.errors import ConversionError


def torchao_config(config: ApproxConfig) -> Any:
    """Wrap a configuration for torchao's ``quantize_``.

        quantize_(model, torchao_config(ApproxConfig(multiplier="drum8u_k4")))
        calibrate(model, batches)

    ``quantize_`` converts linear layers unless its ``filter_fn`` selects others, such as ``lambda module, name:
    isinstance(module, nn.Conv2d)``. A selected module that holds layers is converted as a whole, as `approximate_`
    would: the model itself by ``lambda module, name: name == ""``. Torchao's mappings of names (``FqnToConfig``) take
    the result as they take its own configurations.

    Parameters
    ----------
    config : ApproxConfig
        What to simulate.

    Returns
    -------
    torchao.core.config.AOBaseConfig
        With the attribute ``approximate``, the configuration given.

    Raises
    ------
    ConversionError
        If ``config`` is no `ApproxConfig`.
    ImportError
        If torchao is not installed.
    """
    if not isinstance(config, ApproxConfig):
        raise ConversionError(f"config must be an ApproxConfig, got {config!r:.80}; FqnToConfig assigns layer by layer")
    return _config_class()(config)


@cache
def _config_class() -> Any:
    """Make the class of configurations, and tell torchao what to do with them."""
    try:
        from torchao.core.config import AOBaseConfig
        from torchao.quantization.transform_module import register_quantize_module_handler
    except ImportError as error:
        raise ImportError("torchao is not installed, or too old; `pip install -U torchao`") from error

    @dataclass
    class ApproximateConfig(AOBaseConfig):  # type: ignore[misc]  # torchao has no type information
        approximate: ApproxConfig

    @register_quantize_module_handler(ApproximateConfig)  # type: ignore[untyped-decorator]
    def convert(module: nn.Module, config: ApproximateConfig) -> nn.Module:
        approximate_(module, config.approximate)
        return module

    return ApproximateConfig
