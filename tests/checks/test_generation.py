"""`check.greedy`."""

import pytest
import torch

from companion import check


def greedy_while(next_logits, bos_id, eos_id, max_len):
    made = []
    while len(made) < max_len and (not made or made[-1] != eos_id):
        made.append(torch.argmax(next_logits([bos_id, *made])).item())
    return made


def greedy_recursive(next_logits, bos_id, eos_id, max_len, ids=None):
    ids = ids or [bos_id]
    token = int(next_logits(ids).argmax())
    if token == eos_id or max_len == 1:
        return [token]
    return [token, *greedy_recursive(next_logits, bos_id, eos_id, max_len - 1, [*ids, token])]


def greedy_tensor(next_logits, bos_id, eos_id, max_len):
    ids = torch.tensor([bos_id])
    while len(ids) <= max_len and not (len(ids) > 1 and ids[-1] == eos_id):
        ids = torch.cat([ids, next_logits(ids).argmax(dim=-1, keepdim=True)])
    return ids[1:]


def greedy_softmax(next_logits, bos_id, eos_id, max_len):
    ids = [bos_id]
    for _ in range(max_len):
        ids += [next_logits(ids).softmax(-1).max(dim=-1).indices]
        if ids[-1] == eos_id:
            return ids[1:]
    return ids[1:]


def greedy_cut_afterwards(next_logits, bos_id, eos_id, max_len):
    ids = [bos_id]
    for _ in range(max_len):
        ids.append(int(next_logits(ids).topk(1).indices[0]))
    made = ids[1:]
    return made[: made.index(eos_id) + 1] if eos_id in made else made


def greedy_sorted(next_logits, bos_id, eos_id, max_len):
    ids = [bos_id]
    while ids[-1] != eos_id and len(ids) - 1 < max_len:
        ids = [*ids, int(next_logits(ids).argsort(descending=True)[0])]
    return ids[1:]


def greedy_python(next_logits, bos_id, eos_id, max_len):
    ids = [bos_id]
    for _ in range(max_len):
        logits = next_logits(ids).tolist()
        ids.append(max(range(len(logits)), key=logits.__getitem__))
        if ids[-1] == eos_id:
            break
    del ids[0]
    return ids


def greedy_tuple(next_logits, bos_id, eos_id, max_len):
    return tuple(greedy_while(next_logits, bos_id, eos_id, max_len))


def greedy_generator(next_logits, bos_id, eos_id, max_len):
    def tokens():
        ids = [bos_id]
        while True:
            ids.append(next_logits(ids).argmax().item())
            yield ids[-1]
            if ids[-1] == eos_id or len(ids) > max_len:
                return

    return list(tokens())


def greedy_no_grad(next_logits, bos_id, eos_id, max_len):
    with torch.no_grad():
        return greedy_sorted(next_logits, bos_id, eos_id, max_len)


def greedy_listed(next_logits, bos_id, eos_id, max_len):
    """Made by a generator that ends by itself."""

    def produce():
        ids = [bos_id]
        while len(ids) <= max_len:
            ids.append(next_logits(ids).topk(1).indices.item())
            yield ids[-1]
            if ids[-1] == eos_id:
                return

    return list(produce())


GREEDY = [
    greedy_listed,
    greedy_while,
    greedy_recursive,
    greedy_tensor,
    greedy_softmax,
    greedy_cut_afterwards,
    greedy_sorted,
    greedy_python,
    greedy_tuple,
    greedy_generator,
    greedy_no_grad,
]


@pytest.mark.parametrize("function", GREEDY)
def test_right_decoders_pass(function):
    assert repr(check.greedy(function)) == "greedy: passed."


def test_your_ids_stand_beside_the_right_ones():
    report = check.greedy(lambda *args: [], raises=False)
    assert report.facts == ("On a sentence of four tokens you return []; right is [4, 6, 4, 2].",)


def second_best(next_logits, bos_id, eos_id, max_len):
    return greedy_while(
        lambda ids: next_logits(ids).scatter(0, next_logits(ids).argmax(0, keepdim=True), -100), bos_id, eos_id, max_len
    )


def backwards(*args):
    return greedy_while(*args)[::-1]


def only_first_three(*args):
    return greedy_while(*args)[:3]


@pytest.mark.parametrize("function", [second_best, backwards, only_first_three])
def test_unknown_decoders_are_rejected_with_facts_and_without_a_name(function):
    report = check.greedy(function, raises=False)
    assert not report.passed
    assert report.bugs == ()
    assert report.message == "Your output is not the right one."
    assert any(" you return [" in fact for fact in report.facts)


def test_sampling_is_noticed():
    def sample(next_logits, bos_id, eos_id, max_len):
        ids = [bos_id]
        for _ in range(max_len):
            ids.append(int(torch.multinomial(next_logits(ids).mul(0.1).softmax(-1), 1)))
        return ids[1:]

    report = check.greedy(sample, raises=False)
    assert report.message.startswith("Two calls with the same inputs give different outputs")


def test_decoding_for_ever_is_noticed():
    def endless(next_logits, bos_id, eos_id, max_len):
        ids = [bos_id]
        while True:
            ids.append(int(next_logits(ids).argmax()))

    report = check.greedy(endless, raises=False)
    assert report.message.startswith(
        "Your function raised RuntimeError in line 4 of endless: next_logits was given more"
    )


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (3, "Your function returned an int; a list of ids is expected."),
        (torch.zeros(1, 3), "Your function returned a tensor of shape (1, 3); a list of ids is expected."),
        (["a"], "Your list holds a str; each entry should be the id of a token, an int."),
    ],
)
def test_other_results_are_told(returned, said):
    report = check.greedy(lambda *args: returned, raises=False)
    assert report.message == said


def test_a_batch_given_to_next_logits_is_told():
    report = check.greedy(lambda next_logits, *rest: next_logits(torch.zeros(1, 1)), raises=False)
    assert "TypeError in line 1 of <lambda>: next_logits takes the list of all ids so far, got Tensor" in report.message


def test_a_model_that_never_ends_is_tried_too():
    def cut_afterwards(next_logits, bos_id, eos_id, max_len):
        ids = [bos_id]
        while ids[-1] != eos_id:
            ids.append(int(next_logits(ids).argmax()))
        return ids[1 : max_len + 1]

    report = check.greedy(cut_afterwards, raises=False)
    assert "next_logits was given more than 200 ids: does your loop stop at max_len?" in report.message
    assert report.facts[0].endswith("Wrong on: a model that never ends.")


def test_ids_returned_with_the_bos_are_not_taken_for_a_bos_that_is_not_given():
    def all_ids(next_logits, bos_id, eos_id, max_len):
        ids = [bos_id]
        while len(ids) < max_len and ids[-1] != eos_id:
            ids.append(int(next_logits(ids).argmax()))
        return ids

    assert check.greedy(all_ids, raises=False).bugs == ("bos_returned_and_counted",)


RIGHT_ANSWERS = {"greedy": GREEDY}
