"""Logs as JSON lines on standard error; control characters are escaped, so no caller can break a line."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any


class JsonLines(logging.Formatter):
    """One line of JSON a record: control characters, CR and LF among them, come out escaped."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update(getattr(record, "fields", {}))
        for name in ("request_id", "trace_id", "span_id"):
            if name not in line and hasattr(record, name):
                line[name] = getattr(record, name)
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure_logging(level: str) -> None:
    """All loggers, uvicorn's too, as JSON lines on standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    # open_clip tells each step of loading to the root logger, which has no name to turn down.
    quiet = logging.DEBUG if level == "debug" else logging.WARNING
    handler.addFilter(lambda record: record.name != "root" or record.levelno >= quiet)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)
    for chatty in ("httpx", "httpx2", "httpcore", "httpcore2", "urllib3", "PIL"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLogger().level))
    # It warns of every odd byte that a caller sends; the caller is told, the log need not be.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
