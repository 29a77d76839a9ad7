"""Whether a container that has ended is run again: its rules, its own policy, its pod's policy.

The API server judges a status by the same rules: a container that may not be run again may not be
shown as anything but ended either.
"""

from typing import Final

from contract.messages.pod import ContainerRole, RestartPolicy, RestartRule, RuleAction
from pod_reconciler.domain.container import Container, RuleView
from pod_reconciler.domain.pod import Json, PlacedContainer, Spec

RESTARTING_ALL: Final = "RestartingAllContainers"
"""The reason of an end that came with the restart of a whole pod."""


def rules_of(container: Container) -> tuple[RestartRule, ...]:
    """The rules in the wire's form, without those that decide nothing, as for the kubelet."""
    return tuple(rule for each in container.restart_policy_rules if (rule := _rule(each)))


def restarts(placed: PlacedContainer, spec: Spec, exit_code: int) -> bool:
    """Whether a container is started again that ended so."""
    if placed.role is ContainerRole.EPHEMERAL:
        return False
    container = placed.container
    own = container.restart_policy
    # Without a policy of its own, a container has no rules.
    if own is not None and any(rule.matches(exit_code) for rule in rules_of(container)):
        return True
    match own or spec.restart_policy:
        case RestartPolicy.ALWAYS:
            return True
        case RestartPolicy.ON_FAILURE:
            return exit_code != 0
        case RestartPolicy.NEVER:
            return False


def restarts_after(placed: PlacedContainer, spec: Spec, ended: Json) -> bool:
    """The same for a `terminated` of a status."""
    if ended.get("reason") == RESTARTING_ALL and placed.role is not ContainerRole.EPHEMERAL:
        return True
    return restarts(placed, spec, ended.get("exitCode", 0))


def could_restart_all(spec: Spec) -> bool:
    """Whether some container's end can restart the pod as a whole, the ended ones included."""
    return any(
        rule.action == RuleAction.RESTART_ALL
        for container in (*spec.init_containers, *spec.containers)
        for rule in container.restart_policy_rules
    )


def _rule(view: RuleView) -> RestartRule | None:
    if view.exit_codes is None or view.action not in RuleAction:
        return None
    return RestartRule(
        action=RuleAction(view.action),
        exit_codes=view.exit_codes.values,
        negated=view.exit_codes.operator == "NotIn",
    )
