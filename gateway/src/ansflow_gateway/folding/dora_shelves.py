"""Facts kept by project: bounded in number and in age, found by what they refer to, saved as rows."""

from abc import abstractmethod
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, Final, Generic, NamedTuple, TypeVar

import msgspec

from ansflow_gateway.domain.labels import OVERFLOW
from ansflow_gateway.folding.state import StateMap

FactT = TypeVar("FactT", bound=msgspec.Struct)

MOST_PER_PROJECT: Final = 20_000
"""Most facts of one kind and one project: 55 a day for a year. The oldest go first."""

MOST_FACTS: Final = 250_000
"""Most facts of one kind in all. The project that has most of them loses its oldest."""

_ENCODER: Final = msgspec.msgpack.Encoder()


class Homes:
    """Gives each project a place of its own; those that come when all are taken share the overflow's.

    A project stays where it is as long as anything of it is kept, and so its facts are never torn apart.

    Args:
        limit: Most places, the overflow's not counted.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._facts: dict[str, int] = {}
        self._shared: set[str] = set()

    def of(self, project: str) -> str:
        """Return where a project is, or would be: its own name, or `OVERFLOW`."""
        if project in self._facts:
            return OVERFLOW if project in self._shared else project
        return project if len(self._facts) - len(self._shared) < self._limit else OVERFLOW

    def hold(self, project: str, home: str) -> None:
        """Note one more fact of a project, kept at its home."""
        self._facts[project] = self._facts.get(project, 0) + 1
        if home != project:
            self._shared.add(project)

    def release(self, project: str) -> None:
        """Note one fact less of a project; without any it has no place any more."""
        self._facts[project] -= 1
        if not self._facts[project]:
            del self._facts[project]
            self._shared.discard(project)


class Move(NamedTuple, Generic[FactT]):
    """A fact that came to a shelf, or went.

    Args:
        home: Where it is, or was.
        key: Its row's key.
        fact: It.
        there: Whether it is there from now on.
    """

    home: str
    key: str
    fact: FactT
    there: bool

    @property
    def project(self) -> str:
        """The project that it is one of."""
        return project_of(self.key)


def project_of(key: str) -> str:
    """Return the project that a row's key names."""
    return key.split("\0", 2)[1]


class Shelf(Generic[FactT]):
    """Facts of one kind. What a subclass says of its kind is pure.

    The same facts are kept in whatever order they come, unless `MOST_FACTS` is reached. One owner calls it.

    Args:
        prefix: What the keys of its rows begin with.
        kind: The facts' type.
        homes: Where projects are; shelves may share it.
    """

    kept_s: ClassVar[float]
    """How long facts are kept, in seconds after their time."""

    most: ClassVar[int] = MOST_PER_PROJECT
    """Most facts of one home."""

    def __init__(self, prefix: str, kind: type[FactT], homes: Homes) -> None:
        self.map: StateMap[FactT] = StateMap(prefix, kind)
        self._homes = homes
        # Of each home the times and keys, in order: the oldest is at hand, and a reader needn't sort.
        self._order: dict[str, list[tuple[float, str]]] = {}
        # Of each term the keys, in order, and so a project's beside each other.
        self._terms: dict[str, list[str]] = {}

    @abstractmethod
    def when(self, fact: FactT) -> float:
        """Return a fact's time, in seconds since the epoch."""

    def terms(self, fact: FactT) -> Iterable[str]:
        """Return the texts by which `find` finds a fact."""
        return ()

    def choose(self, known: FactT, told: FactT) -> FactT:
        """Make one fact of two with the same key, in whatever order they came: here, the earlier is right."""
        return min(known, told, key=self.rank)

    def rank(self, fact: FactT) -> tuple[float, bytes]:
        """Order facts by their time, and those of the same time in any way that is always the same."""
        return self.when(fact), _ENCODER.encode(fact)

    def loaded(self) -> None:
        """Go on with what was loaded into the map."""
        for key, fact in self.map.items():
            home, project, *_ = key.split("\0")
            self._homes.hold(project, home)
            self._order.setdefault(home, []).append((self.when(fact), key))
            self._index(key, fact)
        for order in self._order.values():
            order.sort()

    def put(self, project: str, parts: Sequence[str], told: FactT) -> Sequence[Move[FactT]]:
        """Keep a fact.

        Args:
            project: The project that it is one of.
            parts: What tells it from others of the project, without control characters.
            told: The fact.

        Returns:
            What went and what came, in this order for each key; nothing where all was known.
        """
        home = self._homes.of(project)
        key = "\0".join((home, project, *parts))
        known = self.map.get(key)
        fact = told if known is None or known == told else self.choose(known, told)
        if fact == known:
            return ()
        moves: list[Move[FactT]] = []
        if known is not None:
            order = self._order[home]
            del order[bisect_left(order, (self.when(known), key))]
            moves.append(self._remove(home, key))
        self.map.put(key, fact)
        moves.append(Move(home, key, fact, there=True))
        self._homes.hold(project, home)
        insort(self._order.setdefault(home, []), (self.when(fact), key))
        self._index(key, fact)
        if len(self._order[home]) > self.most:
            moves.append(self._remove_oldest(home))
        elif len(self.map) > MOST_FACTS:
            fullest = max(self._order, key=lambda each: len(self._order[each]))
            moves.append(self._remove_oldest(fullest))
        return moves

    def expire(self, now: float) -> Sequence[Move[FactT]]:
        """Forget facts that are too old.

        Args:
            now: Present time, in seconds since the epoch.

        Returns:
            Those forgotten.
        """
        gone: list[Move[FactT]] = []
        for home, order in list(self._order.items()):
            old = bisect_left(order, (now - self.kept_s, ""))
            gone.extend(self._remove(home, key) for _, key in order[:old])
            del order[:old]
            if not order:
                del self._order[home]
        return gone

    def all(self) -> Iterator[Move[FactT]]:
        """Give all facts, home by home, by their time and then by their key."""
        for home in sorted(self._order):
            for _, key in self._order[home]:
                fact = self.map.get(key)
                if fact is not None:
                    yield Move(home, key, fact, there=True)

    def find(self, term: str) -> Iterator[tuple[str, FactT]]:
        """Give the keys and facts that have a term."""
        for key in self._terms.get(term, ()):
            fact = self.map.get(key)
            if fact is not None:
                yield key, fact

    def find_of(self, project: str, term: str) -> Iterator[tuple[str, FactT]]:
        """Give the keys and facts of one project that have a term, whatever others have."""
        begin = "\0".join((self._homes.of(project), project, ""))
        keys = self._terms.get(term, ())
        for place in range(bisect_left(keys, begin), len(keys)):
            key = keys[place]
            if not key.startswith(begin):
                return
            fact = self.map.get(key)
            if fact is not None:
                yield key, fact

    def keys_of(self, term: str) -> Sequence[str]:
        """Return the keys of the facts that have a term."""
        return self._terms.get(term, ())

    def _remove_oldest(self, home: str) -> Move[FactT]:
        order = self._order[home]
        _, key = order.pop(0)
        if not order:
            del self._order[home]
        return self._remove(home, key)

    def _remove(self, home: str, key: str) -> Move[FactT]:
        fact = self.map.remove(key)
        if fact is None:
            raise KeyError(key)
        self._homes.release(project_of(key))
        for term in self.terms(fact):
            keys = self._terms[term]
            del keys[bisect_left(keys, key)]
            if not keys:
                del self._terms[term]
        return Move(home, key, fact, there=False)

    def _index(self, key: str, fact: FactT) -> None:
        for term in self.terms(fact):
            insort(self._terms.setdefault(term, []), key)
