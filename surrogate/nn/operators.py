"""Functions that `torch.compile` calls as they are, as operators ``torch.ops.axsurrogate.*``.

A graph cannot hold what depends on the values of tensors (a range that must be finite), what sets global switches (the
precision of float32 products) or what is no torch code at all (the compiled table kernels).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar, cast

import torch
from torch._subclasses.fake_tensor import unset_fake_temporarily

P = ParamSpec("P")
R = TypeVar("R")

NAMESPACE = "axsurrogate"


def opaque(name: str, fake: Callable[..., Any]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function an operator ``axsurrogate::name``, which compiled graphs call instead of tracing into it.

    Uncompiled code calls the function itself, without the cost of dispatch. It takes tensors, numbers, strings and
    lists of these, as `torch.library.custom_op` does, changes none of them and returns new tensors; it has no gradient.

    Parameters
    ----------
    name : str
        Of the operator.
    fake : callable
        Takes the same arguments and returns empty tensors of the right shape, datatype and device.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        operator = torch.library.custom_op(f"{NAMESPACE}::{name}", cast(Any, function), mutates_args=())
        operator.register_fake(fake)

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            if torch.compiler.is_compiling():
                return cast(R, operator(*args, **kwargs))
            return function(*args, **kwargs)

        return call

    return decorate


def probed(function: Callable[P, R]) -> Callable[P, R]:
    """Call a function once for each of its arguments; compiled graphs take the result as a constant.

    It is called with real tensors even while fake ones are traced.
    """
    cached = cast(Callable[P, R], cache(function))

    @torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with unset_fake_temporarily():
            return cached(*args, **kwargs)

    return cast(Callable[P, R], call)
