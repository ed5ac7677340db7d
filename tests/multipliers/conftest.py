"""What the tests of the designs share: which designs are compared with an oracle, and how many."""

import pytest

import catalog


def pytest_generate_tests(metafunc):
    """Parametrise ``eight_bit_label``: the module's EIGHT, and 8-bit catalog entries of the families of its ORACLES.

    Entries that the module does not name itself are slow.
    """
    if "eight_bit_label" not in metafunc.fixturenames:
        return
    quick, families = metafunc.module.EIGHT, metafunc.module.ORACLES
    entries = [item.label for family in catalog.families() if family.family in families for item in family.entries]
    more = [label for label in entries if _of_eight_bits(label) and label not in quick]
    metafunc.parametrize("eight_bit_label", [*quick, *(pytest.param(x, marks=pytest.mark.slow) for x in more)])


def _of_eight_bits(label):
    design = catalog.entry(label).build()
    return design.a.bits == design.b.bits == 8


@pytest.fixture(scope="session")
def spread():
    """Function of many designs: some of them, the first, the last and evenly between."""

    def chosen(designs, n=8):
        return [designs[i * (len(designs) - 1) // (n - 1)] for i in range(n)] if len(designs) > n else designs

    return chosen
