"""The fastest way of computing a layer: measured once a class of shapes; never another result."""

import time

import pytest
import torch
from torch import nn

import multipliers
import surrogate
from surrogate.nn import ApproxConfig, approximate_, calibrate
from surrogate.nn.compiled.choice import chosen_ways, fastest, forget_choices, size_class
from surrogate.nn.native import available_kernels, library


@pytest.fixture(autouse=True)
def nothing_chosen():
    forget_choices()
    yield
    forget_choices()


def test_each_class_is_measured_once():
    calls = []

    def way(name, seconds):
        def run():
            calls.append(name)
            time.sleep(seconds)
            return name

        return run

    ways = {"slow": way("slow", 0.02), "fast": way("fast", 0.0)}
    assert [fastest(ways, "shape") for _ in range(3)] == ["fast"] * 3
    assert calls.count("slow") == 3
    assert fastest(ways, "another shape") == "fast"
    assert calls.count("slow") == 6
    assert chosen_ways() == {"shape": "fast", "another shape": "fast"}


def test_a_class_with_other_ways_is_measured_by_itself():
    """What was the fastest need not be there again: another kernel may run, or factors may be wider."""
    ways = {"at once": lambda: "at once", "slowly": lambda: time.sleep(0.01) or "slowly"}
    assert fastest(ways, "shape") == "at once"
    del ways["at once"]
    assert fastest({**ways, "more slowly": lambda: time.sleep(0.05)}, "shape") == "slowly"


def test_a_single_way_is_not_measured():
    calls = []
    fastest({"only": lambda: calls.append(1)}, "shape")
    assert len(calls) == 1
    assert not chosen_ways()


def test_sizes_between_powers_of_two_are_of_one_class():
    assert size_class(33, 64) == size_class(64, 40) != size_class(65, 40)


@pytest.mark.skipif(available_kernels() == ("torch",), reason="there is no compiled library here")
@pytest.mark.parametrize("chosen", ["table", "products", "dot"])
@pytest.mark.parametrize("label", ["trunc8s_t2", "bam8s_h0v4", "drum8u_k4", "bam8u_h2v5"])
def test_the_choice_changes_no_bit(monkeypatch, label, chosen):
    if chosen == "dot" and not library.has_dot_products():
        pytest.skip("this processor has no int8 dot products beside the table kernel")
    model = surrogate.discover(multipliers.get(label), terms=40)
    torch.manual_seed(0)
    layer, x = nn.Conv2d(3, 9, 3, padding=1), torch.randn(2, 3, 12, 11)
    approximate_(layer, ApproxConfig(surrogate=model))
    calibrate(layer, [x])
    results = []
    for kernel in ("torch", ""):
        monkeypatch.setenv(library.VARIABLE, kernel)
        monkeypatch.setattr("surrogate.nn.layers.layer.fastest", lambda ways, _: ways[chosen]())
        leaf = x.clone().requires_grad_()
        layer.zero_grad()
        y = layer(leaf)
        y.square().sum().backward()
        results.append((y.detach(), leaf.grad, layer.weight.grad.clone(), layer.bias.grad.clone()))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.skipif(available_kernels() == ("torch",), reason="there is no compiled library here")
def test_a_layer_chooses_by_measuring(monkeypatch):
    monkeypatch.delenv(library.VARIABLE, raising=False)
    layer, x = nn.Linear(64, 64), torch.randn(100, 64)
    approximate_(layer, ApproxConfig(surrogate=surrogate.discover(multipliers.get("trunc8s_t2"))))
    calibrate(layer, [x])
    layer(x)
    assert list(chosen_ways().values()) in (["table"], ["products"], ["dot"])
    layer(x)
    assert len(chosen_ways()) == 1


@pytest.mark.skipif(not library.has_dot_products(), reason="this processor has no int8 dot products")
def test_products_alone_include_those_of_compiled_code(monkeypatch):
    """Backend "lowrank" looks nothing up."""
    monkeypatch.delenv(library.VARIABLE, raising=False)
    layer, x = nn.Linear(33, 20), torch.randn(9, 33)
    approximate_(layer, ApproxConfig(multiplier=multipliers.get("trunc8s_t2"), backend="lowrank"))
    calibrate(layer, [x])
    offered = {}
    monkeypatch.setattr("surrogate.nn.layers.layer.fastest", lambda ways, _: offered.update(ways) or ways["dot"]())
    y = layer(x)
    assert list(offered) == ["dot", "products"]
    assert torch.equal(y, offered["products"]())
