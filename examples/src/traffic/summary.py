"""What was sent, and what came back."""

from collections import Counter
from dataclasses import dataclass, field

from traffic.steps import Service, Step

RUN_STARTED = ("POST", "/api/v1/pipelines/{pipeline_id}/runs", 201)
"""The answer that says that a run was started."""


@dataclass(slots=True)
class Summary:
    """Counts of requests and of WebSocket sessions.

    Args:
        answers: Requests that were answered, by service, method, route and status.
        errors: Requests without an answer, by service: whether the service has seen them cannot be known.
        sessions: WebSocket sessions that were opened, by route.
        messages: Messages that came over them, by route.
        sent: Messages that went over them, by route.
        session_errors: WebSocket sessions that could not be opened, or that broke, by route.
    """

    answers: Counter[tuple[Service, str, str, int]] = field(default_factory=Counter)
    errors: Counter[Service] = field(default_factory=Counter)
    sessions: Counter[str] = field(default_factory=Counter)
    messages: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    session_errors: Counter[str] = field(default_factory=Counter)

    def answered(self, step: Step, status: int) -> None:
        """Count an answer.

        Args:
            step: The request.
            status: The answer's HTTP status.
        """
        self.answers[step.service, step.method, step.route, status] += 1

    def requests_to(self, service: Service) -> int:
        """Return how many requests a service has answered."""
        return sum(count for key, count in self.answers.items() if key[0] is service)

    @property
    def runs_started(self) -> int:
        """How many pipeline runs were started."""
        return self.answers[Service.FASTAPI, *RUN_STARTED]

    def line(self) -> str:
        """Return the counts in one line."""
        classes: Counter[int] = Counter()
        for (_, _, _, status), count in self.answers.items():
            classes[status // 100] += count
        per_class = ", ".join(f"{first}xx {count}" for first, count in sorted(classes.items())) or "none"
        per_service = ", ".join(f"{service.value} {self.requests_to(service)}" for service in Service)
        return (
            f"{self.answers.total()} requests ({per_service}; {per_class}; without answer"
            f" {self.errors.total()}), {self.runs_started} runs started,"
            f" {self.sessions.total()} WebSocket sessions with {self.messages.total()} messages"
        )

    def as_json(self, *, seed: int, duration_s: float) -> dict[str, object]:
        """Return the counts as a JSON object.

        Args:
            seed: The seed of the traffic.
            duration_s: How long it took.

        Returns:
            For each service the number of answered requests, in all and by method, route and status, and of
            requests without an answer; for each WebSocket route its sessions; the number of runs started.
        """
        return {
            "seed": seed,
            "duration_s": round(duration_s, 3),
            "runs_started": self.runs_started,
            "services": {
                service.value: {
                    "requests": self.requests_to(service),
                    "errors": self.errors[service],
                    "by_route": [
                        {"method": method, "route": route, "status": status, "count": count}
                        for (of, method, route, status), count in sorted(self.answers.items())
                        if of is service
                    ],
                }
                for service in Service
            },
            "websockets": [
                {
                    "route": route,
                    "sessions": self.sessions[route],
                    "messages": self.messages[route],
                    "sent": self.sent[route],
                    "errors": self.session_errors[route],
                }
                for route in sorted(self.sessions.keys() | self.session_errors.keys())
            ],
        }
