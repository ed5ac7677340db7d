"""Training by exact surrogate is training by table, to the digit."""

import copy

import numpy as np
import pytest
import torch

import multipliers
import surrogate
from surrogate.nn import ApproxConfig, approximate_, approximate_layers, calibrate
from surrogate.nn.networks import LeNet5
from surrogate.nn.training import CheckpointError, Images, Recipe, Training, accuracy, load_state, save_state, train
from surrogate.nn.training.images import MARGIN, augmented


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


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(3, 0.05, batch_size=64, augment=True, seed=5, weight_decay=1e-3),
        Recipe(4, 0.05, batch_size=64, steps_per_epoch=4),
        Recipe(3, 0.05, batch_size=100, steps_per_epoch=9, schedule="constant"),
    ],
    ids=["passes", "parts of a pass", "more than a pass"],
)
def test_resumed_training_is_that_which_was_not_interrupted(images, recipe, tmp_path):
    """The noise mode draws from torch's global generator, whose state is part of the checkpoint."""

    def start():
        model = LeNet5.seeded(1, 10, 1, 4)
        approximate_(model, ApproxConfig(multiplier="bam8s_h3v7"))
        calibrate(model, [images.x_train[:64]])
        for _, layer in approximate_layers(model):
            layer.mode = "noise"
        return Training(model, images, recipe)

    torch.manual_seed(7)
    whole = start()
    losses = []
    for _ in range(recipe.epochs):
        save_state(whole.state_dict(), tmp_path / f"{whole.epoch}.pt")
        losses.append(whole.run_epoch().losses)
    assert whole.finished
    assert len({loss for each in losses for loss in each}) > recipe.epochs  # noise and weights do change
    for epoch in range(recipe.epochs):
        resumed = start()
        torch.manual_seed(99)
        resumed.load_state_dict(load_state(tmp_path / f"{epoch}.pt"))
        assert [resumed.run_epoch().losses for _ in range(epoch, recipe.epochs)] == losses[epoch:]
        for name, value in whole.model.state_dict().items():
            assert torch.equal(value, resumed.model.state_dict()[name]), name


def test_states_that_do_not_fit_are_refused(images, tmp_path):
    training = Training(LeNet5.seeded(0, 10, 1, 4), images, Recipe(2, 0.1, steps_per_epoch=1))
    state = training.state_dict()
    with pytest.raises(CheckpointError, match="another recipe"):
        Training(LeNet5.seeded(0, 10, 1, 4), images, Recipe(3, 0.1, steps_per_epoch=1)).load_state_dict(state)
    with pytest.raises(CheckpointError, match="size mismatch"):
        Training(LeNet5.seeded(0, 10, 1, 7), images, training.recipe).load_state_dict(state)
    with pytest.raises(CheckpointError, match="no state"):
        training.load_state_dict({"recipe": training.recipe.to_dict()})
    save_state(state, tmp_path / "whole.pt")
    data = (tmp_path / "whole.pt").read_bytes()
    for name, content in (("half", data[: len(data) // 2]), ("empty", b""), ("text", b"no checkpoint")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointError, match=rf"{name}: is no checkpoint .*; delete it"):
            load_state(tmp_path / name)
    torch.save([1, 2], tmp_path / "list")
    with pytest.raises(CheckpointError, match="holds list"):
        load_state(tmp_path / "list")
    with pytest.raises(FileNotFoundError):
        load_state(tmp_path / "absent")


def test_a_finished_training_takes_no_more_epochs(images):
    training = Training(LeNet5.seeded(0, 10, 1, 4), images, Recipe(1, 0.1, steps_per_epoch=2))
    seen = []
    assert not training.finished
    training.run_epoch(lambda done, steps: seen.append((done, steps)))
    assert seen == [(1, 2), (2, 2)]
    with pytest.raises(ValueError, match="finished: the recipe has 1 epochs"):
        training.run_epoch()


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": -1},
        {"batch_size": 0},
        {"learning_rate": float("nan")},
        {"momentum": -0.1},
        {"schedule": "step"},
        {"steps_per_epoch": -2},
    ],
    ids=str,
)
def test_recipes_are_checked(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Recipe(**({"epochs": 1, "learning_rate": 0.1} | wrong))


def test_augmentation_moves_and_mirrors_whole_images():
    x = torch.rand(200, 2, 9, 12)
    moved = augmented(x, torch.Generator().manual_seed(0))
    padded = torch.nn.functional.pad(x, (MARGIN,) * 4)
    seen = set()
    for before, after in zip(padded, moved, strict=True):
        found = [
            (down, right, mirrored)
            for down in range(2 * MARGIN + 1)
            for right in range(2 * MARGIN + 1)
            for part in (before[:, down : down + 9, right : right + 12],)
            for mirrored in (False, True)
            if torch.equal(after, torch.flip(part, [2]) if mirrored else part)
        ]
        assert len(found) == 1
        seen.add(found[0])
    assert {down for down, _, _ in seen} == {right for _, right, _ in seen} == set(range(2 * MARGIN + 1))
    assert {mirrored for _, _, mirrored in seen} == {False, True}


def test_subsets_are_the_first_images(images):
    part = images.subset(10, 5)
    assert torch.equal(part.x_train, images.x_train[:10])
    assert torch.equal(part.y_test, images.y_test[:5])
    assert len(images.subset().x_train) == 600
    with pytest.raises(ValueError, match="n_test must be 1 to 200"):
        images.subset(10, 201)
    with pytest.raises(ValueError, match="n_train must be 1 to 600"):
        images.subset(0)


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
        (x, y * 0, x, y * 0 + 7),
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
