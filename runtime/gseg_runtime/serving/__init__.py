"""`gseg serve`: photos over HTTP. Starlette, uvicorn and prometheus_client are imported in this folder alone."""
