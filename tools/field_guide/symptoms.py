"""What a reader sees first, and the test that goes with it: the way into the guide."""

import inspect
import re

from companion.checks import how_far

from . import own_tests

# By the name of a test in `own_tests`, or of something that `asking` finds by other means.
SYMPTOMS = {
    "sizes": (
        "It works for some sizes only, or its shape or dtype is wrong",
        "Call it with sizes that all differ, such as 2 items, 3 heads, 5 queries, 7 keys, 11 features of a key and 13 "
        "of a value. Square inputs hide a wrong axis, and a batch of one hides two.",
    ),
    "nan": (
        "NaN, or infinity",
        "Look for the first step that has one: a softmax over a row of -inf, 0 times infinity, a logarithm or a root "
        "of what may be 0 or negative.",
    ),
    "rows_sum_to_one": (
        "Rows of the attention weights do not sum to 1",
        "Look under a causal mask and on a padded batch: without a mask some of these bugs do not show.",
    ),
    "hides": (
        "The loss is too good, and generation is noise: a token sees what it may not",
        "Change one token and see which outputs move. Do it under a causal mask and on a padded batch, in train and in "
        "eval mode, and with random numbers in every bias. Two calls in train mode draw different dropout, and then "
        "everything moves: the test seeds each call alike. Neither the loss nor the row sums tell.",
    ),
    "shows": (
        "A token does not see what it may",
        "The same experiment, read the other way: what a mask allows must move the output.",
    ),
    "items_do_not_meet": (
        "One item of a batch moves another",
        "An evaluation then depends on what else is in the batch. This too can be asked in train mode, since each call "
        "is seeded alike.",
    ),
    "tokens_do_not_meet": (
        "Tokens are mixed where each should be treated by itself",
        "Only attention mixes. A norm and a feed-forward network do not, nor do splitting into heads and merging, one "
        "after the other.",
    ),
    "order_does_not_matter": (
        "Without positions, the order of the tokens matters",
        "Self-attention without a mask is equivariant: shuffled tokens give shuffled outputs.",
    ),
    "without_gradient": (
        "A parameter never changes",
        "Draw every parameter at random first: a gain of 1 or a weight of 0 can hide that it is not used.",
    ),
    "tokens_are_normalised": (
        "The tokens that leave a layer are not normalised",
        "This is about post-norm layers, which end with a norm. Set its gain to 1 and its shift to 0.",
    ),
    "fresh": (
        "It is right on a fresh layer, and wrong on a trained one",
        "Gains of 1 and biases of 0 hide that they are missing, swapped or shared. Compare with random ones.",
    ),
    "is_a_table_of_sinusoids": ("The table of positions is off", "Three properties tell without a right table."),
    "turns": ("Rotary positions do not turn", "A turn keeps lengths, and scores depend on the distance alone."),
    "loss_is_as_expected": (
        "The loss does not begin where it should",
        "A model that knows nothing has the logarithm of the number of classes; one that is sure and right has 0.",
    ),
    "rate_is_as_expected": ("The learning rate has another shape", "Print it at five steps before you train."),
    "ids_are_well_formed": (
        "What is decoded begins or ends in a wrong way",
        "It tells nothing about what the model was given; a model of one fixed sentence does.",
    ),
    "none": (
        "None of these tests sees it",
        "A wrong scale or a wrong order of features gives a layer with all the right properties. Only numbers tell: "
        "load the same random parameters into a right layer and compare, values and gradients.",
    ),
}


HELPERS = {"hides": (how_far, own_tests.alike, own_tests.each_token)}  # shown above a test; those below it use them too


def code(name: str) -> str:
    """Return the test's source, or nothing if it has none."""
    test = getattr(own_tests, name, None)
    shown = [*HELPERS.get(name, ()), *([test] if test else [])]
    # What the type checker is told is not for the reader.
    sources = [re.sub(r"  # type: ignore.*", "", inspect.getsource(each)).rstrip() for each in shown]
    return "\n\n\n".join(sources)
