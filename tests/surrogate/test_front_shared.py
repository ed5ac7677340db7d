"""The front on published circuits: never above the bound of plain low rank, and far below the published recipe."""

import numpy as np
import pytest

from multipliers import TableMultiplier
from surrogate import discover, front


@pytest.fixture(scope="module")
def unsigned_circuits(shared):
    """The 8 x 8 unsigned circuits with errors, as multipliers."""
    found = []
    for path in sorted((shared / "evoapprox").glob("mul8u_*.npz")):
        m = TableMultiplier(np.load(path)["table"], "8u", name=path.stem)
        if (m.table() != np.multiply.outer(m.a.values(), m.b.values())).any():
            found.append(m)
    assert len(found) >= 10
    return found


def tails(table, p, q):
    """What the best models of 0, 1, 2, ... products leave, by NumPy's SVD of the scaled table."""
    singular = np.linalg.svd(np.sqrt(p)[:, None] * table * np.sqrt(q), compute_uv=False)
    return np.sqrt(np.append(np.cumsum(singular[::-1] ** 2)[::-1], 0.0))


def test_at_or_below_the_bound_at_every_number_of_products(unsigned_circuits):
    uniform = np.full(256, 1 / 256)
    shares = {4: [], 8: []}
    for m in unsigned_circuits:
        found = front(m)
        bound = tails(m.table().astype(float), uniform, uniform)
        assert (found.residuals <= 1.02 * bound + 1e-9).all()
        for k, values in shares.items():
            values.append(found.shares[k])
    assert np.median(shares[4]) <= 0.19
    assert np.median(shares[8]) <= 0.04


def test_far_below_the_published_recipe(unsigned_circuits):
    recipe = [discover(m, method="htp") for m in unsigned_circuits]
    fronts = [front(m) for m in unsigned_circuits]
    left = [s.certificate.rms_residual / f.error for s, f in zip(recipe, fronts, strict=True)]
    ours = [f.shares[s.n_products] for s, f in zip(recipe, fronts, strict=True)]
    assert all(o <= r * (1 + 1e-9) for o, r in zip(ours, left, strict=True))
    assert np.median(ours) < 0.6 * np.median(left)


def test_weighted_front_meets_its_bound_and_pays(unsigned_circuits):
    p = np.exp(-np.arange(256) / 24)
    q = np.exp(-((np.arange(256) - 128) ** 2) / (2 * 20**2))
    p, q = p / p.sum(), q / q.sum()
    gains = []
    for m in unsigned_circuits:
        table = m.table().astype(float)
        found = front(m, p, q)
        assert (found.residuals <= 1.02 * tails(table, p, q) + 1e-9).all()
        if found.residuals[2] < 1e-6:
            continue  # exact either way
        plain = discover(m, method="lowrank", products=2)
        residual = plain(m.a.values()[:, None], m.b.values()) - table
        gains.append(np.sqrt(p @ residual**2 @ q) / found.residuals[2])
    assert len(gains) >= 8
    assert np.median(gains) > 1.2
