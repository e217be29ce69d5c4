"""What happened to a project, out of all that was told: what deployments delivered, and which failed.

A fact that comes or goes changes what depends on it, and nothing else is looked at. What that is: a
deployment delivers the changes that nobody delivered before; when it goes, it gives them back. Whom
roll-backs and incidents blame, `dora_blame` finds.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Sequence

from ansflow_gateway.domain.events import Deployed, DeploymentKind
from ansflow_gateway.folding.dora_blame import Blame, Replace
from ansflow_gateway.folding.dora_facts import Incident
from ansflow_gateway.folding.dora_figures import Moment, What
from ansflow_gateway.folding.dora_lines import Deployment, Place, RollBack
from ansflow_gateway.folding.dora_links import Delivered


class _Delivery:
    """The deployments of an environment that hold a change, by time, and the moment of the first."""

    __slots__ = ("holders", "moment")

    def __init__(self) -> None:
        self.holders: list[Place] = []
        self.moment: Moment | None = None


class History:
    """What happened to one project. One owner calls it.

    Args:
        replace: Where what happened is told.
        delivered: Gives the changes that a deployment holds.
        of_revision: Gives the keys of the deployments of a bare revision, other projects' among them.
    """

    def __init__(
        self,
        replace: Replace,
        delivered: Callable[[Deployed], Sequence[Delivered]],
        of_revision: Callable[[str], Iterable[str]],
    ) -> None:
        self._replace = replace
        self._delivered = delivered
        self._blame = Blame(replace, of_revision)
        self._deployments: dict[str, Deployment] = {}
        self._deliveries: dict[tuple[str, str], _Delivery] = {}

    @property
    def empty(self) -> bool:
        """Whether nothing has happened."""
        return self._blame.empty

    def deployed(self, key: str, fact: Deployed) -> None:
        """Take a deployment or a roll-back in.

        Args:
            key: Its key, by which those of one time are ordered.
            fact: It.
        """
        if fact.kind is DeploymentKind.ROLLED_BACK:
            self._blame.came(RollBack(key, fact))
            return
        deployment = self._deployments[key] = Deployment(key, fact)
        self._replace(fact.environment, What.DEPLOYMENT, None, (fact.at, 0.0))
        self._blame.came(deployment)
        self.redeliver(key)

    def undeployed(self, key: str) -> None:
        """Forget a deployment or a roll-back."""
        self._blame.went(key)
        deployment = self._deployments.get(key)
        if deployment is None:
            return
        self._deliver(deployment, {})
        del self._deployments[key]
        self._replace(deployment.fact.environment, What.DEPLOYMENT, (deployment.fact.at, 0.0), None)

    def redeliver(self, key: str) -> None:
        """Find the changes in a deployment, as others may be known now."""
        deployment = self._deployments.get(key)
        if deployment is not None:
            self._deliver(
                deployment, {each.change: each.begun_at for each in self._delivered(deployment.fact)}
            )

    def happened(self, key: str, incident: Incident) -> None:
        """Take an incident in; see `Blame.happened`."""
        self._blame.happened(key, incident)

    def unhappened(self, key: str) -> None:
        """Forget an incident."""
        self._blame.unhappened(key)

    def _deliver(self, deployment: Deployment, delivered: dict[str, float]) -> None:
        before, deployment.delivered = deployment.delivered, delivered
        for change in before.keys() | delivered.keys():
            if before.get(change) == delivered.get(change):
                continue
            held = deployment.fact.environment, change
            delivery = self._deliveries.setdefault(held, _Delivery())
            if change not in delivered:
                del delivery.holders[bisect_left(delivery.holders, deployment.place)]
            elif change not in before:
                insort(delivery.holders, deployment.place)
            self._lead(held, delivery)

    def _lead(self, held: tuple[str, str], delivery: _Delivery) -> None:
        environment, change = held
        moment = None
        if delivery.holders:
            at, key = delivery.holders[0]
            moment = (at, max(0.0, at - self._deployments[key].delivered[change]))
        else:
            del self._deliveries[held]
        before, delivery.moment = delivery.moment, moment
        if moment != before:
            self._replace(environment, What.LEAD, before, moment)
