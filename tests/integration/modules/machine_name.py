"""What Airflow takes for the name of the machine (``[core] hostname_callable``): one machine plays several."""

from __future__ import annotations

import os
import socket


def machine_name() -> str:
    return os.environ.get("MACHINE") or socket.gethostname()
