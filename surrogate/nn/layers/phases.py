"""A transposed convolution as plain convolutions that multiply no inserted zeros (sub-pixel convolution).

With inputs ``s`` apart, the outputs ``r, r + s, r + 2 s, ...`` of one *phase* ``r`` meet inputs at the same taps of the
kernel. They are a plain convolution of stride 1 of the inputs as they are with these taps, so that the ``s`` phases of
a dimension together multiply what is there, and ``1 / s`` of what one convolution over the spread inputs would (Shi et
al., CVPR 2016, arXiv 1609.05158, there for kernels that ``s`` divides).

At position ``o = s q + r``, tap ``u`` of dilation ``d`` reads lane ``o + d u``, and input ``i`` lies on lane ``before +
s i``. So a tap meets an input where ``d u = before - r (mod s)``: with ``u0`` the first such tap and ``g = gcd(s, d)``,
at ``u = u0 + (s / g) j``, and then ``i = q - (before - r - d u0) / s + (d / g) j``. Phases that read the same inputs,
as all do where kernel and stride are equal, are summed by one convolution of that many times the output channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from math import gcd

from surrogate.nn.layers.lanes import LaneLayout


@dataclass(frozen=True)
class Phase:
    """Outputs that one plain convolution sums.

    Attributes
    ----------
    outputs : tuple of slice
        Which, along each dimension.
    taps : tuple of slice
        Taps of the kernel that meet inputs.
    layout : LaneLayout
        The plain convolution with these taps.
    """

    outputs: tuple[slice, ...]
    taps: tuple[slice, ...]
    layout: LaneLayout


def phases(layout: LaneLayout) -> tuple[Phase, ...]:
    """Split the layout of a transposed convolution: stride 1, any spread.

    Outputs of no phase meet no input: their sums are 0.

    Examples
    --------
    >>> layout = LaneLayout((3,), (1,), (1,), groups=1, before=(1,), after=(1,), spread=(2,))
    >>> for phase in phases(layout):
    ...     print(phase.outputs[0].start, phase.taps[0], phase.layout.before, phase.layout.after)
    0 slice(1, None, 2) (0,) (0,)
    1 slice(0, None, 2) (0,) (0,)
    """
    sides = zip(layout.kernel, layout.dilation, layout.spread, layout.before, layout.after, strict=True)
    found = []
    for combination in product(*(list(_phases(*side)) for side in sides)):
        outputs, taps, kernel, dilation, before, after = zip(*combination, strict=True)
        ones = (1,) * len(kernel)
        found.append(Phase(outputs, taps, LaneLayout(kernel, ones, dilation, layout.groups, before, after, ones)))
    return tuple(found)


def phases_by_window(layout: LaneLayout) -> list[tuple[LaneLayout, list[Phase]]]:
    """Collect the phases that read the same windows, with the plain convolution that sums all of them.

    It has the outputs of the phase that has most; a phase takes the first of them. Which phases go together does not
    depend on the output padding.

    Examples
    --------
    >>> layout = LaneLayout((3,), (1,), (1,), groups=1, before=(2,), after=(2,), spread=(3,))
    >>> [(plain.kernel, len(together)) for plain, together in phases_by_window(layout)]
    [((1,), 3)]
    """
    found: dict[LaneLayout, list[Phase]] = {}
    for phase in phases(layout):
        found.setdefault(replace(phase.layout, after=phase.layout.before), []).append(phase)
    joined = []
    for window, together in found.items():
        after = tuple(max(sides) for sides in zip(*(phase.layout.after for phase in together), strict=True))
        joined.append((replace(window, after=after), together))
    return joined


def _phases(
    kernel: int, dilation: int, spread: int, before: int, after: int
) -> Iterator[tuple[slice, slice, int, int, int, int]]:
    """Yield outputs, taps, and kernel, dilation, before and after of the plain convolution, of one dimension."""
    common = gcd(spread, dilation)
    for phase in range(spread):
        first = next((u for u in range(kernel) if (before - phase - dilation * u) % spread == 0), None)
        if first is None:
            continue
        n_taps = len(range(first, kernel, spread // common))
        own_before = (before - phase - dilation * first) // spread
        more_outputs = (before + after - (kernel - 1) * dilation - phase) // spread  # than inputs
        own_after = more_outputs + (n_taps - 1) * (dilation // common) - own_before
        taps = slice(first, None, spread // common)
        yield slice(phase, None, spread), taps, n_taps, dilation // common, own_before, own_after
