"""Options that all studies share, and how these begin."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from surrogate.nn.training import Images

Data = Annotated[
    str,
    typer.Option(
        metavar="PATH",
        help="Images: an .npz archive, or a folder of IDX or binary CIFAR files; digits are those of scikit-learn.",
    ),
]
Network = Annotated[
    str, typer.Option(metavar="NAME", help="lenet5, resnet8, resnet20, vgg11, ...; -wN after it is its width.")
]
Multipliers = Annotated[
    list[str] | None,
    typer.Option(
        "-m", "--multiplier", metavar="SPEC", help="Instead of the usual ones; as for characterise. Repeatable."
    ),
]
Epochs = Annotated[int, typer.Option(metavar="N", min=1, help="Epochs of float training.")]
Steps = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Steps of an epoch; by default one pass over the images.")
]
Rate = Annotated[float, typer.Option("--learning-rate", metavar="X", min=0, help="Of float training, at its start.")]
QuantisedEpochs = Annotated[int, typer.Option(metavar="N", min=0, help="Epochs of quantised training.")]
LaterRate = Annotated[
    float, typer.Option("--later-rate", metavar="X", min=0, help="Of training after that in float, at its start.")
]
BatchSize = Annotated[int, typer.Option(metavar="N", min=1, help="Images a step.")]
Augment = Annotated[
    bool, typer.Option("--augment", help="Move and mirror the images of float training, as is usual for photographs.")
]
Seeds = Annotated[int, typer.Option(metavar="N", min=1, help="Repetitions, from seeds 0 to N-1.")]
TrainImages = Annotated[int | None, typer.Option(metavar="N", min=1, help="Train with the first N images only.")]
TestImages = Annotated[int | None, typer.Option(metavar="N", min=1, help="Test with the first N images only.")]
Output = Annotated[
    Path, typer.Option("-o", "--output", metavar="FOLDER", help="Where the study is kept, and resumed from.")
]


@dataclass(frozen=True)
class StudyData:
    """Images of a study, and the settings that say which they are.

    Attributes
    ----------
    images : Images
    settings : dict
        Name, fingerprint and numbers of images, for `catalog.studies.study.Study`.
    """

    images: Images
    settings: dict[str, Any]


def load_data(data: str, n_train: int | None, n_test: int | None) -> StudyData:
    """Read the images of a study.

    Raises
    ------
    CommandError
        If fewer images are there than asked for.
    """
    from catalog.cli.errors import CommandError
    from catalog.datasets import load_images
    from surrogate.nn.training import Images

    arrays = load_images(data)
    for option, wanted, have in (("train", n_train, len(arrays.y_train)), ("test", n_test, len(arrays.y_test))):
        if wanted is not None and wanted > have:
            raise CommandError(f"--{option}-images {wanted}: {data} has {have}")
    images = Images.from_arrays(*arrays).subset(n_train, n_test)
    settings = {
        "data": Path(data).name,
        "data_sha256": arrays.fingerprint(),
        "train_images": len(images.y_train),
        "test_images": len(images.y_test),
    }
    return StudyData(images, settings)
