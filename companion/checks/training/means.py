"""Wrong losses, continued: what is lined up with what, and what is averaged."""

from __future__ import annotations

import torch
from torch import Tensor

from companion.checks.engine.bank import Bank
from companion.checks.training.loss import (
    LOSS,
    PADDING,
    averaged_over_all_positions,
    no_log_softmax,
    no_logarithm,
    padding_counted,
    right_loss,
    surprise,
)

MEAN_BUGS = Bank(section=LOSS)


@MEAN_BUGS.bug("After your reshape, does the column of position 0 still hold the logits of position 0?")
def reshaped_for_transposed(logits: Tensor, targets: Tensor, pad_id: int) -> Tensor:
    """The logits are reshaped to (batch, vocabulary, positions); a reshape does not move axes, it cuts the numbers
    anew. Use transpose(1, 2).
    """
    batch, positions, vocabulary = logits.shape
    return right_loss(logits.reshape(batch, vocabulary, positions).transpose(1, 2), targets, pad_id)


@MEAN_BUGS.bug("Which target belongs to the second row of your flattened logits?")
def logits_of_other_sentences(logits: Tensor, targets: Tensor, pad_id: int) -> Tensor:
    """The logits are transposed to (positions, batch, vocabulary) and the targets are not, so that flattening them
    lines up the logits of one sentence with the targets of another.
    """
    return right_loss(logits.transpose(0, 1).reshape(logits.shape), targets, pad_id)


@MEAN_BUGS.bug("Does cross_entropy want probabilities? And should the model be praised for predicting padding?")
def softmax_first_and_padding_counted(logits: Tensor, targets: Tensor, pad_id: int) -> Tensor:
    """The softmax is taken before cross-entropy, which takes its own, and the padding is counted. Give cross-entropy
    the logits, and leave out the targets that are pad_id.
    """
    return padding_counted.wrong(logits.softmax(dim=-1), targets, pad_id)


@MEAN_BUGS.bug("Is the logarithm of a mean the mean of the logarithms?")
def mean_before_logarithm(logits: Tensor, targets: Tensor, pad_id: int) -> Tensor:
    """Your loss takes the mean before the logarithm; average the logarithms of the probabilities."""
    return -torch.log(-no_logarithm.wrong(logits, targets, pad_id))


@MEAN_BUGS.bug("Logits are (batch, positions, vocabulary). What do the probabilities of one position sum to?")
def softmax_over_the_batch(logits: Tensor, targets: Tensor, pad_id: int) -> Tensor:
    """The softmax runs over the batch; it should run over the vocabulary, the last dimension."""
    return no_log_softmax.wrong(logits.log_softmax(dim=0), targets, pad_id)


@MEAN_BUGS.bug("What is the cross-entropy of logits that are all 0?", section=PADDING)
def logits_of_padding_zeroed(logits: Tensor, targets: Tensor, pad_id: int) -> Tensor:
    """The logits of padded positions are set to 0, and still count: each costs log(vocabulary). Leave those
    positions out of the mean.
    """
    return padding_counted.wrong(logits * (targets != pad_id)[..., None], targets, pad_id)


@MEAN_BUGS.bug(
    "By how many numbers do you divide, and how many targets are real?",
    also=(
        lambda logits, targets, pad_id: averaged_over_all_positions.wrong(logits, targets, pad_id) / logits.size(-1),
    ),
)
def averaged_over_the_vocabulary(logits: Tensor, targets: Tensor, pad_id: int) -> Tensor:
    """Your loss averages over the vocabulary as well: of each target's row only one number is not 0. Sum over the
    vocabulary, then average over the real targets.
    """
    return right_loss(logits, targets, pad_id) / logits.size(-1)


@MEAN_BUGS.bug("What do you divide by, and how many targets are real?", section=PADDING)
def divided_by_positions(logits: Tensor, targets: Tensor, pad_id: int) -> Tensor:
    """Your loss is divided by the number of positions in a sentence; divide it by the number of real targets."""
    return (surprise(logits, targets) * (targets != pad_id)).sum() / targets.size(1)
