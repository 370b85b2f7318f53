"""How a bug shows in training: measured, by the experiment `bugs_in_training`; derived as well, where it can be proved.

A derived sentence holds for a model that is trained from scratch with the layers of this course.
"""

from . import ends

_RENAMED = (
    "Derived: it trains as the right one does; the same parameters have other names, or are transposed. It shows when "
    "weights are loaded that something else has trained."
)
_RENUMBERED = (
    "Derived: it trains as the right one does, because the learned matrices before and after it can number the "
    "features in the same way. It shows when weights are loaded that something else has trained."
)
_FACTOR = (
    "Derived: learned projections can make up for a constant factor of the scores, so what differs is the start: how "
    "large the scores are, and how much gradient the softmax lets through."
)
_NORM_CANCELS = "Derived: the norm that follows cancels the factor, up to epsilon, so that hardly anything shows."
_ALMOST_ALIKE = "Derived: it shows only in tokens whose features are almost alike; for others epsilon hardly counts."
_EQUAL_LENGTHS = (
    "Derived: not at all, since queries and keys are equally many while training. It shows when a cache decodes."
)
_NEVER_TRAINED = "Derived: not at all, since decoding is no part of training. It shows in what is written."
_NO_CACHE = "Derived: not at all, as long as training uses no cache. It shows when a cache decodes."
_FLOOR = "Derived: at 1000 classes the loss cannot fall below 5.91, which is log(e + 999) - 1, however long it trains."
_NO_FLOOR = "Derived: the loss falls below 0 and goes on falling without end; "

DERIVED = {
    ("attention", "no_scaling"): _FACTOR,
    ("attention", "divided_by_d_k"): _FACTOR,
    ("attention", "multiplied_by_root_d_k"): _FACTOR,
    ("attention", "divided_by_root_of_heads"): _FACTOR,
    ("attention", "divided_by_root_d_model"): _FACTOR,
    ("attention", "divided_by_root_d_v"): _FACTOR,
    ("multi_head", "scores_not_scaled"): _FACTOR,
    ("multi_head", "scaled_by_d_model"): _FACTOR,
    ("multi_head", "scaled_by_num_heads"): _FACTOR,
    ("multi_head", "scaled_by_d_k"): _FACTOR,
    ("multi_head", "queries_and_keys_swapped"): _RENAMED,
    ("multi_head", "queries_and_values_swapped"): _RENAMED,
    ("multi_head", "keys_and_values_swapped"): _RENAMED,
    ("multi_head", "weights_not_transposed"): _RENAMED,
    ("multi_head", "output_weight_not_transposed"): _RENAMED,
    ("multi_head", "no_weight_transposed"): _RENAMED,
    ("multi_head", "heads_interleaved"): _RENUMBERED,
    ("multi_head", "split_interleaved"): _RENUMBERED,
    ("multi_head", "merged_interleaved_heads"): _RENUMBERED,
    ("multi_head", "order_of_heads_reversed"): _RENUMBERED,
    ("split_heads", "heads_reversed"): _RENUMBERED,
    ("split_heads", "split_interleaved"): _RENUMBERED,
    ("merge_heads", "merged_interleaved"): _RENUMBERED,
    ("merge_heads", "merged_in_reverse"): _RENUMBERED,
    ("positional", "sines_then_cosines"): _RENUMBERED,
    ("positional", "cosines_then_sines"): _RENUMBERED,
    ("positional", "sine_and_cosine_swapped"): _RENUMBERED,
    ("rotary", "halves_for_pairs"): _RENUMBERED,
    ("rotary", "pairs_not_put_back"): (
        "Derived: not at all in attention. Queries and keys are put in another order alike, and their products stay."
    ),
    ("rotary", "rotary_positions_from_one"): (
        "Derived: not at all in attention. Queries and keys are turned by one step more alike, and their products stay."
    ),
    ("rotary", "start_ignored"): "Derived: not at all, since start is 0 while training. It shows when a cache decodes.",
    ("layer_norm", "unbiased_standard_deviation"): (
        "Derived: hardly. The outputs are sqrt((D - 1) / D) times the right ones up to epsilon (.999 at D = 512); "
        "the gain can make up for it. It shows when weights are loaded that something else has trained."
    ),
    ("layer_norm", "gain_and_shift_swapped"): (
        "Derived: on a fresh layer, where weight is 1 and bias 0, every output is 1 whatever comes in."
    ),
    ("layer_norm", "epsilon_too_small"): _ALMOST_ALIKE,
    ("layer_norm", "epsilon_too_large"): _ALMOST_ALIKE,
    ("layer_norm", "epsilon_outside_the_root"): _ALMOST_ALIKE,
    ("add_norm", "averaged"): _NORM_CANCELS,
    ("attention", "finite_fill"): (
        "Derived: in float32 not at all as long as each query may attend to something; the weights are then the same "
        "to the last digit. In float16 -1e9 does not fit."
    ),
    ("multi_head", "finite_fill_of_scores"): (
        "Derived: in float32 not at all as long as each query may attend to something; the weights are then the same "
        "to the last digit. In float16 -1e9 does not fit."
    ),
    ("causal_mask", "aligned_top_left"): _EQUAL_LENGTHS,
    ("causal_mask", "shifted_the_wrong_way"): _EQUAL_LENGTHS,
    ("causal_mask", "key_len_ignored"): _EQUAL_LENGTHS,
    ("padding_mask", "padding_not_hidden"): (
        "Beside a much longer sentence many more translations are wrong, as chapter *masks* measures."
    ),
    ("padding_mask", "pad_id_taken_for_zero"): "Derived: not at all while pad_id is 0.",
    ("padding_mask", "greater_than_pad_id"): "Derived: not at all while pad_id is 0 and no id is negative.",
    ("decoder_layer", "causal_only_while_training"): (
        "Derived: training is right; in eval mode the layer computes something else than what was trained."
    ),
    ("loss", "softmax_before_cross_entropy"): _FLOOR,
    ("transformer", "softmax_on_the_logits"): _FLOOR,
    ("transformer", "log_softmax_on_the_logits"): (
        "Derived: not at all under cross-entropy; the log_softmax of log-probabilities is themselves."
    ),
    ("transformer", "one_layer_for_all"): (
        "Derived: the layers stay the same for ever, and the optimizer sees one layer's parameters."
    ),
    ("transformer", "layers_in_a_list"): (
        "Derived: the optimizer does not know the layers; they stay as they were drawn, and are not saved."
    ),
    ("transformer", "layers_cloned"): "Derived: the layers begin alike, and their gradients drive them apart.",
    ("loss", "sign_missing"): _NO_FLOOR + "it is lowest where the right token is least likely.",
    ("loss", "no_log_softmax"): _NO_FLOOR + "raising the target's logit for ever lowers it for ever.",
    ("loss", "no_logarithm"): (
        "Derived: the loss lies between -1 and 0, and a confident mistake has hardly any gradient: p (1 - p) for a "
        "probability p."
    ),
    ("loss", "bits_for_nats"): "Derived: loss and gradients are 1.44 times the right ones, a factor of the rate.",
    ("loss", "loss_takes_pad_id_for_zero"): "Derived: not at all while pad_id is 0.",
    ("loss", "averaged_over_all_positions"): (
        "Derived: the loss and the gradient of a batch shrink with the share of its padding."
    ),
}


def in_training(check, entry, shown) -> str:
    """Say how a bug shows in training."""
    key = (check.name, entry.name)
    if check.name == "greedy":
        return _NEVER_TRAINED
    if check.name == "kv_cache":
        return _NO_CACHE
    return " ".join(filter(None, [ends.measured(*key)[1], DERIVED.get(key) or _idle(shown)]))


def _idle(shown) -> str:
    if not shown.idle or shown.structural or {answer.kind for answer in shown.answers} == {"raised"}:
        return ""
    few, more = ", ".join(f"`{name}`" for name in shown.idle[:4]), len(shown.idle) - 4
    what = f"{few} and {more} more" if more > 0 else few
    verbs = ("gets", "does") if len(shown.idle) == 1 else ("get", "do")
    return f"Derived: {what} {verbs[0]} no gradient and {verbs[1]} not learn."
