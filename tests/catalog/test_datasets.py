import gzip
import io

import numpy as np
import pytest
from PIL import Image

from catalog.datasets import DatasetError, digits, load_images, read_images
from catalog.datasets.cifar import PIXELS
from catalog.datasets.idx import NAMES


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


def idx(array):
    """IDX file of bytes."""
    return bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


@pytest.fixture
def arrays():
    generator = np.random.default_rng(0)
    shapes = ((7, 5, 4), (7,), (3, 5, 4), (3,))
    return [generator.integers(0, 200, shape).astype(np.uint8) % (4 if len(shape) == 1 else 200) for shape in shapes]


@pytest.fixture
def idx_folder(tmp_path, arrays):
    arrays[1][0], arrays[3][0] = 3, 1
    for number, (name, array) in enumerate(zip(NAMES, arrays, strict=True)):
        compressed = number % 2 == 1
        (tmp_path / (name + ".gz" * compressed)).write_bytes(gzip.compress(idx(array)) if compressed else idx(array))
    return tmp_path


def test_idx_files_are_read_compressed_or_not(idx_folder, arrays):
    for found, expected in zip(read_images(idx_folder), arrays, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("number", "content", "message"),
    [
        (0, None, "needs train-images"),
        (0, b"", r"must begin with bytes 0 0 8 3"),
        (2, bytes((0, 0, 9, 3)) + bytes(12), r"must begin with bytes 0 0 8 3.*got \[0, 0, 9, 3\]"),
        (0, bytes((0, 0, 8, 3)) + np.array((7, 5, 4), ">u4").tobytes() + bytes(139), "7 x 5 x 4 values, and holds 139"),
        (1, b"\x1f\x8bdamaged", "is damaged"),
        (1, idx(np.zeros(6, np.uint8)), "7 images for training need as many"),
        (3, idx(np.full(3, 9, np.uint8)), "4 classes for training, but class 9 for testing"),
        (2, idx(np.zeros((3, 5, 5), np.uint8)), r"for training are \(5, 4\), for testing \(5, 5\)"),
    ],
)
def test_bad_idx_files_are_refused(idx_folder, number, content, message):
    path = next(idx_folder.glob(f"{NAMES[number]}*"))
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        read_images(idx_folder)


@pytest.mark.parametrize("labels", [1, 2], ids=["ten classes", "hundred"])
def test_binary_cifar_is_read(tmp_path, labels):
    train, test = (
        (["train.bin"], ["test.bin"])
        if labels == 2
        else ([f"data_batch_{i}.bin" for i in range(1, 6)], ["test_batch.bin"])
    )
    generator = np.random.default_rng(0)
    records = {name: generator.integers(0, 9, (2, labels + PIXELS)).astype(np.uint8) for name in (*train, *test)}
    records[train[0]][0, labels - 1] = 9
    for name, data in records.items():
        (tmp_path / name).write_bytes(data.tobytes())
    images = read_images(tmp_path)
    whole = np.concatenate([records[name] for name in train])
    assert images.x_train.shape == (2 * len(train), 32, 32, 3)
    for row, column, colour in ((0, 0, 0), (3, 5, 1), (31, 30, 2)):
        expected = whole[:, labels + 1024 * colour + 32 * row + column]
        np.testing.assert_array_equal(images.x_train[:, row, column, colour], expected)
    np.testing.assert_array_equal(images.y_train, whole[:, labels - 1])
    np.testing.assert_array_equal(images.y_test, records[test[0]][:, labels - 1])
    (tmp_path / test[0]).write_bytes(b"123")
    with pytest.raises(DatasetError, match="has 3 bytes, not a number of records"):
        read_images(tmp_path)
    (tmp_path / test[0]).unlink()
    with pytest.raises(DatasetError, match=f"lacks {test[0]}"):
        read_images(tmp_path)


def jpeg(value, size=8):
    buffer = io.BytesIO()
    Image.fromarray(np.full((size, size, 3), value, np.uint8)).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def jpeg_archive(path, files, y, **changes):
    """Write an archive with the same JPEG files for training and testing."""
    joined = np.frombuffer(b"".join(files), np.uint8)
    offsets = np.cumsum([0, *map(len, files)])
    members = {"jpg_train": joined, "off_train": offsets, "y_train": y}
    members |= {"jpg_test": joined, "off_test": offsets, "y_test": y}
    np.savez(path, **(members | changes))


def test_jpeg_archives_are_decoded(tmp_path):
    jpeg_archive(tmp_path / "x.npz", [jpeg(0), jpeg(100), jpeg(255)], np.array([0, 1, 2]))
    images = load_images(tmp_path / "x.npz")
    assert images.x_test.shape == (3, 8, 8, 3)
    np.testing.assert_allclose(images.x_train.mean(axis=(1, 2, 3)), [0, 100, 255], atol=2)


@pytest.mark.parametrize(
    ("files", "changes", "message"),
    [
        ([jpeg(0), b"no picture"], {}, "jpg_train: image 1 cannot be decoded"),
        ([jpeg(0), jpeg(0)[:200]], {}, "jpg_train: image 1 cannot be decoded"),
        ([jpeg(0), jpeg(0, 16)], {}, r"image 1 is \(16, 16, 3\), the first \(8, 8, 3\)"),
        ([jpeg(0), jpeg(0)], {"off_test": np.array([0, 9, 9])}, "jpg_test: its offsets must grow"),
        ([jpeg(0), jpeg(0)], {"off_train": np.array([0.0, 9.0])}, "jpg_train: its offsets must be two integers"),
        ([jpeg(0), jpeg(0)], {"jpg_train": np.zeros(3)}, "jpg_train: must be bytes"),
        ([jpeg(0), jpeg(0)], {"y_test": np.array([0, 5])}, "2 classes for training, but class 5"),
        ([jpeg(0)] * 3, {}, "3 images for training need as many integer labels"),
    ],
)
def test_bad_jpeg_archives_are_refused(tmp_path, files, changes, message):
    jpeg_archive(tmp_path / "x.npz", files, np.array([0, 1]), **changes)
    with pytest.raises(DatasetError, match=message):
        read_images(tmp_path / "x.npz")


def test_folders_of_other_things_are_refused(tmp_path):
    with pytest.raises(DatasetError, match="holds neither IDX files"):
        read_images(tmp_path)
    (tmp_path / "data_batch_1").write_bytes(b"")
    with pytest.raises(DatasetError, match="take the binary version"):
        read_images(tmp_path)


def test_fingerprints_tell_data_apart():
    images = digits()
    assert images.fingerprint() == load_images("digits").fingerprint()
    assert images._replace(y_test=images.y_test[::-1]).fingerprint() != images.fingerprint()
