"""Wrong losses."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from companion.checks import in_training
from companion.checks.engine.bank import Bank, section

LOSS = section("transformer", "The loss, and where it ends")
PADDING = section("transformer", "Padding in the loss")

LOSS_BUGS = Bank(section=LOSS)


# --- loss(logits, targets, pad_id): mean cross-entropy over the targets that are not padding


def right_loss(logits: Tensor, targets: Tensor, pad_id: int) -> Tensor:
    """Average the negative log-probability of the real targets."""
    real = targets != pad_id  # (B, T)
    return (_surprise(logits, targets) * real).sum() / real.sum()


def _surprise(logits: Tensor, targets: Tensor) -> Tensor:
    """Return minus the log-probability of each target, (B, T)."""
    return -logits.log_softmax(dim=-1).gather(-1, targets[..., None]).squeeze(-1)


surprise = _surprise  # for `training_loss_means`


@LOSS_BUGS.bug("Should the model be praised for predicting padding?", section=PADDING)
def padding_counted(logits: Tensor, targets: Tensor, pad_id: int) -> Tensor:
    """The padding is counted: your loss averages over all positions, padding included. Leave out the targets that
    are pad_id.
    """
    return _surprise(logits, targets).mean()


@LOSS_BUGS.bug(
    "What do you divide by, and how many targets are real?",
    section=PADDING,
    derived="Derived: the loss and the gradient of a batch shrink with the share of its padding.",
)
def averaged_over_all_positions(logits: Tensor, targets: Tensor, pad_id: int) -> Tensor:
    """The padding is zeroed, but the average is still over all positions: divide by the number of real targets."""
    return (_surprise(logits, targets) * (targets != pad_id)).mean()


@LOSS_BUGS.bug("A batch twice as large should not have a loss twice as large.")
def sum_for_mean(logits: Tensor, targets: Tensor, pad_id: int) -> Tensor:
    """Your loss is a sum; it should be the mean over the real targets."""
    return (_surprise(logits, targets) * (targets != pad_id)).sum()


@LOSS_BUGS.bug("Should a token in a short sentence weigh more than one in a long sentence?", section=PADDING)
def mean_of_sentence_means(logits: Tensor, targets: Tensor, pad_id: int) -> Tensor:
    """Your loss averages each sentence first, and then the sentences: short ones count for too much. Average over
    all real targets at once.
    """
    real = targets != pad_id
    return ((_surprise(logits, targets) * real).sum(dim=1) / real.sum(dim=1)).mean()


@LOSS_BUGS.bug("What do you divide by, and how many targets are real?", section=PADDING)
def divided_by_batch(logits: Tensor, targets: Tensor, pad_id: int) -> Tensor:
    """Your loss is divided by the number of sentences; it should be divided by the number of real targets."""
    return (_surprise(logits, targets) * (targets != pad_id)).sum() / len(targets)


@LOSS_BUGS.bug("Does cross_entropy want probabilities, or the numbers before the softmax?", derived=in_training.FLOOR)
def softmax_before_cross_entropy(logits: Tensor, targets: Tensor, pad_id: int) -> Tensor:
    """The softmax is taken twice: cross-entropy takes logits and does its own, so do not take one before it."""
    return right_loss(logits.softmax(dim=-1), targets, pad_id)


@LOSS_BUGS.bug(
    "nll_loss wants log-probabilities. What do you give it?",
    derived="Derived: the loss falls below 0 and goes on falling without end; raising the target's logit for ever"
    " lowers it for ever.",
)
def no_log_softmax(logits: Tensor, targets: Tensor, pad_id: int) -> Tensor:
    """There is no softmax: your loss is minus the logit of the target. It should be minus its log-probability."""
    real = targets != pad_id
    return -(logits.gather(-1, targets[..., None]).squeeze(-1) * real).sum() / real.sum()


@LOSS_BUGS.bug(
    "nll_loss wants log-probabilities. What do you give it?",
    also=(lambda logits, targets, pad_id: 1 + _minus_probability(logits, targets, pad_id),),
    derived="Derived: the loss lies between -1 and 0, and a confident mistake has hardly any gradient: p (1 - p) "
    "for a probability p.",
)
def no_logarithm(logits: Tensor, targets: Tensor, pad_id: int) -> Tensor:
    """There is no logarithm: your loss averages minus the probability of the target; it should be minus its
    logarithm.
    """
    return _minus_probability(logits, targets, pad_id)


def _minus_probability(logits: Tensor, targets: Tensor, pad_id: int) -> Tensor:
    return no_log_softmax.wrong(logits.softmax(dim=-1), targets, pad_id)


@LOSS_BUGS.bug("Logits are (batch, positions, vocabulary). What do the probabilities of one position sum to?")
def softmax_over_positions(logits: Tensor, targets: Tensor, pad_id: int) -> Tensor:
    """The softmax runs over the positions of a sentence; it should run over the vocabulary, the last dimension."""
    return no_log_softmax.wrong(logits.log_softmax(dim=1), targets, pad_id)


@LOSS_BUGS.bug("A reshape never moves numbers past each other; after a transpose it gathers the wrong ones.")
def reshaped_after_transpose(logits: Tensor, targets: Tensor, pad_id: int) -> Tensor:
    """Logits and targets are lined up wrongly: the logits are transposed and then reshaped, which mixes positions
    and vocabulary.
    """
    return right_loss(logits.transpose(1, 2).reshape(logits.shape), targets, pad_id)


@LOSS_BUGS.bug("Does pad_id appear in your code?", section=PADDING, derived="Derived: not at all while pad_id is 0.")
def loss_takes_pad_id_for_zero(logits: Tensor, targets: Tensor, pad_id: int) -> Tensor:
    """Your loss ignores id 0, whatever pad_id is."""
    return right_loss(logits, targets, 0)


@LOSS_BUGS.bug("Which targets does your selection keep?", section=PADDING)
def only_padding_counted(logits: Tensor, targets: Tensor, pad_id: int) -> Tensor:
    """Your loss averages over the padding instead of over the real targets."""
    padded = targets == pad_id
    return (_surprise(logits, targets) * padded).sum() / padded.sum()


@LOSS_BUGS.bug("The caller gives the logits of position t and the token that should come there.")
def shifted_once_more(logits: Tensor, targets: Tensor, pad_id: int) -> Tensor:
    """The targets are shifted against the logits: here they belong together position by position, the shift is
    already done.
    """
    return right_loss(logits[:, :-1], targets[:, 1:], pad_id)


@LOSS_BUGS.bug(
    "Should a better model have a larger or a smaller loss?",
    derived="Derived: the loss falls below 0 and goes on falling without end; it is lowest where the right token "
    "is least likely.",
)
def sign_missing(logits: Tensor, targets: Tensor, pad_id: int) -> Tensor:
    """The sign is missing: your loss is the mean log-probability, which training would make smaller. Take minus it."""
    return -right_loss(logits, targets, pad_id)


@LOSS_BUGS.bug(
    "Which logarithm do you take?",
    derived="Derived: loss and gradients are 1.44 times the right ones, a factor of the rate.",
)
def bits_for_nats(logits: Tensor, targets: Tensor, pad_id: int) -> Tensor:
    """Your loss is in bits, with log base 2; the cross-entropy here is in nats, with the natural logarithm."""
    return right_loss(logits, targets, pad_id) / math.log(2)


@LOSS_BUGS.bug("Is there an exp around your mean?")
def perplexity_for_loss(logits: Tensor, targets: Tensor, pad_id: int) -> Tensor:
    """Your loss is a perplexity, exp of the cross-entropy; return the cross-entropy itself."""
    return right_loss(logits, targets, pad_id).exp()


@LOSS_BUGS.bug("Which arguments do you pass on to cross_entropy?")
def labels_smoothed(logits: Tensor, targets: Tensor, pad_id: int) -> Tensor:
    """Your loss smooths the labels, by 0.1; this one should not."""
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=pad_id, label_smoothing=0.1)


@LOSS_BUGS.bug(
    "Which function gives the logarithm of a softmax without ever computing log(0)?",
    also=tuple(
        lambda logits, targets, pad_id, eps=eps: _loss_with_epsilon(logits, targets, pad_id, eps)
        for eps in (1e-6, 1e-7, 1e-8, 1e-10, 1e-12)
    ),
)
def epsilon_in_the_logarithm(logits: Tensor, targets: Tensor, pad_id: int) -> Tensor:
    """A small number is added inside the logarithm, log(p + 1e-9) or the like: the loss of a confident mistake is
    capped and its gradient lost. Take log_softmax of the logits.
    """
    return _loss_with_epsilon(logits, targets, pad_id, 1e-9)


def _loss_with_epsilon(logits: Tensor, targets: Tensor, pad_id: int, eps: float) -> Tensor:
    return no_log_softmax.wrong(torch.log(logits.softmax(dim=-1) + eps), targets, pad_id)
