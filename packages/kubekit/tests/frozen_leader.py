"""A process of its own that competes for a Lease and says at every look whether it leads."""

import asyncio
import sys
from pathlib import Path

import structlog

from kubekit.client import api_client
from kubekit.election import Elector
from kubekit.leases import Timing

LOOK_EVERY_S = 0.02


async def main(kubeconfig: Path) -> None:
    timing = Timing(lease_duration_s=3, renew_deadline_s=2, retry_period_s=0.2)
    async with api_client(kubeconfig, user_agent="wasmlet-test") as api:
        elector = Elector(api, namespace="default", name="frozen", identity="first", timing=timing)
        async with elector.campaign():
            while True:
                sys.stdout.write("leads\n" if elector.is_leading else "follows\n")
                sys.stdout.flush()
                await asyncio.sleep(LOOK_EVERY_S)


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(main(Path(sys.argv[1])))
