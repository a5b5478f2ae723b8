# SPDX-License-Identifier: Apache-2.0
"""Style, scripts and fonts. Their addresses carry a digest of the content, so that browsers may keep them."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.staticfiles import StaticFiles

if TYPE_CHECKING:
    import os

    from starlette.responses import Response
    from starlette.types import Scope

FOLDER = Path(__file__).parent / "static"


@cache
def address(name: str) -> str:
    """The address of the file `name` below `static/`. Raises FileNotFoundError."""
    digest = hashlib.sha256((FOLDER / name).read_bytes()).hexdigest()
    return f"/static/{name}?v={digest[:12]}"


class Files(StaticFiles):
    """Serves the folder; a file that is asked for by its digest may be kept for ever."""

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """As the base class, with the time that it may be kept."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        kept = "max-age=31536000, immutable" if scope["query_string"].startswith(b"v=") else "no-cache"
        response.headers["cache-control"] = kept
        return response
