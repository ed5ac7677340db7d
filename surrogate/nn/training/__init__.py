"""Plain training: images, epochs that can be interrupted and resumed, checkpoints, accuracy."""

from surrogate.nn.training.checkpoint import CheckpointError, load_state, save_state
from surrogate.nn.training.digest import parameters_digest
from surrogate.nn.training.images import Images
from surrogate.nn.training.loop import Epoch, Recipe, Training, TrainingRun, accuracy, train
from surrogate.nn.training.seeding import seeded
from surrogate.nn.training.timing import step_times

__all__ = [
    "CheckpointError",
    "Epoch",
    "Images",
    "Recipe",
    "Training",
    "TrainingRun",
    "accuracy",
    "load_state",
    "parameters_digest",
    "save_state",
    "seeded",
    "step_times",
    "train",
]
