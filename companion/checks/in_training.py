"""How bugs must show in training where that can be proved: the sentences that several bugs share.

They hold for a model that is trained from scratch with the layers of this course.
"""

RENAMED = (
    "Derived: it trains as the right one does; the same parameters have other names, or are transposed. It shows when"
    " weights are loaded that something else has trained."
)
RENUMBERED = (
    "Derived: it trains as the right one does, because the learned matrices before and after it can number the "
    "features in the same way. It shows when weights are loaded that something else has trained."
)
FACTOR = (
    "Derived: learned projections can make up for a constant factor of the scores, so what differs is the start: how "
    "large the scores are, and how much gradient the softmax lets through."
)
FLOOR = "Derived: at 1000 classes the loss cannot fall below 5.91, which is log(e + 999) - 1, however long it trains."
FINITE_FILL = (
    "Derived: in float32 not at all as long as each query may attend to something; the weights are then the same to "
    "the last digit. In float16 -1e9 does not fit."
)
