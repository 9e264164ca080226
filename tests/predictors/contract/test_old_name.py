"""The contract's old name, which the README of the last release printed."""

import importlib
import sys

import pytest

from predictors import contract


def test_the_old_import_works_and_warns_with_the_new_name() -> None:
    sys.modules.pop("predictors.protocol", None)
    with pytest.warns(DeprecationWarning, match="now called predictors.contract"):
        old = importlib.import_module("predictors.protocol")
    assert all(getattr(old, name) is getattr(contract, name) for name in contract.__all__)
