"""Some libraries report to their makers over the network; under gseg they do not."""

import os
import sys


def no_telemetry() -> None:
    """To be called before an engine is imported, in each process: afterwards it is too late.

    ONNX Runtime's wheels report since 1.29: a session writes a device id and a queue below the user's cache folder and
    looks up a host; a value that the user set is left alone. Importing OpenVINO does the same, unless the module that
    it reports with is missing. Processes started from this one inherit the first, not the second.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


def no_ray_telemetry() -> None:
    """To be called before Ray is imported. A cluster that somebody else started has been told by them, or reports."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
