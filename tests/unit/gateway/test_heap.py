"""What survives a long full collection isn't visited again."""

import gc
import weakref
from collections.abc import Iterator

import pytest
from ansflow_gateway.heap import keep_collections_short


class Node:
    """Something that may refer to itself."""

    def __init__(self) -> None:
        self.itself: Node | None = None


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    """Leave no object frozen to the other tests."""
    yield
    gc.unfreeze()


def test_what_survives_a_long_collection_is_frozen() -> None:
    """And freed nonetheless when nobody refers to it; cycles that come later are collected as ever."""
    end = keep_collections_short(pause_s=0.0)
    try:
        kept = [Node() for _ in range(1000)]
        frozen = gc.get_freeze_count()
        gc.collect()
        assert gc.get_freeze_count() >= frozen + 1000
        seen = weakref.ref(kept.pop())
        assert seen() is None
        node = Node()
        node.itself = node
        cycle = weakref.ref(node)
        del node
        gc.collect()
        assert cycle() is None
    finally:
        end()


@pytest.mark.parametrize(("pause_s", "generation"), [(3600.0, 2), (0.0, 1)], ids=["short", "not full"])
def test_other_collections_freeze_nothing(pause_s: float, generation: int) -> None:
    """Neither one that is short enough, nor one that looks at the young alone."""
    end = keep_collections_short(pause_s)
    try:
        frozen = gc.get_freeze_count()
        gc.collect(generation)
        assert gc.get_freeze_count() == frozen
    finally:
        end()


def test_it_ends() -> None:
    """After its end nothing is frozen any more."""
    keep_collections_short(pause_s=0.0)()
    frozen = gc.get_freeze_count()
    gc.collect()
    assert gc.get_freeze_count() == frozen
