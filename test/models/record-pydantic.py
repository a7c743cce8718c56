"""Records what FastAPI and pydantic make of bodies and parameters: pydantic-cases.jsonl.

    python3 -m venv /tmp/record
    /tmp/record/bin/pip install fastapi==0.165.0 pydantic==2.14.4
    /tmp/record/bin/python test/models/record-pydantic.py

Each line holds the inputs for which a model has the same outcome: the texts of bodies, or the lists of
texts of a query parameter. The outcome is a value or the problems; "(the input)" stands for the value
of the body, or for the text or texts. pydantic.test.ts has the same models in TypeScript.

What the service does on purpose in another way is built in (D14 and D15 in src/http/README.md):
numbers and booleans in bodies are strict, integers end at 2**53 - 1, and an input of over 1,024 bytes
is left out. Where FastAPI's outcome is another one, the line has it as "fastapi".
"""

import asyncio
import json
import math
import pathlib
from datetime import date, datetime
from typing import Annotated, Any, Literal, Optional, Union
from urllib.parse import quote
from uuid import UUID

from fastapi import Body, FastAPI, Query
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse
from pydantic import (
    AfterValidator,
    AnyUrl,
    BaseModel,
    ConfigDict,
    Field,
    Strict,
    TypeAdapter,
    ValidationError,
    WrapValidator,
)
from pydantic_core import PydanticKnownError

SAFE = 2**53 - 1
THE_INPUT = "(the input)"
PLAIN_INTEGER = TypeAdapter(int)


def no_text(value, check):
    """D15: a text or a boolean is no integer, but 1.0 is one."""
    if isinstance(value, (str, bool)):
        raise PydanticKnownError("int_type")
    return check(value)


def safe(value, check):
    """D15: an integer beyond 2**53 - 1 is a problem, whatever other bounds there are."""
    try:
        number = value if isinstance(value, float) else PLAIN_INTEGER.validate_python(value)
    except ValidationError:
        number = 0
    if not math.isinf(number) and number > SAFE:
        raise PydanticKnownError("less_than_equal", {"le": SAFE})
    if not math.isinf(number) and number < -SAFE:
        raise PydanticKnownError("greater_than_equal", {"ge": -SAFE})
    return check(value)


def even(value):
    if value % 2 != 0:
        raise ValueError("must be even")
    return value


def models(way):
    """The types by the names of the models, for a "body", a "text", or as "fastapi" has them."""

    def integer(**bounds):
        field = Annotated[int, Field(**bounds)]
        if way != "fastapi":
            field = Annotated[field, WrapValidator(safe)]
        return Annotated[field, WrapValidator(no_text)] if way == "body" else field

    def number(**bounds):
        field = Annotated[float, Field(allow_inf_nan=way == "fastapi", **bounds)]
        return Annotated[field, Strict()] if way == "body" else field

    boolean = Annotated[bool, Strict()] if way == "body" else bool

    def first_of(*types):
        return Annotated[Union[types], Field(union_mode="left_to_right")]

    class Status(BaseModel):
        status: str

    class Closed(BaseModel):
        model_config = ConfigDict(extra="forbid")
        a: integer()
        b: str = "x"
        c: str = None

    class Options(BaseModel):
        dry_run: boolean
        timeout_s: number(gt=0)

    class NewJob(BaseModel):
        name: Annotated[str, Field(min_length=1, max_length=100)]
        priority: integer(ge=0, le=9) = 5
        tags: Annotated[list[str], Field(max_length=10)] = []
        callback: Optional[str]
        mode: Literal["fast", "safe"]
        options: Options

    class Range(BaseModel):
        start: integer()
        end: integer()

    def ordered(value):
        if value.start > value.end:
            raise ValueError("start must not be after end")
        return value

    class Cat(BaseModel):
        kind: Literal["cat"]
        lives: integer(ge=0)

    class Dog(BaseModel):
        kind: Literal["dog"]
        name: str

    return {
        "string": str,
        "string of 3 to 5": Annotated[str, Field(min_length=3, max_length=5)],
        "string of letters": Annotated[str, Field(max_length=3, pattern="^[a-z]+$")],
        "integer": integer(),
        "integer of 0 to 9": integer(ge=0, le=9),
        "integer between 0 and 10": integer(gt=0, lt=10),
        "integer times 3": integer(multiple_of=3, le=100),
        "number": number(),
        "number of 0.5 to 9.5": number(ge=0.5, le=9.5),
        "number times 0.1": number(multiple_of=0.1),
        "boolean": boolean,
        "fast or safe": Literal["fast", "safe"],
        "fast": Literal["fast"],
        "a, b or c": Literal["a", "b", "c"],
        "array of strings": list[str],
        "array of 2 or 3 integers": Annotated[list[integer(ge=0)], Field(min_length=2, max_length=3)],
        "array of arrays": list[list[integer()]],
        "nullable string": Optional[str],
        "nullable integer": Optional[integer()],
        "status": Status,
        "closed": Closed,
        "job": NewJob,
        "array of statuses": list[Status],
        "cat or dog": first_of(Cat, Dog),
        "integer or string": first_of(integer(), Annotated[str, Field(max_length=3)]),
        "even": Annotated[integer(), AfterValidator(even)],
        "range": Annotated[Range, AfterValidator(ordered)],
    }


NO_PARAMETERS = ["array of arrays", "status", "closed", "job", "array of statuses", "cat or dog", "range"]

FORMATS = {"uuid": UUID, "uri": AnyUrl, "date-time": datetime, "date": date}

# Texts of JSON: each model gets all of them.
BODIES = r"""
null true false
0 -0 1 3 9 10 11 -1 1.0 1e2 1.5 0.3 0.35 9.5 1e-7 1e21 1e400 -1e400
9007199254740991 9007199254740992 9007199254740993 -9007199254740993 12345678901234567890
"" " " "a" "abc" "abcdef" "ABC" "fast" "é" "😀" "😀😀😀" "😀😀😀😀😀😀" "\u0000" "\ud800" "abc\n"
"1" "1.0" "true" "null"
[] [null] [true] [0] [1,2] [-1,2,-3,4] [1.5,"a"] ["a","b"] ["a",1,null] [[1],[2,"x"]] [{}]
{} {"status":"a"} {"status":1} {"a":{"b":[1]}}
""".split("\n")

# Models of objects, and of lists of them, also get these.
OBJECTS = r"""
{"status":null} {"Status":"a"} {"status":"a","x":1} {"":""} [{"status":"a"},{"status":1},{}]
{"a":1} {"a":"1"} {"a":1,"b":"y","c":"z"} {"a":1,"z":1,"y":{"x":[]}} {"c":null,"b":1}
{"name":"n","callback":null,"mode":"fast","options":{"dry_run":true,"timeout_s":0.5}}
{"name":"n","priority":9,"tags":["x","y"],"callback":"c","mode":"safe","options":{"dry_run":false,"timeout_s":1},"x":1}
{"name":"","priority":10,"tags":[1,"a",null],"mode":"slow","options":{"dry_run":1,"timeout_s":0}}
{"name":1,"priority":"5","tags":"a","callback":2,"mode":null,"options":[]}
{"name":"n","tags":["1","2","3","4","5","6","7","8","9","10","11"],"callback":null,"mode":"fast","options":{}}
{"start":1,"end":2} {"start":2,"end":1} {"start":2} {"start":"a","end":1}
{"kind":"cat","lives":9} {"kind":"dog","name":"x"} {"kind":"cat","lives":-1} {"kind":"dog"} {"kind":"bird"}
""".split("\n")

# Lists of texts of a parameter: each model that a parameter can have gets all of them.
TEXTS = [
    *[[text] for text in ["", " ", "a", "abc", "abcdef", "fast", "FAST", "é", "😀😀😀", "1\x00", "null"]],
    *[[text] for text in ["0", "1", "2", "3", "10", "11", "-1", "-0", "+1", "007", "--1", "+", "- 1"]],
    *[[text] for text in ["1.0", "1.00", "1.5", "0.3", "0.35", "1.", ".5", ".", "1e2", "1E+2", "1e", "1e400"]],
    *[[text] for text in [" 1", "1 ", "\t1\n", "\u00a01", "１", "0x1", "1,5", "nan", "-inf", "1_000", "1" * 30]],
    *[[text] for text in ["9007199254740991", "9007199254740992", "-9007199254740992"]],
    *[[text] for text in ["true", "TRUE", "t", "yes", "y", "oN", "false", "f", "no", "n", "off", " true", "None"]],
    *[["1", "2"], ["1", "a"], ["a", "1"], ["2", "4", "6"], ["1", "2", "3", "4"], ["", ""], ["-1", "-2"]],
]



def damaged(text):
    """The text without each of its characters in turn, and with another one in its place."""
    without = [text[:at] + text[at + 1 :] for at in range(len(text))]
    return without + [text[:at] + "x" + text[at + 1 :] for at in range(len(text))]


# Texts for the formats, of which only counts whether they are taken.
FORMAT_TEXTS = {
    "uuid": """6fa459ea-ee8a-3ca4-894e-db77e160355e 6FA459EA-EE8A-3CA4-894E-DB77E160355E
        00000000-0000-0000-0000-000000000000 ffffffff-ffff-ffff-ffff-ffffffffffff x 6fa459ea
        6fa459ea-ee8a-3ca4-894e-db77e160355 6fa459ea-ee8a-3ca4-894e-db77e160355e0
        6fa459ea-ee8a-3ca4-894e_db77e160355e 6fa459eg-ee8a-3ca4-894e-db77e160355e
        6fa459eaee8a3ca4894edb77e160355e {6fa459ea-ee8a-3ca4-894e-db77e160355e}
        urn:uuid:6fa459ea-ee8a-3ca4-894e-db77e160355e 6fa459e-aee8a-3ca4-894e-db77e160355e""".split()
    + ["", " 6fa459ea-ee8a-3ca4-894e-db77e160355e", "6fa459ea-ee8a-3ca4-894e-db77e160355e\n"]
    + damaged("6fa459ea-ee8a-3ca4-894e-db77e160355e"),
    "uri": """http://a http://a/ https://example.com:8080/a/b?c=d#e mailto:a@example.com urn:isbn:1
        ftp://u:p@h/x http://[::1]/ http://127.0.0.1 http://a/%20 file:///a/b data:text/plain,x a:b
        HTTP://A x /a //a a?b http:// http://a:99999 http://a:b http://[::1 :a 1a:b http://a/%2
        http://a/"b http://a/<b> http://a/b\\c http://é.example http:a ws://a wss://a/b?c tel:+1-2
        news:a.b ldap://[2001:db8::7]/c=GB?one git+ssh://a/b.git x-y.z+1:a http://a/?a=b&c=%C3%A9
        http://a/?[] http://a:80 http://a:0 http://a:65535 http://a:65536 http://1.2.3.4.5 http://1.2.3.256
        http://a..b http://-a http://a_b http://[::g] http://[v1.a] http://a@b@c http://u:p@ http:///a
        https:// https:/// http://? http://# http://a#b#c -a:b +a:b a a/b ./a ../a # ? &:a a:""".split()
    + ["", " http://a", "http://a ", "http://a b", "http://a\n/b", "http://a/\u0000"],
    "date-time": """2020-01-01T00:00:00Z 2020-02-29T23:59:59Z 2020-12-31T23:59:59.999999Z
        2020-01-01T00:00:00+00:00 2020-01-01T00:00:00-23:59 2020-01-01t00:00:00z
        2020-01-01T00:00:00.1+05:30 9999-12-31T23:59:59Z 2019-02-29T00:00:00Z 1900-02-29T00:00:00Z
        2000-02-29T00:00:00Z 2020-04-31T00:00:00Z 2020-13-01T00:00:00Z 2020-00-01T00:00:00Z
        2020-01-00T00:00:00Z 2020-01-32T00:00:00Z 2020-01-01T24:00:00Z 2020-01-01T00:60:00Z
        2020-01-01T00:00:60Z 2016-12-31T23:59:60Z 2020-01-01T00:00:00+24:00 2020-01-01T00:00:00+00:60
        2020-01-01T0:00:00Z 2020-1-1T00:00:00Z 20-01-01T00:00:00Z 2020-01-01T00:00:00.Z x now
        2020-01-01T00:00:00 2020-01-01T00:00Z 2020-01-01 2020-01-01T00:00:00.1234567890Z
        2020-01-01T00:00:00+0000 20200101T000000Z 2020-01-01_00:00:00Z 1577836800 0000-01-01T00:00:00Z
        2020-W01-1T00:00:00Z -2020-01-01T00:00:00Z +002020-01-01T00:00:00Z""".split()
    + ["", "2020-01-01 00:00:00Z", "2020-01-01T00:00:00Z\n", " 2020-01-01T00:00:00Z"]
    + damaged("2020-10-21T10:20:30.5+01:30"),
    "date": """2020-01-01 2020-12-31 2020-02-29 2000-02-29 9999-12-31 2019-02-29 1900-02-29 2020-02-30
        2020-04-31 2020-06-31 2020-09-31 2020-11-31 2020-01-32 2020-13-01 2020-00-01 2020-01-00
        2020-1-1 20-01-01 20200101 2020/01/01 01-01-2020 2020-01 2020 x 2020-01-01T00:00:00
        2020-01-01T00:00:00Z 2020-01-01T12:00:00Z 0000-01-01 1577836800 -2020-01-01
        2020-01-010""".split()
    + ["", " 2020-01-01", "2020-01-01\n"]
    + damaged("2020-10-21"),
}


class Service:
    """A FastAPI application that keeps what its endpoints get."""

    def __init__(self):
        self.app = FastAPI()
        self.result = None

        @self.app.exception_handler(RequestValidationError)
        async def keep_problems(_request, error):
            self.result = {"problems": [shown(problem) for problem in jsonable_encoder(error.errors())]}
            return PlainTextResponse("")

    def add(self, path, kind, source):
        async def endpoint(value):
            self.result = {"value": plain(value)}
            return PlainTextResponse("")

        endpoint.__annotations__ = {"value": Annotated[kind, source]}
        self.app.post(path)(endpoint)

    def call(self, path, query="", body=""):
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(b"content-type", b"application/json")],
        }

        async def receive():
            return {"type": "http.request", "body": body.encode()}

        async def send(_message):
            pass

        self.result = None
        asyncio.run(self.app(scope, receive, send))
        return self.result


def shown(problem):
    """D14: without an input that is too large."""
    text = json.dumps(problem["input"], ensure_ascii=False, separators=(",", ":"))
    if len(text.encode("utf-8", "surrogatepass")) > 1024:
        del problem["input"]
    return problem


def plain(value):
    """The value as JSON has it. A member that is absent and has no default is none."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, BaseModel):
        members = {name: getattr(value, name) for name in type(value).model_fields}
        absent = {name for name, member in members.items() if member is None} - value.model_fields_set
        return {name: plain(member) for name, member in members.items() if name not in absent}
    return value


def write(value):
    """JSON in which infinity is 1e400, and what is not a number is null."""
    if isinstance(value, float) and math.isnan(value):
        return "null"
    if isinstance(value, float) and math.isinf(value):
        return "1e400" if value > 0 else "-1e400"
    if isinstance(value, list):
        return "[" + ",".join(write(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(json.dumps(k) + ":" + write(v) for k, v in value.items()) + "}"
    return json.dumps(value)


def bodies(name):
    """The texts of the bodies for a model."""
    decoder = json.JSONDecoder()
    for line in BODIES + (OBJECTS if name in NO_PARAMETERS else []):
        while line := line.strip():
            _, end = decoder.raw_decode(line)
            yield line[:end]
            line = line[end:]
    for large in ["a" * 1022, "a" * 1023, ["a" * 600, "b" * 600], {"x": "a" * 2000}]:
        yield json.dumps(large)


def marked(outcome, value):
    """The outcome with THE_INPUT for the value, so that others have the same outcome."""

    def mark(found):
        return THE_INPUT if write(found) == write(value) else found

    if "value" in outcome:
        return {"value": mark(outcome["value"])}
    problems = outcome["problems"]
    return {"problems": [p | {"input": mark(p["input"])} if "input" in p else p for p in problems]}


def main():
    service = Service()
    for way, source in {"body": Body(), "text": Query(), "fastapi": Body()}.items():
        for name, kind in models(way).items():
            if way != "text" or name not in NO_PARAMETERS:
                service.add(f"/{way}/{name}", kind, source)
    lines = {}

    def add(line, text):
        lines.setdefault(write(line), []).append(text)

    for name in models("body"):
        for body in bodies(name):
            value = json.loads(body)
            outcome = marked(service.call(f"/body/{name}", body=body), value)
            fastapi = marked(service.call(f"/fastapi/{name}", body=body), value)
            deviation = {} if write(fastapi) == write(outcome) else {"fastapi": fastapi}
            add({"model": name, "way": "body"} | outcome | deviation, body)
    for name in [name for name in models("text") if name not in NO_PARAMETERS]:
        for texts in TEXTS:
            query = "&".join(f"value={quote(text)}" for text in texts)
            value = texts if name.startswith("array") else texts[-1]
            outcome = marked(service.call(f"/text/{name}", query), value)
            add({"model": name, "way": "query"} | outcome, texts)
    for name, kind in FORMATS.items():
        service.add(f"/format/{name}", kind, Body())
        for text in FORMAT_TEXTS[name]:
            outcome = service.call(f"/format/{name}", body=json.dumps(text))
            add({"format": name, "isValid": "value" in outcome}, text)
    path = pathlib.Path(__file__).with_name("pydantic-cases.jsonl")
    table = [line[:-1] + ',"inputs":' + write(inputs) + "}\n" for line, inputs in lines.items()]
    path.write_text("".join(table))
    print(f"{sum(map(len, lines.values()))} cases in {len(lines)} lines of {path}")


main()
