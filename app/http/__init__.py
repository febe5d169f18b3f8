"""HTTP below the routes: uvicorn's protocol and sockets, admission, errors, metrics, logs."""
