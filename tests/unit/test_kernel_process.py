"""The kernel is compiled elsewhere; until then, and without it, the model of record solves."""

from __future__ import annotations

import sys

import pytest

from engine.optimization.kernel.process import KernelCompiler
from engine.optimization.routed import Route, RoutedOptimizer
from tests.property.kernel_cases import random_instance


def test_ready_once_the_process_has_ended_well() -> None:
    compiler = KernelCompiler((sys.executable, "-c", ""))
    assert compiler.wait(60.0)
    assert compiler.ready()


@pytest.mark.parametrize("command", [(sys.executable, "-c", "raise SystemExit(3)"), ("/nowhere",)])
def test_never_ready_when_it_cannot_be_compiled(command: tuple[str, ...]) -> None:
    compiler = KernelCompiler(command)
    assert not compiler.wait(60.0)
    assert not compiler.ready()


def test_compiling_goes_on_beside_and_ends_with_the_program() -> None:
    compiler = KernelCompiler((sys.executable, "-c", "import time; time.sleep(600)"))
    assert not compiler.ready()
    assert not compiler.wait(0.0)
    compiler.stop()
    assert not compiler.ready()
    stopped_before = KernelCompiler((sys.executable, "-c", ""))
    stopped_before.stop()
    assert not stopped_before.wait(0.0)


def test_until_the_kernel_is_there_the_model_of_record_solves_and_says_so() -> None:
    optimizer = RoutedOptimizer(Route.KERNEL, ready=lambda: False)
    solution = optimizer.solve(random_instance(3))
    assert solution.solver.startswith("HIGHS")
    assert solution.solver.endswith("kernel: not compiled yet")
