"""The starter comes from the solution."""

import nbformat
import pytest

from tools.exercises import pairs, starter

SOLUTION = '''\
# @title Solution
import math

# Two times.
def double_solution(x):
    """Return 2 x."""
    ### BEGIN SOLUTION
    total = math.fsum([x, x])
    return total
    ### END SOLUTION


check.double(double_solution)
'''

STARTER = '''\
import math

# Two times.
def double(x):
    """Return 2 x."""
    raise NotImplementedError("your turn")'''


def test_starter_keeps_imports_and_definitions_and_leaves_the_marked_part_to_do():
    assert starter(SOLUTION) == STARTER


def test_starter_renames_a_helper_wherever_it_is_called():
    solution = "\n".join(
        [
            "# @title Solution",
            "def add_solution(a, b):",
            "    ### BEGIN SOLUTION",
            "    return a + b",
            "    ### END SOLUTION",
            "",
            "def double_solution(x):",
            "    return add_solution(x, x)",
        ]
    )
    assert starter(solution).endswith("def double(x):\n    return add(x, x)")


CLASS = """\
# @title Solution
from torch import nn


class MyLayerSolution(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.width = width
        ### BEGIN SOLUTION
        self.linear = nn.Linear(width, width)
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        return self.linear(x)
        ### END SOLUTION


check.my_layer(MyLayerSolution)
"""

CLASS_STARTER = """\
from torch import nn


class MyLayer(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.width = width
        raise NotImplementedError("your turn")

    def forward(self, x):
        raise NotImplementedError("your turn")"""


def test_starter_of_a_class_drops_the_word_solution_and_keeps_every_method():
    assert starter(CLASS) == CLASS_STARTER


def test_solution_without_a_title_is_refused():
    with pytest.raises(ValueError, match="a solution's first line is '# @title Solution'"):
        starter(SOLUTION.removeprefix("# @title Solution\n"))


def test_solution_without_marks_is_refused():
    with pytest.raises(ValueError, match="stands between '### BEGIN SOLUTION' and '### END SOLUTION'"):
        starter("# @title Solution\ndef f(): ...")


def test_a_helper_whose_whole_name_is_solution_keeps_it():
    solution = "# @title Solution\nclass Solution:\n    ### BEGIN SOLUTION\n    x = 1\n    ### END SOLUTION"
    assert starter(solution).startswith("class Solution:")


def cell(tag):
    return nbformat.v4.new_code_cell(tag, metadata={"tags": [tag]})


def test_each_starter_goes_with_the_solution_after_it():
    cells = [cell(tag) for tag in ("starter", "other", "solution", "starter", "solution")]
    assert pairs(cells) == [(cells[0], cells[2]), (cells[3], cells[4])]


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        (["starter"], "no solution follows this starter"),
        (["starter", "starter", "solution"], "no solution follows this starter"),
        (["solution"], "no starter stands before this solution"),
    ],
)
def test_what_has_no_other_half_is_refused(tags, message):
    with pytest.raises(ValueError, match=message):
        pairs([cell(tag) for tag in tags])
