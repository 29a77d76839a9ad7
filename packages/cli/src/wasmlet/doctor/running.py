"""Runs the examinations one after another, and tells each finding as it comes."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from importlib.metadata import version

import msgspec

from kubekit.client import Api, api_client
from kubekit.errors import ApiError, KubeconfigError
from wasmlet.doctor.arguments import DoctorOptions
from wasmlet.doctor.bus import bus_findings
from wasmlet.doctor.buscertificate import shown_findings
from wasmlet.doctor.cluster import class_findings, server_findings, service_findings
from wasmlet.doctor.findings import Finding, Level, problem
from wasmlet.doctor.kernel import kernel_findings
from wasmlet.doctor.kubeletcertificates import kubelet_certificate_findings
from wasmlet.doctor.nodes import node_findings
from wasmlet.doctor.registry import registry_finding
from wasmlet.doctor.rights import rights_findings


def examine(options: DoctorOptions) -> int:
    """Tell everything, and return 1 if something is broken."""
    # asyncio warns of how nats-py ends a connection with TLS, which is nothing to look at.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    return asyncio.run(_examine(options))


async def _examine(options: DoctorOptions) -> int:
    findings = []
    async for finding in _findings(options):
        findings.append(finding)
        if options.output == "text":
            sys.stdout.write(f"{finding.line()}\n")
            sys.stdout.flush()
    if options.output == "json":
        sys.stdout.write(f"{msgspec.json.encode(findings).decode()}\n")
    else:
        counts = [sum(each.level is level for each in findings) for level in Level]
        sys.stdout.write(f"{counts[2]} broken, {counts[1]} to look at, {counts[0]} well\n")
    return int(any(each.level is Level.PROBLEM for each in findings))


async def _findings(options: DoctorOptions) -> AsyncIterator[Finding]:
    if options.kernel:
        for finding in kernel_findings():
            yield finding
    if options.kubeconfig is not None:
        async for finding in _of_cluster(options):
            yield finding
    if options.bus is not None:
        yield await bus_findings(options)
        for finding in await shown_findings(options.bus):
            yield finding
    for host in (*options.registries, *options.insecure):
        yield await asyncio.to_thread(registry_finding, host, plain=host in options.insecure)


async def _of_cluster(options: DoctorOptions) -> AsyncIterator[Finding]:
    agent = f"wasmlet-doctor/{version('wasmlet')}"
    try:
        async with api_client(options.kubeconfig, user_agent=agent) as api:
            async for finding in _of_server(api, options):
                yield finding
    except KubeconfigError as error:
        yield problem("kubeconfig", str(error), "name one that kubectl can use")


async def _of_server(api: Api, options: DoctorOptions) -> AsyncIterator[Finding]:
    try:
        for finding in await server_findings(api):
            yield finding
    except ApiError as error:
        yield problem("api server", str(error), "check its address, your credential, and the way")
        return
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError):
        yield problem("api server", "its answer is no API server's", f"what is at {api.server}?")
        return
    looks = (rights_findings, class_findings, service_findings, node_findings)
    for look in (*looks, kubelet_certificate_findings):
        try:
            for finding in await look(api, options):
                yield finding
        except ApiError as error:
            yield problem(look.__name__.removesuffix("_findings"), str(error), "ask as an admin")
