import pytest


@pytest.mark.long
def test_left_out(): ...


@pytest.mark.long(keep=2)
@pytest.mark.parametrize("number", range(5))
def test_two_of_five(number): ...


@pytest.mark.parametrize("number", [1, pytest.param(2, marks=pytest.mark.long), 3])
def test_all_but_one(number): ...


@pytest.fixture(params=["own", "other"])
def each_python(request): ...


def test_own(each_python): ...


@pytest.mark.smoke
def test_both(each_python): ...
