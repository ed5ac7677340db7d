"""Plain training: images, epochs that can be interrupted and resumed, checkpoints, accuracy, and hybrid schedules."""

from surrogate.nn.training.checkpoint import CheckpointError, load_state, save_state
from surrogate.nn.training.digest import parameters_digest
from surrogate.nn.training.hybrid import HybridTraining
from surrogate.nn.training.images import Images
from surrogate.nn.training.lightning import mode_callback
from surrogate.nn.training.loop import Epoch, Training, TrainingRun, accuracy, train
from surrogate.nn.training.plateau import PlateauRule, PlateauSwitch
from surrogate.nn.training.recipe import Recipe
from surrogate.nn.training.schedule import ModeSchedule, scheduled_epochs
from surrogate.nn.training.seeding import seeded
from surrogate.nn.training.switch_search import SwitchSearch, latest_switch
from surrogate.nn.training.timing import step_times

__all__ = [
    "CheckpointError",
    "Epoch",
    "HybridTraining",
    "Images",
    "ModeSchedule",
    "PlateauRule",
    "PlateauSwitch",
    "Recipe",
    "SwitchSearch",
    "Training",
    "TrainingRun",
    "accuracy",
    "latest_switch",
    "load_state",
    "mode_callback",
    "parameters_digest",
    "save_state",
    "scheduled_epochs",
    "seeded",
    "step_times",
    "train",
]
