import pytest

import companion
from companion import _deprecated
from companion._deprecated import deprecated, version


@pytest.fixture(autouse=True)
def _nothing_is_kept(monkeypatch):
    monkeypatch.setattr(_deprecated, "DEPRECATED", dict(_deprecated.DEPRECATED))


def test_a_function_warns_its_caller_and_works():
    @deprecated(since="0.2", until="0.3", use="companion.new_name")
    def old_name(x, factor=2):
        """Multiply."""
        return x * factor

    message = r"^companion.old_name is deprecated since 0.2, and version 0.3 is without it: use companion.new_name$"
    with pytest.warns(DeprecationWarning, match=message) as caught:
        assert old_name(3, factor=5) == 15
    assert caught[0].filename == __file__
    assert (old_name.__name__, old_name.__doc__) == ("old_name", "Multiply.")
    assert _deprecated.DEPRECATED["old_name"] == "0.3"


def test_a_class_warns_and_stays_a_class():
    @deprecated(since="0.9", until="1.0", use="companion.New")
    class Old:
        def __init__(self, size):
            self.size = size

    with pytest.warns(DeprecationWarning, match=r"companion\.Old is deprecated since 0\.9") as caught:
        assert Old(7).size == 7
    assert caught[0].filename == __file__
    assert isinstance(Old, type)


@pytest.mark.parametrize(("since", "until"), [("0.2", "0.2"), ("0.2.0", "0.2.7"), ("1.0", "0.9"), ("1.3", "1.2")])
def test_nothing_goes_without_a_minor_version_of_warning(since, until):
    with pytest.raises(ValueError, match=f"it cannot go in {until} and be deprecated since {since}"):
        deprecated(since=since, until=until, use="b")


def test_what_was_to_go_is_gone():
    for name, until in _deprecated.DEPRECATED.items():
        assert version(companion.__version__) < version(until), f"{name} was to go in {until}: take it out"
