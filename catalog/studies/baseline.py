"""Networks that studies start from: trained in float, once for a folder, resumed epoch by epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from catalog.studies.study import Study, Told
    from surrogate.nn.training import Images, Recipe


def trained_network(
    study: Study, network: str, images: Images, recipe: Recipe, told: Told | None = None, seed: int | None = None
) -> Any:
    """Return a float network that is trained, in evaluation mode.

    The state after each epoch is kept in the study's folder: a finished network is read, an interrupted one goes on,
    bit for bit as if it had not been.

    Parameters
    ----------
    study : Study
        Whose folder holds the checkpoint.
    network : str
        As `surrogate.nn.networks.create_network` takes it.
    images : Images
    recipe : Recipe
    told : callable, optional
        ``told(stage, steps_done, steps)``.
    seed : int, optional
        Of the initial weights; that of the recipe if left out.

    Returns
    -------
    nn.Module

    Raises
    ------
    NetworkError
        If there is no such network, or none for such images.
    CheckpointError
        If the state there is damaged, or of another training.
    """
    from surrogate.nn.networks import create_network
    from surrogate.nn.training import Training

    seed = recipe.seed if seed is None else seed
    _, *shape = images.x_train.shape
    model = create_network(network, (shape[0], shape[1], shape[2]), images.n_classes, seed)
    stage = f"{network}: float training"
    progress = None if told is None else lambda done, steps: told(stage, done, steps)
    Training(model, images, recipe).run(progress, study.checkpoint(f"{network}_seed{seed}"))
    model.eval()
    return model
