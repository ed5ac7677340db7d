"""Models of planted factors, and their sums in NumPy integers, lane by lane."""

import itertools

import numpy as np
import torch

import surrogate
from multipliers import CallableMultiplier, OperandFormat
from surrogate.basis import Table
from surrogate.model import MultiplierReference, Provenance, Surrogate, Term


def planted(a, b, rank, largest_a, largest_b, seed=0, coefficients=None, scale_a=1, scale_b=1):
    """Asymmetric random factors, not 0 for operands of 0; the model, and the factors as matrices of integers."""
    generator = np.random.default_rng(seed)
    a, b = OperandFormat.parse(a), OperandFormat.parse(b)
    left = generator.integers(-largest_a, largest_a + 1, size=(a.size, rank))
    right = generator.integers(-largest_b, largest_b + 1, size=(b.size, rank))
    left[0], right[-1] = largest_a, -largest_b
    left[-a.minimum], right[-b.minimum] = largest_a // 2 + 1, largest_b // 3 + 1
    left, right = left * scale_a, right * scale_b
    scale = np.ones(rank, dtype=np.int64) if coefficients is None else np.array(coefficients)

    def product(x, y):
        values = (left[x - a.minimum] * right[y - b.minimum] * scale).sum(axis=-1)
        return np.rint(values).astype(np.int64)

    multiplier = CallableMultiplier(product, a, b, name="planted")
    terms = [Term(c, Table(a, g), Table(b, h)) for c, g, h in zip(scale.tolist(), left.T, right.T, strict=True)]
    model = Surrogate(terms, MultiplierReference.of(multiplier), Provenance("planted"))
    return surrogate.certify(model, multiplier, sample=1000), left, right


def expected_sums(left, right, x, w, convolution):
    """Sums of the factors' products, exact, lane by lane; one past the end of ``x`` is skipped."""
    left = np.vstack([left, np.zeros_like(left[:1])])
    x, w = x.numpy(), w.numpy()
    n, height, width, _ = x.shape
    out, kernel_h, kernel_w, per_group = w.shape
    out_h, out_w = convolution.output_size(height, width)
    result = np.zeros((n, out_h, out_w, out), dtype=np.int64)
    for c, i, j in itertools.product(range(out), range(out_h), range(out_w)):
        first = c // (out // convolution.groups) * per_group
        for p, q in itertools.product(range(kernel_h), range(kernel_w)):
            row = i * convolution.stride[0] + p * convolution.dilation[0]
            column = j * convolution.stride[1] + q * convolution.dilation[1]
            lanes = left[x[:, row, column, first : first + per_group]]
            result[:, i, j, c] += (lanes * right[w[c, p, q]]).sum(axis=(1, 2))
    return result


def check(engine, left, right, x, w, convolution):
    sums = engine.sums(x, engine.prepare(w, convolution.groups), convolution)
    actual = sums.numpy().astype(np.int64)
    np.testing.assert_array_equal(actual, expected_sums(left, right, x, w, convolution))


def operands(left, right, x_shape, w_shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(0, len(left) + 1, x_shape, generator=generator, dtype=torch.int32)
    return x, torch.randint(0, len(right), w_shape, generator=generator)
