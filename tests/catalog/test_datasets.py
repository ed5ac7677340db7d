import numpy as np
import pytest

from catalog.datasets import DatasetError, digits, read_images


def test_digits_are_split_with_every_class_in_both_parts():
    data = digits()
    assert data.x_train.shape == (1347, 8, 8)
    assert data.x_test.shape == (450, 8, 8)
    assert set(data.y_train) == set(data.y_test) == set(range(10))
    again = digits()
    np.testing.assert_array_equal(again.x_test, data.x_test)


def test_images_are_read(tmp_path):
    x, y = np.arange(32, dtype=np.uint8).reshape(2, 4, 4), np.array([0, 1])
    np.savez(tmp_path / "images.npz", x_train=x, y_train=y, x_test=x + 1, y_test=y)
    data = read_images(tmp_path / "images.npz")
    np.testing.assert_array_equal(data.x_test, x + 1)


def test_files_that_are_no_images_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.npz"):
        read_images(tmp_path / "nothing.npz")
    text = tmp_path / "text.npz"
    text.write_text("not an archive")
    with pytest.raises(DatasetError, match=r"text\.npz: is not an \.npz file"):
        read_images(text)
    half = tmp_path / "half.npz"
    np.savez(half, x_train=np.zeros(3))
    with pytest.raises(DatasetError, match="lacks y_train, x_test, y_test; it holds x_train"):
        read_images(half)
    single = tmp_path / "single.npz"
    with single.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(DatasetError):
        read_images(single)
    objects = tmp_path / "objects.npz"
    np.savez(objects, **{k: np.array([{}], dtype=object) for k in ("x_train", "y_train", "x_test", "y_test")})
    with pytest.raises(DatasetError, match="plain arrays"):
        read_images(objects)
