# FastAPI under uvicorn, one process: the program that this one is a port of, without its delay.
import os
import secrets
import socket
import sys
import uuid

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Security
from fastapi.security import APIKeyHeader
from pydantic import BaseModel

KEY = os.environ["SERVICE_API_KEY"]


def check_key(key: str | None = Security(APIKeyHeader(name="X-API-Key", auto_error=False))) -> None:
    if key is None or not secrets.compare_digest(key, KEY):
        raise HTTPException(401, "Invalid or missing API Key")


class Process(BaseModel):
    status: str


class Processed(BaseModel):
    status: str
    id: uuid.UUID


app = FastAPI()


@app.post("/process", dependencies=[Depends(check_key)])
async def process(body: Process) -> Processed:
    return Processed(status=body.status, id=uuid.uuid4())


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(4096)
print(f"Listening on http://127.0.0.1:{listener.getsockname()[1]}", file=sys.stderr, flush=True)
config = uvicorn.Config(app, log_level="critical", access_log=False, timeout_keep_alive=65)
uvicorn.Server(config).run(sockets=[listener])
