"""Whether a service of this container answers: ``healthy.py hotline|dialer``. Exit 0 or 1."""

from __future__ import annotations

import http.client
import sys

from incident.home import Home
from incident.settings import load_settings


def main() -> int:
    settings = load_settings(Home.at("/var/lib/breachline"))
    port = {
        "hotline": settings.metrics.hotline_port,
        "dialer": settings.metrics.dialer_port,
    }[sys.argv[1]]
    connection = http.client.HTTPConnection(settings.bind, port, timeout=4.0)
    try:
        connection.request("GET", "/metrics")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        sys.stderr.write(f"{settings.bind}:{port}: {error}\n")
        return 1
    finally:
        connection.close()
    return 0 if status == http.client.OK else 1


if __name__ == "__main__":
    sys.exit(main())
