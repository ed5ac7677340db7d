"""The digits that come with scikit-learn."""

from __future__ import annotations

from catalog.datasets.arrays import ImageArrays


def digits() -> ImageArrays:
    """Return the 1,797 hand-written digits of 8 x 8 pixels that come with scikit-learn.

    Three in four are for training, as `sklearn.model_selection.train_test_split` draws them with seed 0. Alpaydin,
    Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    data = load_digits()
    x_train, x_test, y_train, y_test = train_test_split(
        data.images, data.target, test_size=0.25, random_state=0, stratify=data.target
    )
    return ImageArrays(x_train, y_train, x_test, y_test)
