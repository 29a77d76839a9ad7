"""What the API server says of itself, of RuntimeClasses, and of the services' pods."""

import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import msgspec

from kubekit.client import Api
from kubekit.errors import ApiError, ForbiddenError, NotFoundError
from wasmlet.doctor.arguments import DoctorOptions
from wasmlet.doctor.certificates import certificate_finding
from wasmlet.doctor.findings import Finding, problem, warning, well

CLOCK_WARNING_S: Final = 2.0
CLOCK_PROBLEM_S: Final = 10.0
"""A leader's lease is 15 s: clocks that are further apart than what is left of it make two."""
OLDEST_MINOR: Final = 30
"""Admission policies are there since 1.30."""
HANDLERS: Final = ("wasi", "wasi-http", "wagi")
SERVICES: Final = ("node-registrar", "pod-reconciler", "wasm-node")


async def server_findings(api: Api) -> list[Finding]:
    """Return whether it answers, in which version, and how its clock goes."""
    began = time.monotonic()
    answer = await api.request("GET", "/version")
    took_ms = (time.monotonic() - began) * 1000
    found = msgspec.json.decode(answer.body)
    version, minor = found["gitVersion"], int("".join(filter(str.isdigit, found["minor"])))
    text = f"{version} answers in {took_ms:.0f} ms"
    if minor < OLDEST_MINOR:
        advice = f"upgrade to 1.{OLDEST_MINOR} or later: it knows no ValidatingAdmissionPolicy"
        first = problem("api server", text, advice)
    else:
        first = well("api server", text)
    return [first, clock_finding(answer.headers.get("Date", ""), datetime.now(UTC))]


def clock_finding(date: str, now: datetime) -> Finding:
    """Compare our clock with the time in an answer, which is of whole seconds."""
    try:
        apart = abs((parsedate_to_datetime(date) - now).total_seconds())
    except (TypeError, ValueError):
        return warning("clock", "the API server does not say its time", "compare clocks by hand")
    text = f"{apart:.0f} s from the API server's"
    advice = "set both clocks by NTP: leases, tokens and certificates go by them"
    if apart >= CLOCK_PROBLEM_S:
        return problem("clock", text, advice)
    return warning("clock", text, advice) if apart > CLOCK_WARNING_S else well("clock", text)


async def class_findings(api: Api, _: DoctorOptions) -> list[Finding]:
    """Return which of our handlers a RuntimeClass names."""
    answer = await api.request("GET", "/apis/node.k8s.io/v1/runtimeclasses")
    items = msgspec.json.decode(answer.body)["items"]
    names = {each["handler"]: each["metadata"]["name"] for each in items}
    advice = "kubectl apply -f deploy/runtimeclass.yaml"
    return [
        well(f"runtime class of {handler}", names[handler])
        if handler in names
        else warning(f"runtime class of {handler}", "there is none", advice)
        for handler in HANDLERS
    ]


async def pods_of_services(api: Api, namespace: str) -> list[dict[str, Any]]:
    """Return the pods of an installation; none where the services run elsewhere."""
    query = {"labelSelector": "app.kubernetes.io/part-of=wasmlet"}
    answer = await api.request("GET", f"/api/v1/namespaces/{namespace}/pods", query=query)
    found: list[dict[str, Any]] = msgspec.json.decode(answer.body)["items"]
    return found


async def service_findings(api: Api, options: DoctorOptions) -> list[Finding]:
    """Return what the pods of the services say, and how old the bus's certificate is."""
    namespace = options.namespace
    pods = await pods_of_services(api, namespace)
    if not pods:
        text = f"no pod of wasmlet in namespace {namespace}"
        return [well("services", f"{text}: they run elsewhere, or under `wasmlet up`")]
    found = [_missing(service, pods) for service in SERVICES]
    found += [await _pod(api, pod) for pod in pods if not _is_of_a_job(pod)]
    return [each for each in (*found, await _bus_certificate(api, namespace)) if each is not None]


def _missing(service: str, pods: list[dict[str, Any]]) -> Finding | None:
    if any(_name(pod) == service for pod in pods):
        return None
    advice = f"kubectl describe its Deployment or DaemonSet {service}"
    return problem(f"service {service}", "it has no pod", advice)


async def _pod(api: Api, pod: dict[str, Any]) -> Finding:
    meta, status = pod["metadata"], pod.get("status", {})
    about = f"pod {meta['name']}"
    conditions = {each["type"]: each["status"] for each in status.get("conditions", [])}
    restarts = sum(each["restartCount"] for each in status.get("containerStatuses", []))
    if conditions.get("Ready") == "True":
        return well(about, f"ready, {restarts} restarts")
    reasons = [await _reason(api, pod, container) for container in pod["spec"]["containers"]]
    said = "; ".join(filter(None, reasons)) or status.get("phase", "unknown")
    advice = f"kubectl logs -n {meta['namespace']} {meta['name']} --all-containers"
    return problem(about, f"not ready: {said}", advice)


async def _reason(api: Api, pod: dict[str, Any], container: dict[str, Any]) -> str:
    """Return what a container answers to `/readyz`, in its own words."""
    meta = pod["metadata"]
    ports = [each for each in container.get("ports", []) if each.get("name", "").endswith("admin")]
    for port in ports:
        target = f"{meta['name']}:{port['containerPort']}"
        path = f"/api/v1/namespaces/{meta['namespace']}/pods/{target}/proxy/readyz"
        try:
            await api.request("GET", path)
        except ApiError as error:
            return f"{container['name']}: {error}"
    return ""


async def _bus_certificate(api: Api, namespace: str) -> Finding | None:
    path = f"/api/v1/namespaces/{namespace}/secrets/nats-tls"
    try:
        data = msgspec.json.decode((await api.request("GET", path)).body)["data"]
    except (NotFoundError, ForbiddenError):
        return None
    certificate = msgspec.convert(data["tls.crt"], bytes, strict=False).decode()
    advice = "delete the Secret nats-tls, `helm upgrade`, and restart NATS and the services"
    return certificate_finding("bus", certificate, advice)


def _name(pod: dict[str, Any]) -> str:
    return str(pod["metadata"].get("labels", {}).get("app.kubernetes.io/name", ""))


def _is_of_a_job(pod: dict[str, Any]) -> bool:
    owners = pod["metadata"].get("ownerReferences", [])
    return pod["spec"].get("restartPolicy") == "Never" or any(o["kind"] == "Job" for o in owners)
