"""A configuration for each layer of a network, as `approximate_` takes them, in memory and in a file.

The file is JSON, and holds names, fingerprints and settings, not the multipliers themselves:

    {"format": "axsurrogate.assignment", "version": 1, "energy": 0.58, "predicted_accuracy": 0.87,
     "layers": {"conv1": {"multiplier": "trunc8s_t1", "fingerprint": "fc0c6f73...", "settings": {}}, ...}}

``settings`` has the fields of `ApproxConfig` that are not the default ones.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from multipliers.errors import ParameterError, UnknownNameError
from multipliers.files import write_atomically
from multipliers.multiplier import Multiplier
from multipliers.operands import OperandFormat
from multipliers.registry import get
from surrogate.model import MultiplierReference
from surrogate.nn.assignment.errors import AssignmentError
from surrogate.nn.config import ApproxConfig
from surrogate.nn.quantisation.config import QuantiserConfig

FORMAT = "axsurrogate.assignment"
VERSION = 1

_BEHAVIOUR = ("multiplier", "surrogate")
"""Fields of a configuration that say what multiplies; the others are settings."""


@dataclass(frozen=True)
class Assignment(Mapping[str, ApproxConfig]):
    """Configurations by the name of a layer, as `approximate_` takes them.

    Attributes
    ----------
    configs : mapping of str to ApproxConfig
        Each with its multiplier.
    energy : float
        Energy of all products of an image, as a share of that with the candidate of the most energy in every layer.
    predicted_accuracy : float
        By `surrogate.nn.prediction.AccuracyPredictor`: a first-order answer, not a measurement.
    """

    configs: Mapping[str, ApproxConfig]
    energy: float
    predicted_accuracy: float

    def __getitem__(self, name: str) -> ApproxConfig:
        """Return the configuration of a layer."""
        return self.configs[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of layers."""
        return iter(self.configs)

    def __len__(self) -> int:
        """Return the number of layers."""
        return len(self.configs)

    @property
    def multipliers(self) -> dict[str, str]:
        """Names of the multipliers, by layer."""
        return {name: config.name for name, config in self.configs.items()}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the assignment to a JSON file, as a whole or not at all.

        Raises
        ------
        AssignmentError
            If a layer runs a surrogate that was given, which the file has no place for.
        OSError
            If it cannot be written.
        """
        layers = {name: _layer_record(name, config) for name, config in self.configs.items()}
        data = {
            "format": FORMAT,
            "version": VERSION,
            "energy": self.energy,
            "predicted_accuracy": self.predicted_accuracy,
            "layers": layers,
        }
        write_atomically(path, (json.dumps(data, indent=2, allow_nan=False) + "\n").encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str], multipliers: Iterable[Multiplier] = ()) -> Assignment:
        """Read what `save` wrote.

        Parameters
        ----------
        path : path
        multipliers : iterable of Multiplier
            Those that are no designs of this package, such as the user's own; found by name.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        AssignmentError
            If the file is no assignment, of another version or damaged, or a multiplier is unknown or not the one that
            the file was written with.
        """
        known = {multiplier.name: multiplier for multiplier in multipliers}
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
            if data["format"] != FORMAT:
                raise ValueError(f"its format is {data['format']!r:.40}, not {FORMAT!r}")
            if data["version"] != VERSION:
                raise ValueError(f"its version is {data['version']!r:.20}, this axsurrogate reads {VERSION}")
            configs = {name: _config(name, record, known) for name, record in data["layers"].items()}
            return cls(configs, float(data["energy"]), float(data["predicted_accuracy"]))
        except AssignmentError as error:
            raise AssignmentError(f"{path}: {error}") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            raise AssignmentError(f"{path}: is no assignment of multipliers to layers ({reason})") from None


def _layer_record(name: str, config: ApproxConfig) -> dict[str, Any]:
    if config.multiplier is None:
        raise AssignmentError(f"layer {name!r} has a surrogate and no multiplier; only multipliers can be written")
    return {"multiplier": config.name, "fingerprint": config.reference.fingerprint, "settings": _settings(config)}


def _settings(config: ApproxConfig) -> dict[str, Any]:
    default = ApproxConfig(multiplier=config.multiplier)
    return {
        f.name: _plain(getattr(config, f.name))
        for f in fields(config)
        if f.name not in _BEHAVIOUR and getattr(config, f.name) != getattr(default, f.name)
    }


def _plain(value: Any) -> Any:
    if isinstance(value, OperandFormat):
        return value.label
    if isinstance(value, QuantiserConfig):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    return value


def _config(name: str, record: Mapping[str, Any], known: Mapping[str, Multiplier]) -> ApproxConfig:
    label, settings = record["multiplier"], dict(record["settings"])
    try:
        multiplier = known[label] if label in known else get(label)
    except (ParameterError, UnknownNameError):
        raise AssignmentError(
            f"layer {name!r} has the multiplier {label!r}, which is no design of this package; pass it in multipliers="
        ) from None
    if MultiplierReference.of(multiplier).fingerprint != record["fingerprint"]:
        raise AssignmentError(
            f"layer {name!r} has the multiplier {label!r} of fingerprint {record['fingerprint']:.12}..., and the one "
            f"of this name multiplies otherwise; pass the right one in multipliers="
        )
    try:
        for side in ("activation", "weight"):
            if side in settings:
                settings[side] = QuantiserConfig(**settings[side])
        return ApproxConfig(multiplier=multiplier, **settings)
    except (ValueError, TypeError) as error:
        raise AssignmentError(f"layer {name!r}: its settings are wrong ({error})") from None
