"""Google's own CEL, as an oracle: reads cases as JSON lines, prints what each expression says.

A case is {"typed": bool, "check": bool, "expression": text, "values": {name: value}}: whether variables have
their types, and whether the expression is checked at all. A value is a list of its kind and its content, as
`canonical` prints them. An answer is one line: `refused MESSAGE`, `error`, or the
canonical form of the value.
"""

import datetime
import json
import struct
import sys

from cel_expr_python import cel
from cel_expr_python.ext import ext_bindings, ext_encoders, ext_math, ext_optional, ext_strings

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
MICRO = datetime.timedelta(microseconds=1)
T = cel.Type
TYPES = {
    "b": T.BOOL, "i": T.INT, "j": T.INT, "u": T.UINT, "d": T.DOUBLE, "s": T.STRING, "t": T.STRING,
    "y": T.BYTES, "ts": T.TIMESTAMP, "du": T.DURATION, "li": T.List(T.INT), "ls": T.List(T.STRING),
    "ld": T.List(T.DYN), "mi": T.Map(T.STRING, T.INT), "md": T.Map(T.STRING, T.DYN), "x": T.DYN,
}  # fmt: skip
EXTENSIONS = [
    ext_bindings.ExtBindings(),
    ext_encoders.ExtEncoders(),
    ext_math.ExtMath(),
    ext_optional.ExtOptional(),
    ext_strings.ExtStrings(),
]
TYPED = cel.NewEnv(variables=TYPES, extensions=EXTENSIONS)
# Numbers without a sign and times have no form in Python that a dynamic variable takes.
KEPT = ("u", "ts", "du")
UNTYPED = cel.NewEnv(
    variables={name: of if name in KEPT else T.DYN for name, of in TYPES.items()},
    extensions=EXTENSIONS,
)


def value(given):
    kind, content = given[0], given[1:]
    if kind == "n":
        return None
    if kind in ("B", "s"):
        return content[0]
    if kind in ("i", "u"):
        return int(content[0])
    if kind == "d":
        return struct.unpack(">d", bytes.fromhex(content[0]))[0]
    if kind == "b":
        return bytes.fromhex(content[0])
    if kind == "t":
        return EPOCH + int(content[0]) * MICRO
    if kind == "D":
        return int(content[0]) * MICRO
    if kind == "l":
        return [value(item) for item in content[0]]
    return {key: value(item) for key, item in content[0]}


def canonical(found):
    kind, inner = str(found.type()), found.value()
    if kind.startswith("LIST"):
        return "l[" + ",".join(canonical(item) for item in inner) + "]"
    if kind.startswith("MAP"):
        entries = sorted(plain(key) + "=" + canonical(item) for key, item in inner.items())
        return "m{" + ",".join(entries) + "}"
    if kind.startswith("TYPE"):
        return "T"
    if kind == "ERROR":
        return "error"
    if kind == "UINT":
        return f"u:{inner}"
    return plain(inner)


def plain(inner):
    if inner is None:
        return "n"
    if isinstance(inner, bool):
        return "B:true" if inner else "B:false"
    if isinstance(inner, int):
        return f"i:{inner}"
    if isinstance(inner, float):
        return "d:nan" if inner != inner else "d:" + struct.pack(">d", inner).hex()
    if isinstance(inner, str):
        return "s:" + inner.encode("utf-8", "surrogatepass").hex()
    if isinstance(inner, (bytes, bytearray)):
        return "b:" + bytes(inner).hex()
    if isinstance(inner, datetime.datetime):
        return f"t:{(inner - EPOCH) // MICRO}"
    if isinstance(inner, datetime.timedelta):
        return f"D:{inner // MICRO}"
    return "?" + str(type(inner))


def answer(case):
    try:
        environment = TYPED if case["typed"] else UNTYPED
        expression = environment.compile(case["expression"], disable_check=not case["check"])
    except RuntimeError as error:
        return "refused " + " ".join(str(error).split())[:160]
    data = {name: value(given) for name, given in case["values"].items()}
    try:
        found = expression.eval(data=data)
    except RuntimeError:
        return "error"
    try:
        return canonical(found)
    except (RuntimeError, TypeError, OverflowError, ValueError) as error:
        return "unprintable " + " ".join(str(error).split())[:160]


for line in sys.stdin:
    print(answer(json.loads(line)), flush=True)
