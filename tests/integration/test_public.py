import importlib
import pkgutil

import pytest

import dinoscope
from dinoscope import errors
from dinoscope.base.text import did_you_mean
from dinoscope.errors import DinoscopeError, InputError


def test_public_names_are_few_and_there():
    assert len(dinoscope.__all__) <= 15
    assert dinoscope.__all__ == sorted(dinoscope.__all__)
    assert set(dinoscope.__all__) == set(dinoscope._HOME)
    for name in dinoscope.__all__:
        assert getattr(dinoscope, name).__doc__


def test_no_public_name_hides_a_module():
    modules = {module.name for module in pkgutil.iter_modules(dinoscope.__path__)}
    assert not modules & set(dinoscope.__all__)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = dinoscope.nothing


def test_names_that_moved_still_work_and_say_where_to():
    for name in ("Score", "knn_accuracy"):
        with pytest.warns(DeprecationWarning, match=rf"dinoscope\.{name} is now dinoscope\.analysis\."):
            assert getattr(dinoscope, name).__doc__


def test_every_module_says_what_it_is_for_and_what_it_offers():
    for module in pkgutil.walk_packages(dinoscope.__path__, "dinoscope."):
        loaded = importlib.import_module(module.name)
        assert loaded.__doc__, module.name
        assert all(hasattr(loaded, name) for name in loaded.__all__), module.name


def test_every_error_has_one_base():
    for name in errors.__all__:
        thing = getattr(errors, name)
        if isinstance(thing, type):
            assert issubclass(thing, DinoscopeError)
    assert issubclass(InputError, ValueError)


def test_near_names():
    assert did_you_mean("mini-fasion", ["mini-fashion", "other"]) == "; did you mean 'mini-fashion'?"
    assert did_you_mean("zzz", ["mini"]) == ""
