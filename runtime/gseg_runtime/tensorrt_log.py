"""What TensorRT says of itself: its own logger prints to stdout, where the results of --json go."""

from typing import Any


def quiet_logger(trt: Any) -> Any:
    """A logger of the module `trt` that prints nothing; `why()` is what its errors said, in one line."""

    class Logger(trt.ILogger):
        def __init__(self) -> None:
            super().__init__()
            self.errors: list[str] = []

        def log(self, severity: Any, text: str) -> None:
            if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
                self.errors.append(text)

        def why(self) -> str:
            return " ".join("; ".join(self.errors).split()) or "it gives no reason"

    return Logger()
