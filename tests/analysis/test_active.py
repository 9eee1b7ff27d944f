"""Labelling in turns: what is asked, what is proposed, and how right that is said to be."""

import numpy as np
import pytest

from dinoscope.analysis.labels.active import Proposer, doubtful, first_images, look_alikes
from dinoscope.analysis.labels.audit import is_audit_turn, is_look, judge_rest, level_of_look
from dinoscope.analysis.labels.rounds import PutOff, Rounds
from dinoscope.analysis.labels.simulation import simulate
from dinoscope.analysis.neighbors import neighbors
from dinoscope.errors import InputError

N, KINDS = 300, 5


@pytest.fixture(scope="module")
def groups():
    """Vectors of five kinds that overlap a little."""
    rng = np.random.default_rng(0)
    truth = np.arange(N) % KINDS
    vectors = np.eye(KINDS, 12)[truth] * 2.2 + rng.normal(0, 0.6, (N, 12))
    return vectors.astype(np.float32), truth


@pytest.fixture
def proposer(groups):
    return Proposer(groups[0], neighbors(groups[0]))


def begin(proposer, groups, **options):
    nobody = np.full(N, -1)
    order = np.random.default_rng(1).permutation(N)
    return Rounds(proposer, first_images(groups[0], 20), nobody, nobody.copy(), 0, order, **options)


def answer(rounds, truth, question):
    labels = truth[question.positions]
    if question.kind == "batch" and (labels != question.label).any():
        rounds.split(question)
    else:
        rounds.answer(question.positions, int(labels[0]), question.kind)


def test_few_labels_name_the_rest(proposer, groups):
    vectors, truth = groups
    codes = np.full(N, -1)
    chosen = first_images(vectors, 20)
    assert len(set(chosen.tolist())) == 20
    assert len(set(truth[chosen].tolist())) == KINDS
    codes[chosen] = truth[chosen]
    chances = proposer.propose(codes, KINDS)
    np.testing.assert_allclose(chances.sum(axis=1), 1, rtol=1e-5)
    assert (chances[chosen, truth[chosen]] == 1).all()
    assert (chances.argmax(axis=1) == truth).mean() > 0.9
    with pytest.raises(InputError, match="label an image"):
        proposer.propose(np.full(N, -1), KINDS)


def test_doubtful_images_are_asked_and_lie_apart(proposer, groups):
    codes = np.full(N, -1)
    chosen = first_images(groups[0], 20)
    codes[chosen] = groups[1][chosen]
    chances = proposer.propose(codes, KINDS)
    for turn in (1, 2):
        asked = doubtful(proposer, chances, codes < 0, turn, 6)
        assert len(set(asked)) == 6
        assert (codes[asked] < 0).all()
        assert chances[asked].max(axis=1).mean() < np.median(chances.max(axis=1))
        near = proposer.graph.indices[asked[0], :15]
        assert not set(near.tolist()) & set(asked)


def test_a_batch_has_one_proposal_and_is_likely_right(proposer, groups):
    codes = np.full(N, -1)
    chosen = first_images(groups[0], 80)
    codes[chosen] = groups[1][chosen]
    chances = proposer.propose(codes, KINDS)
    batch = look_alikes(proposer, chances, codes < 0, 0)
    assert batch is not None
    assert 4 <= len(batch.positions) <= 24
    assert (chances[batch.positions].argmax(axis=1) == batch.label).all()
    assert np.prod(chances[batch.positions].max(axis=1)) >= 0.5
    assert (np.diff(chances[batch.positions].max(axis=1)) >= 0).all()
    assert look_alikes(proposer, chances, np.zeros(N, bool), 0) is None


def test_the_machine_does_not_know_the_random_part(proposer, groups):
    rounds = begin(proposer, groups, every=3)
    others = begin(Proposer(groups[0], proposer.graph), groups, every=3)
    wrong = (groups[1] + 1) % KINDS  # what another person says of the random part alone
    for _ in range(90):
        question, other = rounds.ask(), others.ask()
        assert question.positions.tolist() == other.positions.tolist()
        answer(rounds, groups[1], question)
        answer(others, wrong if other.kind == "audit" else groups[1], other)
        if rounds.take_revealed():
            break  # from here on both know different labels
    assert rounds.audited > 5
    assert others.rest().right < rounds.rest().right


def test_an_image_that_is_chosen_leaves_the_random_part_without_a_question(proposer, groups):
    rounds, asked = begin(proposer, groups, every=2), []
    while (question := rounds.ask()) is not None:
        asked += question.positions.tolist()
        answer(rounds, groups[1], question)
    assert len(asked) == len(set(asked))
    assert set(asked) == set(range(N))
    assert (rounds.proposals == groups[1]).all()
    assert rounds.rest().count == 0
    assert rounds.rest().low == 1


def test_a_refused_batch_is_one_answer_and_asked_singly(proposer, groups):
    rounds = begin(proposer, groups, batches=True)
    while (question := rounds.ask()).kind != "batch":
        answer(rounds, groups[1], question)
    before, named = rounds.answers, int((rounds.known >= 0).sum())
    rounds.split(question)
    assert rounds.answers == before + 1
    assert int((rounds.known >= 0).sum()) == named
    following = rounds.ask()
    if following.kind == "one":
        assert following.positions.tolist() == question.positions[:1].tolist()


def test_an_image_that_nobody_knows_is_asked_again_when_all_others_have_a_label(proposer, groups):
    rounds, truth = begin(proposer, groups, batches=True), groups[1]
    put_off: set[int] = set()
    named: set[int] = set()
    again: set[int] = set()
    while (question := rounds.ask()) is not None:
        (*_, last) = question.positions.tolist()
        if question.kind != "batch" and len(put_off) < 30 and last not in put_off:
            put_off.add(last)
            answers = rounds.answers
            rounds.put_off(question)
            assert rounds.answers == answers
            continue
        if put_off & set(question.positions.tolist()):
            again |= put_off & set(question.positions.tolist())
            assert rounds.free.sum() + len(named) == N
            assert (rounds.known >= 0).sum() >= N - len(put_off)
        before = rounds.free.copy()
        answer(rounds, truth, question)
        named |= set(np.flatnonzero(before & ~rounds.free).tolist())
    assert len(named) == N
    assert again == put_off
    assert len(put_off) == 30


def test_who_does_not_know_some_images_gets_to_an_end(proposer, groups):
    """Each of them is asked twice, and again only after somebody wants that."""
    put_off = PutOff.none(N)
    rounds, truth = begin(proposer, groups, every=3, put_off=put_off), groups[1]
    unknown, asked = np.zeros(N, bool), np.zeros(N, int)
    unknown[::20] = True

    def play():
        while (question := rounds.ask()) is not None:
            asked[question.positions] += 1
            if unknown[question.positions[0]]:
                rounds.put_off(question)
            else:
                answer(rounds, truth, question)

    play()
    assert (rounds.unknown == unknown).all()
    assert (rounds.free == unknown).all()
    assert set(asked[unknown].tolist()) == {2}
    assert rounds.rest().count == 0
    put_off.ask_again()
    play()
    assert set(asked[unknown].tolist()) == {3}
    unknown[:] = False
    put_off.ask_again()
    play()
    assert not rounds.free.any()
    assert not rounds.unknown.any()


def test_what_is_left_to_the_proposals_is_not_asked_and_stays_judged(proposer, groups):
    rounds = begin(proposer, groups, every=2)
    for _ in range(120):
        answer(rounds, groups[1], rounds.ask())
    taken, rest = rounds.open_rest, rounds.rest()
    again = Rounds(
        proposer, np.arange(20), rounds.known, rounds.hidden, KINDS, rounds._order, answers=120, every=2, taken=taken
    )
    while (question := again.ask()) is not None:
        assert not taken[question.positions].any()
        answer(again, groups[1], question)
    assert not again.open_rest.any()
    assert again.rest().count == rest.count == taken.sum() > 0


def test_only_images_that_were_not_put_off_are_judged(proposer, groups):
    rounds, chosen = begin(proposer, groups, every=2), 0
    for _ in range(100):
        question = rounds.ask()
        if question.kind == "one" and chosen < 30:
            rounds.put_off(question)
            chosen += 1
        else:
            answer(rounds, groups[1], question)
    rest = rounds.rest()
    assert rounds.unknown.sum() == 30
    assert rest.count == rounds.free.sum() - 30
    assert rest.sample > 0


def test_an_image_that_was_drawn_and_put_off_may_be_right_or_wrong(proposer, groups):
    rounds = begin(proposer, groups, every=2)
    while rounds.audited < 20:
        answer(rounds, groups[1], rounds.ask())
    while (question := rounds.ask()).kind != "audit":
        answer(rounds, groups[1], question)
    whole = rounds.rest()
    rounds.put_off(question)
    after = rounds.rest()
    assert after.unanswered == whole.unanswered + 1
    assert (after.sample, after.right, after.count) == (whole.sample, whole.right, whole.count - 1)
    assert after.low < whole.low
    assert after.high >= whole.high
    # rounds that begin anew, and do not know who was put off, see that it was passed
    again = Rounds(
        proposer, np.arange(20), rounds.known, rounds.hidden, KINDS, rounds._order, answers=rounds.answers, every=2
    )
    assert again.rest().count == whole.count
    answer(rounds, groups[1], rounds.ask())  # the next one of the order
    assert rounds.rest().unanswered == after.unanswered
    again.hidden = rounds.hidden
    assert again.rest().unanswered == rounds.rest().unanswered
    assert again.rest().low < rounds.rest().low


def test_a_simulated_person_beats_chance(groups):
    vectors, truth = groups
    curve = simulate(Proposer(vectors, neighbors(vectors)), truth, [50, 100, 250], batches=True)
    assert curve.answers == [50, 100, 250] or curve.named[-1] == N
    assert curve.right[1] >= curve.right[0] - 0.02
    assert curve.right[-1] > 0.98
    assert curve.named[-1] >= 200


@pytest.mark.parametrize(("right", "sample", "count"), [(10, 10, 90), (0, 5, 20), (37, 40, 400), (0, 0, 50)])
def test_the_interval_is_exact(right, sample, count):
    """Reckoned from its meaning: the numbers that neither tail refuses."""
    from scipy.stats import hypergeom

    found = judge_rest(right, sample, count, level=0.9)
    possible = [
        rest
        for rest in range(count + 1)
        if hypergeom.sf(right - 1, sample + count, right + rest, sample) > 0.05
        and hypergeom.cdf(right, sample + count, right + rest, sample) > 0.05
    ]
    assert (found.low * count, found.high * count) == (min(possible), max(possible))


def test_intervals_hold_as_often_as_they_say():
    rng, held = np.random.default_rng(0), []
    for _ in range(400):
        total, sample = 500, 40
        hits = rng.random(total) < 0.85
        drawn = rng.permutation(total) < sample
        found = judge_rest(int(hits[drawn].sum()), sample, total - sample)
        held.append(found.low <= hits[~drawn].mean() <= found.high)
    assert np.mean(held) >= 0.9


def test_intervals_hold_where_a_person_puts_hard_images_off():
    """Images of one kind that look like another: nobody knows them, and the proposals for them are wrong.

    The answers alone would be of easy images: an interval from them holds in fewer than half of the runs.
    """
    count, kinds, runs = 160, 4, 200
    rng = np.random.default_rng(0)
    looks = np.arange(count) % kinds
    vectors = (np.eye(kinds, 8)[looks] * 1.6 + rng.normal(0, 0.5, (count, 8))).astype(np.float32)
    proposer = Proposer(vectors, neighbors(vectors))
    held, held_by_answers = [], []
    for seed in range(runs):
        hard = np.random.default_rng(seed).random(count) < 0.2
        truth = np.where(hard, (looks + 1) % kinds, looks)
        curve = simulate(proposer, truth, [96], seed=seed, every=2, unknown=hard)
        rest, share = curve.rest[-1], curve.truth[-1]
        easy = judge_rest(rest.right, rest.sample, rest.count)
        held.append(rest.low <= share <= rest.high)
        held_by_answers.append(easy.low <= share <= easy.high)
    assert np.mean(held) >= 0.9
    assert np.mean(held_by_answers) < 0.5


def test_images_that_were_drawn_and_not_answered_widen_the_interval():
    whole, gaps = judge_rest(45, 50, 200), judge_rest(45, 50, 200, unanswered=5)
    assert (gaps.low, gaps.high) == (judge_rest(45, 55, 200).low, judge_rest(50, 55, 200).high)
    assert gaps.low < whole.low < whole.high < gaps.high
    with pytest.raises(InputError, match="unanswered=-1"):
        judge_rest(45, 50, 200, unanswered=-1)


def test_the_rule_for_stopping_keeps_its_promise():
    """Of images of which 93% are right one may not stop, however often one asks; of 99.5% one may."""
    rng = np.random.default_rng(0)

    def stops(share: float) -> bool:
        hits = rng.random(5000) < share
        looks = [(n, level) for n in range(1, 1000) if (level := level_of_look(n))]
        return any(judge_rest(int(hits[:n].sum()), n, 5000 - n, level).low >= 0.95 for n, level in looks)

    assert np.mean([stops(0.945) for _ in range(200)]) <= 0.05
    assert np.mean([stops(0.995) for _ in range(50)]) > 0.9
    assert [level_of_look(n) is None for n in (99, 100, 110)] == [True, False, True]
    assert not is_look(110)


def test_one_of_ten_questions_is_about_the_random_part():
    turns = [at for at in range(200) if is_audit_turn(at)]
    assert turns == [*range(59, 200, 10)]
    with pytest.raises(InputError, match="expected 0 <= right <= sample"):
        judge_rest(3, 2, 10)
