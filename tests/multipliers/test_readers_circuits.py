import pytest

from multipliers.errors import NetlistError, ParameterError
from multipliers.readers.circuits import ReaderOptions, check_options, read_c_function, read_circuit

BLIF = """.model {name}
.inputs {inputs}
.outputs {outputs}
.names a1 b1 p2
11 1
.names a0 b0 p0
11 1
.names a0 b1 p1
11 1
.names {last} p3
{value}
.end
"""


def write(folder, name="circuit", inputs="b0 b1 a0 a1", outputs="p0 p1 p2 p3"):
    path = folder / f"{name}.blif"
    path.write_text(BLIF.format(name=name, inputs=inputs, outputs=outputs, last="a0", value="1 1"))
    return path


def test_names_of_evoapproxlib_state_the_formats(tmp_path):
    """A 2 x 2 circuit so inexact that signs cannot be guessed."""
    multiplier = read_circuit(write(tmp_path, "mul2s_XYZ"))
    assert (multiplier.a.label, multiplier.b.label) == ("2s", "2s")
    assert int(multiplier(1, 1)) == -7
    assert read_circuit(write(tmp_path, "mul2u_XYZ"))(1, 1) == 9
    assert read_circuit(write(tmp_path, "mul2u_XYZ"), "2s").a.label == "2s"
    with pytest.raises(NetlistError, match="pass a= and b="):
        read_circuit(write(tmp_path, "circuit"))
    with pytest.raises(NetlistError, match="pass a= and b="):
        read_circuit(write(tmp_path, "mul8u_XYZ"))  # a name that is not that of these ports


def test_ports_are_stated(tmp_path):
    path = write(tmp_path)
    swapped = read_circuit(path, "2u", options=ReaderOptions(ports=("b", "a", "p")))
    assert int(swapped(1, 2)) == int(read_circuit(path, "2u")(2, 1)) == 0
    assert int(swapped(2, 1)) == 2 + 8
    with pytest.raises(NetlistError, match=r"inputs of 'circuit' are \['b', 'a'\]"):
        read_circuit(path, "2u", options=ReaderOptions(ports=("x", "a")))
    with pytest.raises(NetlistError, match=r"'o' is no output port .*'p' \(4 bits\)"):
        read_circuit(path, "2u", options=ReaderOptions(ports=("a", "b", "o")))
    for ports in ((), ("a",), ("a", ""), ("a", "b", "c", "d")):
        with pytest.raises(ParameterError, match="two or three names"):
            ReaderOptions(ports=ports)


@pytest.mark.parametrize(
    ("suffix", "options", "takers"),
    [
        (".blif", {"function": "f"}, r"option function; that is for \.c, \.cc, \.cpp, \.cxx"),
        (".c", {"top": "m"}, r"option top; that is for \.v, \.sv, \.blif, \.json"),
        (".aig", {"liberty": "cells.lib"}, "option liberty; that is for"),
        (".json", {"parameters": {"N": 1}}, r"option parameters; that is for \.v, \.sv"),
        (".csv", {"ports": ("a", "b")}, "option ports; that is for"),
    ],
)
def test_options_of_other_files_are_refused(suffix, options, takers, tmp_path):
    path = tmp_path / f"file{suffix}"
    with pytest.raises(ParameterError, match=takers):
        check_options(path, ReaderOptions(**options))
    with pytest.raises(ParameterError, match=takers):
        (read_c_function if suffix == ".c" else read_circuit)(path, options=ReaderOptions(**options))


def test_suffixes_that_are_no_circuit(tmp_path):
    with pytest.raises(ParameterError, match=r"cannot tell .*; read are \.v, \.sv, "):
        read_circuit(tmp_path / "circuit.vhd")
