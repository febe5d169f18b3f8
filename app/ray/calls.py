"""Calls from one deployment to another, made again when the replica that had one is gone."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from ray.exceptions import RayActorError, RayTaskError
from ray.serve.exceptions import BackPressureError

from models.errors import CandidError, EncoderFailed, Overloaded

GIVE_UP_S: Final = 30.0
"""For one call with all its repetitions: whoever waits longer has run out of time by default."""
PAUSE_S: Final = 0.1


async def call(handle: Any, method: str, *arguments: Any, give_up_s: float = GIVE_UP_S) -> Any:
    """What `method` of one of the deployment's replicas answers; encoding twice does no harm.

    Raises what the method raised of ours, Overloaded, and EncoderFailed for all else.
    """
    gives_up = time.monotonic() + give_up_s
    while True:
        left = max(0.0, gives_up - time.monotonic())
        try:
            return await asyncio.wait_for(getattr(handle, method).remote(*arguments), left)
        except RayTaskError as error:
            if isinstance(error.cause, CandidError):
                raise error.cause from None
            raise EncoderFailed("an encoder replica failed on this input") from error
        except BackPressureError as error:
            raise Overloaded("every encoder replica is busy") from error
        except TimeoutError as error:
            raise EncoderFailed(f"no encoder replica answered within {give_up_s:.0f} s") from error
        except RayActorError:  # killed, or its machine is gone
            await asyncio.sleep(min(PAUSE_S, left))
