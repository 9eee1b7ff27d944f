"""Usual names of the parts of a data set: which words mean training, validation and test."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from unicodedata import combining, normalize

__all__ = [
    "common_names",
    "held_out_split",
    "name_beside_split",
    "named_splits",
    "split_role",
    "split_roles",
    "training_split",
    "voting_split",
]

_WORDS = {  # English, German, French, Spanish, Italian, Portuguese, Dutch, Russian, Chinese, Japanese, Korean
    "train": "train training trn trainset trainval entraînement apprentissage entrenamiento addestramento treino "
    "treinamento обучение тренировка 训练 訓練 学習 훈련 학습",
    "val": "val valid validation valset validierung validación validazione validação validatie валидация 验证 驗證 "
    "検証 검증",
    "test": "test testing tst testset prueba pruebas teste тест 测试 測試 テスト 테스트",
    "dev": "dev devel",
    "eval": "eval evaluation holdout evaluierung évaluation evaluación valutazione avaliação evaluatie 评估 評価 평가",
}


def _plain(text: str) -> str:
    """Return a text in small letters without accents."""
    return "".join(letter for letter in normalize("NFKD", text).casefold() if not combining(letter))


_ROLES = {_plain(word): role for role, words in _WORDS.items() for word in words.split()}
_STANDS_FOR = {"dev": "val", "eval": "test"}  # where no split has this name itself
_HELD_OUT = ("test", "eval", "val", "dev")  # the first that there is
_FILLING = frozenset(["set", "split", "part", "data", "dataset", "images", "image", "imgs", "img", "of", "shard"])
_COMPOUND = tuple(
    map(_plain, ("daten", "datensatz", "bilder", "menge", "satz", "set", "data", "images", "集", "データ"))
)


def split_role(name: str | None) -> str | None:
    """Return the split that a single name means: "train", "val", "test", "dev", "eval"; None for any other name.

    Upper case, accents, numbers and filling words do not matter: "Training", "train2017", "test_images", "TestSet" and
    "Trainingsdaten" are splits; "train-ride" is none.
    """
    role, rest = _read(name or "")
    return role if not rest else None


def named_splits(names: Iterable[str]) -> dict[str, str]:
    """Return those of some names that stand side by side that name a split, and its role; see ``split_role``.

    Longer names do so, too, if the same word is in the names of several splits ("seg_train" and "seg_test",
    "train_cats" and "test_cats"), or where each name tells a split and one tells nothing else ("train", "test_seen",
    "test_unseen").
    """
    read = {name: _read(name) for name in names}
    roles_beside: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for role, rest in read.values():
        if role is not None:
            roles_beside[rest].add(role)
    all_tell = all(role is not None for role, _ in read.values()) and len(set.union(set(), *roles_beside.values())) > 1
    shared = {rest for rest, roles in roles_beside.items() if rest and len(roles) > 1}
    taken = roles_beside.keys() if all_tell and (shared or () in roles_beside) else {(), *shared}
    return {name: role for name, (role, rest) in read.items() if role is not None and rest in taken}


def split_roles(splits: Iterable[str | None]) -> Mapping[str | None, str]:
    """Return the role of each split of some images, by all of them together; see ``named_splits``."""
    return dict[str | None, str](named_splits({split for split in splits if split is not None}).items())


def name_beside_split(name: str) -> str:
    """Return what a name says beside its split: "cats" for "train_cats"; "" where that is nothing."""
    return "_".join(word for word in _words_of(name) if not _is_known(word))


def common_names(roles: Iterable[str]) -> dict[str, str]:
    """Return what the splits of these roles are called: "dev" is called val, and "eval" test, where there is none."""
    held = set(roles)
    return {role: role if _STANDS_FOR.get(role, role) in held else _STANDS_FOR[role] for role in held}


def held_out_split(splits: Iterable[str | None]) -> str | None:
    """Return which of some splits is held out: test, else val, by any usual name; None if there is none."""
    return _first(splits, _HELD_OUT)


def training_split(splits: Iterable[str | None]) -> str | None:
    """Return which of some splits is for training; None if there is none."""
    return _first(splits, ("train",))


def voting_split(splits: Iterable[str | None], held: str | None) -> str | None:
    """Return the split whose images name those of a split that is held out; None: there is no other for training."""
    found = training_split(splits)
    return None if found == held else found


def _first(splits: Iterable[str | None], roles: Iterable[str]) -> str | None:
    known = sorted({each for each in splits if each is not None}, reverse=True)
    named = {role: name for name, role in named_splits(known).items()}
    return next((named[role] for role in roles if role in named), None)


def _read(name: str) -> tuple[str | None, tuple[str, ...]]:
    """Return the role that the words of a name tell, None if they tell none or two, and the other words."""
    words = _words_of(name)
    roles = {role for word in words if (role := _role_of(word)) is not None}
    role = "train" if roles == {"train", "val"} else roles.pop() if len(roles) == 1 else None
    return role, tuple(_plain(word) for word in words if not _is_known(word))


def _words_of(name: str) -> list[str]:
    """Return the words of a name, each with the number behind it; "trainImages" has two. A number alone is none."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", normalize("NFC", name))
    return re.findall(r"[^\W\d_]+\d*", apart)


def _role_of(word: str) -> str | None:
    plain = _plain(word).rstrip("0123456789")
    stems = (plain.removesuffix(ending) for ending in _COMPOUND if plain.endswith(ending))
    return next(
        (_ROLES[each] for stem in (plain, *stems) for each in (stem, stem.removesuffix("s")) if each in _ROLES), None
    )


def _is_known(word: str) -> bool:
    return _role_of(word) is not None or _plain(word).rstrip("0123456789") in _FILLING
