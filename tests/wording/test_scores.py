"""Figures become three sentences: map, clusters, labels."""

from dinoscope.wording.scores import judge


def test_one_sentence_each():
    said = judge(
        {
            "map: neighbours kept": 0.55,
            "map: trustworthiness": 0.96,
            "clusters: silhouette in the embedding": 0.05,
            "labels: k-NN accuracy": 0.6,
        }
    )
    assert [(each.about, each.tone) for each in said] == [("map", "good"), ("clusters", "bad"), ("labels", "middling")]
    assert "55%" in said[0].text
    assert "60%" in said[2].text


def test_a_map_with_one_good_figure_is_not_trusted():
    assert judge({"map: neighbours kept": 0.4, "map: trustworthiness": 0.7})[0].tone == "bad"


def test_what_is_not_known_is_said():
    assert [each.tone for each in judge({})] == ["unknown", "unknown", "unknown"]
    assert judge({"map: neighbours kept": 0.9})[0].tone == "unknown"
    assert judge({})[2].text == "Labels are not scored: that takes two labels or more, and one label per image."
