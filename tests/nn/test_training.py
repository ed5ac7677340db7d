"""Training by exact surrogate is training by table, to the digit."""

import copy

import numpy as np
import pytest
import torch

import multipliers
import surrogate
from surrogate.nn import ApproxConfig, approximate_, calibrate
from surrogate.nn.networks import LeNet5
from surrogate.nn.training import Images, accuracy, train


def blobs(n, size=10, classes=4, seed=0):
    """Easy images: a bright square whose corner tells the class."""
    generator = np.random.default_rng(seed)
    y = generator.integers(0, classes, n)
    x = generator.uniform(0, 60, (n, size, size))
    half = size // 2
    for image, label in zip(x, y, strict=True):
        row, column = divmod(int(label), 2)
        image[row * half : (row + 1) * half, column * half : (column + 1) * half] += 120
    return x.astype(np.uint8), y


@pytest.fixture(scope="module")
def images():
    return Images.from_arrays(*blobs(600), *blobs(200, seed=1))


@pytest.mark.parametrize("label", ["bam8s_h3v7", "bam8u_h1v6", "drum8u_k3", "bam8x6u_h1v4"])
def test_surrogate_and_table_train_alike(images, label):
    multiplier = multipliers.get(label)
    start = LeNet5.seeded(0, 10, 1, 4)
    results = []
    for config in (
        ApproxConfig(multiplier=multiplier, backend="table"),
        ApproxConfig(surrogate=surrogate.discover(multiplier)),
        ApproxConfig(surrogate=surrogate.discover(multiplier), arithmetic="float64"),
    ):
        model = copy.deepcopy(start)
        approximate_(model, config)
        run = train(model, images, steps=60, learning_rate=0.1, batch_size=32)
        results.append((run.losses, accuracy(model, images.x_test, images.y_test), model.state_dict()))
    (losses, score, state), *others = results
    assert len(set(losses)) == 60  # it does train
    for other_losses, other_score, other_state in others:
        assert other_losses == losses
        assert other_score == score
        for name in state:
            if ".engine." not in name:
                assert torch.equal(state[name], other_state[name])


def test_training_is_reproducible(images):
    runs = [train(LeNet5.seeded(3, 10, 1, 4), images, steps=5, learning_rate=0.05, seed=2).losses for _ in range(2)]
    assert runs[0] == runs[1]
    other = train(LeNet5.seeded(3, 10, 1, 4), images, steps=5, learning_rate=0.05, seed=4).losses
    assert other != runs[0]


def test_retraining_mends_what_the_multiplier_breaks(images):
    model = LeNet5.seeded(0, 10, 1, 4)
    train(model, images, steps=120, learning_rate=0.05)
    assert accuracy(model, images.x_test, images.y_test) > 0.9
    approximate_(model, ApproxConfig(multiplier="bam8s_h6v7"))
    calibrate(model, [images.x_train[:128]])
    before = accuracy(model, images.x_test, images.y_test)
    train(model, images, steps=60, learning_rate=0.02)
    after = accuracy(model, images.x_test, images.y_test)
    assert after > max(before, 0.9)


def test_accuracy_counts_and_restores_the_mode(images):
    model = LeNet5.seeded(0, 10, 1, 4).train()
    score = accuracy(model, images.x_test, images.y_test, batch_size=33)
    assert model.training
    right = (model.eval()(images.x_test).argmax(dim=1) == images.y_test).double().mean()
    assert score == pytest.approx(float(right))


def test_images_are_scaled_and_checked():
    x, y = blobs(6)
    images = Images.from_arrays(x, y, x[:2], y[:2])
    assert images.x_train.shape == (6, 1, 10, 10)
    assert float(images.x_train.max()) == 1.0
    assert images.n_classes == int(y.max()) + 1
    colour = np.repeat(x[..., None], 3, axis=3)
    assert Images.from_arrays(colour, y, colour, y).x_train.shape == (6, 3, 10, 10)
    for bad in (
        (x[:, 0], y, x, y),
        (x, y[:3], x, y),
        (x, y.astype(float), x, y),
        (x, y - 9, x, y),
        (x, y, x[:, :4], y),
        (x[:0], y[:0], x, y),
        (x * 0, y, x, y),
    ):
        with pytest.raises(ValueError, match=r"x_|y_|largest pixel"):
            Images.from_arrays(*bad)


@pytest.mark.slow
def test_fashion_mnist_accuracy_by_surrogate_equals_that_by_table(shared):
    """LeNet-5, retrained with a signed circuit: the same accuracy to the digit, and better than before."""
    with np.load(shared / "data" / "fashion_mnist.npz") as data:
        images = Images.from_arrays(*(data[k][:10_000] for k in ("x_train", "y_train", "x_test", "y_test")))
    multiplier = multipliers.get("bam8s_h3v7")
    model = LeNet5.seeded(0)
    train(model, images, steps=300, learning_rate=0.05)
    scores = []
    for config in (
        ApproxConfig(multiplier=multiplier, backend="table"),
        ApproxConfig(surrogate=surrogate.discover(multiplier)),
    ):
        candidate = copy.deepcopy(model)
        approximate_(candidate, config)
        calibrate(candidate, [images.x_train[:512]])
        before = accuracy(candidate, images.x_test, images.y_test)
        train(candidate, images, steps=60, learning_rate=0.01)
        scores.append((before, accuracy(candidate, images.x_test, images.y_test)))
    assert scores[0] == scores[1]
    assert scores[0][1] > scores[0][0]
