"""Times of steps side by side, seeded draws, digests of parameters."""

import pytest
import torch
from torch import nn

from surrogate.nn.networks import LeNet5
from surrogate.nn.training import Images, parameters_digest, seeded, step_times


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(24, 1, 8, 8, generator=generator), torch.arange(24) % 4
    return Images(x, y, x, y)


class Slow(nn.Module):
    """A model that wastes time, and says what it saw."""

    def __init__(self, model):
        super().__init__()
        self.model, self.seen = model, []

    def __deepcopy__(self, _):
        copied = Slow(self.model)
        copied.seen = self.seen
        return copied

    def forward(self, x):
        torch.linalg.svd(torch.ones(300, 300))
        self.seen.append((x, parameters_digest(self.model)))
        return self.model(x)


def test_steps_take_turns_on_the_same_batches_and_change_weights(images):
    model = LeNet5.seeded(0, 8, 1, 4)
    before = parameters_digest(model)
    first, second = Slow(LeNet5.seeded(0, 8, 1, 4)), Slow(LeNet5.seeded(0, 8, 1, 4))
    times = step_times({"plain": model, "slow": first, "slow too": second}, images, steps=4, batch_size=8)
    assert times["slow"] > times["plain"] > 0
    assert parameters_digest(model) == before
    assert len(first.seen) == len(second.seen) == 3 + 4
    assert all(torch.equal(a[0], b[0]) for a, b in zip(first.seen, second.seen, strict=True))
    assert len({digest for _, digest in first.seen}) == len(first.seen)


@pytest.mark.parametrize("name", ["steps", "batch_size"])
def test_numbers_below_one_are_refused(name, images):
    with pytest.raises(ValueError, match=name):
        step_times({"model": LeNet5.seeded(0, 8, 1, 4)}, images, **{name: 0})


def test_seeded_draws_leave_the_generator_as_it_was():
    state = torch.get_rng_state()
    with seeded(1):
        first = torch.randn(3)
    with seeded(2):
        assert not torch.equal(torch.randn(3), first)
    with seeded(1):
        assert torch.equal(torch.randn(3), first)
    assert torch.equal(torch.get_rng_state(), state)


def test_digests_tell_bits_shapes_and_names_apart():
    def digest(**parameters):
        model = nn.Module()
        for name, values in parameters.items():
            model.register_parameter(name, nn.Parameter(values))
        return parameters_digest(model)

    ones = torch.ones(2, 3)
    same = digest(a=ones)
    assert digest(a=ones.clone()) == same
    assert digest(a=ones.mT.contiguous().mT) == same
    models = [digest(a=ones.mT), digest(b=ones), digest(a=ones.double()), digest(a=ones * (1 + 2**-23))]
    models += [digest(a=torch.zeros(())), digest(a=-torch.zeros(()))]
    assert len({same, *models}) == 1 + len(models)
