"""What a service gives to a server: plain functions, keyed by the method's full name.

A handler takes the request and the principal of the caller's certificate, and returns the reply,
or yields replies. It raises `DomainError` to refuse. It knows nothing of gRPC, so the simulation
calls the very same functions.
"""

from collections.abc import Callable, Mapping
from typing import Any

#: (request or request stream, caller) -> awaitable reply or reply stream
Handler = Callable[..., Any]
Handlers = Mapping[str, Handler]
