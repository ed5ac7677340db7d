"""Multi-head attention through an approximate multiplier, as modules of its own for each of its products.

torch's attention keeps the weights of three projections in one parameter and multiplies by functions. Here each
projection is a linear layer whose weight is a view of that parameter, so names of parameters stay, and everything that
works on layers (patterns, calibration, modes, operand histograms) works on the parts of an attention:

| part        | product                                            | accurate, approximate class       |
|-------------|----------------------------------------------------|-----------------------------------|
| ``q_proj``  | queries, ``q = query Wq + bq``                     | `Projection`, `ApproxProjection`  |
| ``k_proj``  | keys, ``k = key Wk + bk``                          | `Projection`, `ApproxProjection`  |
| ``v_proj``  | values, ``v = value Wv + bv``                      | `Projection`, `ApproxProjection`  |
| ``scores``  | ``q k^T / sqrt(d)`` of each head of ``d`` features | `Matmul`, `ApproxMatmul`          |
| ``context`` | ``softmax(scores + mask) v``                       | `Matmul`, `ApproxMatmul`          |
| ``out_proj` | output, ``context Wo + bo``                        | torch's, `ApproxOutputProjection` |

Vaswani et al., "Attention Is All You Need", NeurIPS 2017, section 3.2.
"""

from __future__ import annotations

from typing import Any, Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from surrogate.nn.config import ApproxConfig
from surrogate.nn.errors import ConversionError
from surrogate.nn.layers.linear import ApproxLinear
from surrogate.nn.layers.matmul import ApproxMatmul, Matmul
from surrogate.nn.layers.operation import ApproxOperation

PROJECTIONS = ("q_proj", "k_proj", "v_proj")
PRODUCTS = ("scores", "context")


class Projection(nn.Linear):
    """A linear layer whose weight and bias are rows of the parameters of the attention that it is part of.

    Parameters
    ----------
    attention : nn.MultiheadAttention
        Owner of the parameters.
    index : {0, 1, 2}
        Queries, keys or values.
    """

    def __init__(self, attention: nn.MultiheadAttention, index: int) -> None:
        nn.Module.__init__(self)  # not that of nn.Linear, which makes parameters
        self.attention = [attention]  # in a list: as a submodule it would be its own descendant
        self.index = index
        self.out_features = attention.embed_dim
        self.in_features = cast(int, (attention.embed_dim, attention.kdim, attention.vdim)[index])
        self.training = attention.training

    @property
    def weight(self) -> Tensor:  # type: ignore[override]  # torch's is an attribute
        """Weight ``(embed_dim, features)``, a view of the attention's parameter."""
        attention = self.attention[0]
        packed = cast(Tensor | None, attention.in_proj_weight)
        if packed is None:
            return (attention.q_proj_weight, attention.k_proj_weight, attention.v_proj_weight)[self.index]
        return packed[self._rows]

    @property
    def bias(self) -> Tensor | None:  # type: ignore[override]  # torch's is an attribute
        """Bias ``(embed_dim,)``, a view of the attention's parameter."""
        bias = self.attention[0].in_proj_bias
        return None if bias is None else bias[self._rows]

    @property
    def _rows(self) -> slice:
        return slice(self.index * self.out_features, (self.index + 1) * self.out_features)


class ApproxProjection(ApproxLinear, Projection):
    """`Projection` whose products go through an approximate multiplier."""


class ApproxOutputProjection(ApproxLinear, NonDynamicallyQuantizableLinear):
    """The output projection of an attention through an approximate multiplier."""


APPROXIMATE_PARTS: dict[type[nn.Module], type[ApproxOperation]] = {
    Projection: ApproxProjection,
    NonDynamicallyQuantizableLinear: ApproxOutputProjection,
    Matmul: ApproxMatmul,
}


class ApproxMultiheadAttention(nn.MultiheadAttention):
    """`torch.nn.MultiheadAttention` whose projections, and by option products, go through an approximate multiplier.

    Inputs, masks and results are torch's, with three differences. A query all of whose keys are masked attends to
    nothing and has weights of 0, as in `torch.nn.functional.scaled_dot_product_attention`, whether or not weights are
    asked for. ``is_causal`` is only a hint in torch, too: ``attn_mask`` is what counts. Nested tensors are refused.
    Masked entries pass through the multipliers like all others: scores before they are masked, weights as the
    quantised zero.

    Parameters
    ----------
    *args, **options
        Those of `torch.nn.MultiheadAttention`.
    config : ApproxConfig
        What to simulate.
    products : bool
        Whether the products of two activations (``scores`` and ``context``) are approximate, too.

    Examples
    --------
    >>> from surrogate.nn import calibrate
    >>> attention = ApproxMultiheadAttention(8, 2, batch_first=True, config=ApproxConfig(multiplier="drum8u_k4"))
    >>> x = torch.rand(3, 5, 8)
    >>> calibrate(attention, [x], forward=lambda attention, x: attention(x, x, x))
    >>> y, weights = attention(x, x, x)
    >>> y.shape, weights.shape
    (torch.Size([3, 5, 8]), torch.Size([3, 5, 5]))
    """

    q_proj: Projection
    k_proj: Projection
    v_proj: Projection
    scores: Matmul
    context: Matmul

    def __init__(self, *args: Any, config: ApproxConfig, products: bool = False, **options: Any) -> None:
        super().__init__(*args, **options)
        self.split_()
        for name in (*PROJECTIONS, "out_proj", *(PRODUCTS if products else ())):
            part = self.get_submodule(name)
            part.__class__ = APPROXIMATE_PARTS[type(part)]
            cast(ApproxOperation, part).attach(config).to(self.out_proj.weight.device)

    def split_(self) -> Self:
        """Give a torch attention, whose class has been changed to this one, modules for its products, all accurate."""
        for index, name in enumerate(PROJECTIONS):
            self.add_module(name, Projection(self, index))
        for name in PRODUCTS:
            self.add_module(name, Matmul().train(self.training))
        self._modules["out_proj"] = self._modules.pop("out_proj")  # last, as it is computed
        return self

    def join_(self) -> nn.MultiheadAttention:
        """Turn an attention of accurate parts into torch's own; the inverse of `split_`."""
        for name in (*PROJECTIONS, *PRODUCTS):
            delattr(self, name)
        self.__class__ = nn.MultiheadAttention  # type: ignore[assignment]  # accurate again
        return self

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Attend; see `torch.nn.MultiheadAttention.forward`.

        Raises
        ------
        ConversionError
            If inputs or masks do not fit together.
        """
        batched = query.ndim == 3
        inputs = [query, key, value]
        if not batched:
            inputs = [x[None] for x in inputs]
            key_padding_mask = None if key_padding_mask is None else key_padding_mask[None]
        elif not self.batch_first:
            inputs = [x.transpose(0, 1) for x in inputs]
        self._check(inputs, is_causal and attn_mask is None)
        projections = (self.q_proj, self.k_proj, self.v_proj)
        q, k, v = (part(x) for part, x in zip(projections, inputs, strict=True))  # (batch, length, embed_dim)
        if self.bias_k is not None and self.bias_v is not None:
            k, v = (torch.cat([x, b.expand(len(x), 1, -1)], dim=1) for x, b in ((k, self.bias_k), (v, self.bias_v)))
        q, k, v = (x.reshape(*x.shape[:2], self.num_heads, -1).transpose(1, 2) for x in (q, k, v))
        if self.add_zero_attn:
            k, v = (functional.pad(x, (0, 0, 0, 1)) for x in (k, v))
        mask = self._mask(attn_mask, key_padding_mask, q, inputs[1].shape[1], k.shape[2])
        heads, weights = self._attend(q, k, v, mask, need_weights)
        y: Tensor = self.out_proj(heads.transpose(1, 2).flatten(-2))
        if weights is not None and average_attn_weights:
            weights = weights.mean(dim=1)
        if not batched:
            return y[0], None if weights is None else weights[0]
        return y if self.batch_first else y.transpose(0, 1), weights

    def _attend(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, need_weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Context of each head ``(batch, heads, length, head_dim)``, and weights if they are needed."""
        dropout = self.dropout if self.training else 0.0
        if not need_weights and type(self.scores) is type(self.context) is Matmul:
            return functional.scaled_dot_product_attention(q, k, v, mask, dropout), None
        similarity: Tensor = self.scores(q * self.head_dim**-0.5, k.mT)
        if mask is None:
            weights = similarity.softmax(dim=-1)
        else:
            nothing = (mask == -torch.inf).all(dim=-1, keepdim=True)
            weights = (similarity + mask.masked_fill(nothing, 0.0)).softmax(dim=-1).masked_fill(nothing, 0.0)
        if dropout > 0:
            weights = functional.dropout(weights, dropout)
        return self.context(weights, v), weights if need_weights else None

    def _check(self, inputs: list[Tensor], unmasked_hint: bool) -> None:
        """Check inputs ``(batch, length, features)``; the projections check the features."""
        shapes = [tuple(x.shape) for x in inputs]
        if any(x.is_nested for x in inputs):
            raise ConversionError("approximate attention takes no nested tensors; pad them, and give key_padding_mask")
        if (
            any(len(shape) != 3 for shape in shapes)
            or any(s[0] != shapes[0][0] for s in shapes)
            or shapes[1][1] != shapes[2][1]
        ):
            raise ConversionError(
                f"query, key and value must be of shapes (batch, length, features), or all without batch, with key and "
                f"value of one length; got {', '.join(str(s) for s in shapes)} (batch first)"
            )
        if unmasked_hint:
            raise ConversionError("is_causal says that attn_mask is causal; give attn_mask, too")

    def _mask(
        self, attn_mask: Tensor | None, key_padding_mask: Tensor | None, q: Tensor, keys: int, all_keys: int
    ) -> Tensor | None:
        """Sum of the masks, to be added to scores ``(batch, heads, queries, keys)``; added keys are not masked."""
        batch, heads, queries, _ = q.shape
        found = []
        if attn_mask is not None:
            shapes = ((queries, keys), (batch * heads, queries, keys))
            mask = _additive(attn_mask, "attn_mask", shapes, q.dtype)
            found.append(mask if mask.ndim == 2 else mask.reshape(batch, heads, queries, keys))
        if key_padding_mask is not None:
            mask = _additive(key_padding_mask, "key_padding_mask", ((batch, keys),), q.dtype)
            found.append(mask[:, None, None])
        if not found:
            return None
        return functional.pad(found[0] + found[1] if len(found) == 2 else found[0], (0, all_keys - keys))


def _additive(mask: Tensor, name: str, shapes: tuple[tuple[int, ...], ...], dtype: torch.dtype) -> Tensor:
    """Turn a mask of booleans (True where nothing is attended to) into one that is added to scores."""
    if mask.shape not in shapes or not (mask.dtype == torch.bool or mask.is_floating_point()):
        raise ConversionError(
            f"{name} must be bool or float, of shape {' or '.join(str(s) for s in shapes)}; "
            f"got {mask.dtype}, {tuple(mask.shape)}"
        )
    if mask.dtype == torch.bool:
        return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(mask, -torch.inf)
    return mask.to(dtype)


def split_attention_(model: nn.Module) -> None:
    """Split every `torch.nn.MultiheadAttention` of a model, but no subclass of it, into its parts."""
    for module in list(model.modules()):
        if type(module) is nn.MultiheadAttention:
            module.__class__ = ApproxMultiheadAttention
            cast(ApproxMultiheadAttention, module).split_()


def join_attention_(model: nn.Module) -> None:
    """Turn those attentions of a model that have no approximate part into torch's own."""
    for module in list(model.modules()):
        if isinstance(module, ApproxMultiheadAttention) and not any(
            isinstance(part, ApproxOperation) for part in module.children()
        ):
            module.join_()
