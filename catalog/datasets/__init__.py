"""Images to train on: the digits that scikit-learn carries, and the user's own files."""

from catalog.datasets.arrays import DatasetError, ImageArrays
from catalog.datasets.digits import digits
from catalog.datasets.read import load_images, read_images

__all__ = ["DatasetError", "ImageArrays", "digits", "load_images", "read_images"]
