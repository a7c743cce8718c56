"""Records what FastAPI makes of parameters in paths and queries: parameter-cases.jsonl.

    python3 -m venv /tmp/record
    /tmp/record/bin/pip install fastapi==0.165.0 pydantic==2.14.4 uvicorn==0.54.0
    /tmp/record/bin/python test/models/record-parameters.py

Each line is a request and its response: [method, target, body, status, content]. The requests are sent
over a socket, byte for byte, to a FastAPI application under uvicorn. parameters-fastapi.test.ts has the
same endpoints in TypeScript, and lists the targets to which they respond in another way.
"""

import json
import pathlib
import socket
import threading
import time
from typing import Annotated, Literal, Optional

import uvicorn
from fastapi import FastAPI, Path, Query
from pydantic import BaseModel

app = FastAPI()


class Body(BaseModel):
    a: Annotated[int, Query(strict=True)]


@app.get("/texts/special")
def special():
    return "special"


@app.get("/texts/{text}")
def read_text(text: str):
    return text


@app.get("/short/{text}")
def read_short(text: Annotated[str, Path(min_length=2, max_length=4, pattern="^[a-z]+$")]):
    return text


@app.get("/integers/{n}")
def read_integer(n: int):
    return n


@app.get("/bounded/{n}")
def read_bounded(n: Annotated[int, Path(ge=1, lt=100, multiple_of=3)]):
    return n


@app.get("/numbers/{x}")
def read_number(x: float):
    return x


@app.get("/flags/{on}")
def read_flag(on: bool):
    return on


@app.get("/modes/{mode}")
def read_mode(mode: Literal["fast", "safe"]):
    return mode


@app.get("/users/{user}/posts/{post}")
def read_post(user: str, post: int, page: int = 1, q: Optional[str] = None):
    return [user, post, page, q]


@app.get("/text")
def query_text(v: str):
    return v


@app.get("/short")
def query_short(v: Annotated[str, Query(min_length=2, max_length=4)] = "abc"):
    return v


@app.get("/integer")
def query_integer(v: int):
    return v


@app.get("/bounded")
def query_bounded(v: Annotated[int, Query(gt=0, le=100)] = 20):
    return v


@app.get("/number")
def query_number(v: Annotated[float, Query(gt=-1000)]):
    return v


@app.get("/flag")
def query_flag(v: bool = False):
    return v


@app.get("/mode")
def query_mode(v: Optional[Literal["fast", "safe"]] = None):
    return v


@app.get("/texts")
def query_texts(v: Annotated[list[str], Query()] = ["x"]):
    return v


@app.get("/integers")
def query_integers(v: Annotated[list[int], Query(min_length=1, max_length=3)]):
    return v


@app.get("/many")
def query_many(b: int, a: str, c: Annotated[list[bool], Query()] = []):
    return [b, a, c]


@app.put("/all/{n}")
def put_all(n: int, body: Body, v: Annotated[int, Query(ge=0)]):
    return [n, v, body.a]


SEGMENTS = """
a abc abcd abcde ABC a%20b a+b %61bc %41 a.b ... .a a~b a-b a_b a:b a;b a,b a=b a@b a!b a$b a&b a'b (a) *
%25 %2541 %252F %3F %23 %26 %2B %C3%A9 %E2%82%AC %F0%9F%98%80 %0A %7F %22 %5C %3Ca%3E {a} a|b special
0 1 3 9 10 33 99 100 102 007 -1 -0 +1 %2B1 --1 1.0 1.00 1.5 .5 5. 1e2 1E5 1e400 0x1 1,5 %201 1%20 %C2%A01
12345678901234567890 9007199254740991 9007199254740992 1_000 nan inf -inf NaN infinity
true TRUE True t T false f yes no y n on oN off 1%20 fast safe FAST fas null None %EF%BC%91
""".split()

# Those that no parameter matches here; some are recorded to show how FastAPI differs.
ODD_SEGMENTS = "% %zz %4 %E0%A4%A %FF %C0%AF %2F a%2Fb %00 . .. %2E %2e%2e".split()

QUERIES = """
v v= v=a v=abc v=abcde v=ab v=a%20b v=a+b v=%61 v=%C3%A9 v=%E2%82%AC v=%F0%9F%98%80 v=%FF v=%E0%A4%A v=%
v=%zz v=%4 v=%00 v=%2B v=a=b v==a v=a&v=b v=a;v=b v=1&v=a v=a&v=1 v=1&v=2 v=1&v=2&v=3 v=1&v=2&v=3&v=4
&v=1 v=1& &&v=1&& %76=1 V=1 v%20=1 +v=1 v[]=1 v.a=1 w=1 w=1&v=2 =1 v=1#a v=%26 v=%3D v=%23 v=a?b v=/a v=..
v=0 v=1 v=20 v=99 v=100 v=101 v=-1 v=-0 v=%2B1 v=+1 v=1+ v=1.0 v=1.00 v=1.5 v=.5 v=5. v=1e2 v=1e400 v=-1e400
v=0x1 v=1,5 v=12345678901234567890 v=9007199254740991 v=9007199254740992 v=1_000 v=nan v=inf v=-999 v=-1000
v=true v=TRUE v=t v=false v=f v=yes v=no v=y v=n v=on v=ON v=off v=2 v=null v=None v=fast v=safe v=FAST v=fas
v=fast&v=x v=x&v=fast v=%ED%A0%80 v=%F0%9F%92 v=%7E v=~ v=1%0A v=%C2%A01 v=true&v= v=&v=true
""".split()

MANY = """
a=x&b=1 b=1&a=x b=1 a=x b=x&a= b=1&a=x&c=on b=1&a=x&c=on&c=off&c=1 b=1&a=x&c=maybe&c=on&c=
b=1&b=2&a=x&a=y c=x b=&a=&c=
""".split()


def requests():
    for place in ["texts", "short", "integers", "bounded", "numbers", "flags", "modes"]:
        for segment in SEGMENTS:
            yield "GET", f"/{place}/{segment}", ""
    for segment in ODD_SEGMENTS:
        yield "GET", f"/texts/{segment}", ""
    for place in ["text", "short", "integer", "bounded", "number", "flag", "mode", "texts", "integers"]:
        yield "GET", f"/{place}", ""
        for query in QUERIES:
            yield "GET", f"/{place}?{query}", ""
    for query in MANY:
        yield "GET", f"/many?{query}", ""
    yield "GET", "/many", ""
    for target in ["a/posts/1", "a/posts/x", "a%20b/posts/1?page=2&q=z", "a/posts/x?page=y&q=", "a/posts", "a/posts/"]:
        yield "GET", f"/users/{target}", ""
    for n in ["1", "x"]:
        for v in ["?v=1", "?v=-1", "?v=x", "?", ""]:
            for body in ['{"a":1}', '{"a":"1"}', "{}", "[]", "null", '{"a":1']:
                yield "PUT", f"/all/{n}{v}", body
    yield "PUT", "/texts/a", ""
    yield "DELETE", "/all/1", ""


def send(port, method, target, body):
    content = body.encode()
    head = f"{method} {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head.encode("latin-1") + b"\r\n" + content)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    fields, _, rest = received.partition(b"\r\n\r\n")
    return int(fields.split(b" ")[1]), rest.decode()


def main():
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical"))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    lines = []
    for method, target, body in dict.fromkeys(requests()):
        status, content = send(port, method, target, body)
        lines.append(json.dumps([method, target, body, status, content], ensure_ascii=False) + "\n")
    path = pathlib.Path(__file__).with_name("parameter-cases.jsonl")
    path.write_text("".join(lines))
    print(f"{len(lines)} requests in {path}")


main()
