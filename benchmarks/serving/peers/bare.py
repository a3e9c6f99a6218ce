"""The least that serves a compiled model, without checks and counts: ``python bare.py MODEL.onnx asgi|rsgi PORT``.

What lies between this and ours is what the features cost; between this and ``static.py``, parsing and the model.
"""

import sys

import numpy as np
import onnxruntime as ort
import orjson
from static import app as static

HEADERS = [(b"content-type", b"application/json")]


def scorer(path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    inputs, output = session.get_inputs(), [session.get_outputs()[-1].name]
    texts = ["string" in given.type for given in inputs]

    def score(body: bytes) -> bytes:
        rows = orjson.loads(body)["dataframe_split"]["data"]
        if len(inputs) == 1:
            feed = {inputs[0].name: np.array(rows, np.float64)}
        else:
            columns = zip(inputs, texts, zip(*rows, strict=True), strict=True)
            feed = {i.name: np.array(c, object if text else np.float64)[:, None] for i, text, c in columns}
        return orjson.dumps({"predictions": session.run(output, feed)[0]}, option=orjson.OPT_SERIALIZE_NUMPY)

    return score


def asgi(score):
    async def app(scope, receive, send):
        if scope["path"] != "/invocations":
            await static(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        answer = score(body)
        headers = [*HEADERS, (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    return app


class Rsgi:
    def __init__(self, score):
        self.score = score

    async def __rsgi__(self, scope, protocol):
        protocol.response_bytes(200, [("content-type", "application/json")], self.score(await protocol()))


def main() -> None:
    path, kind, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if kind == "asgi":
        import uvicorn

        uvicorn.run(asgi(scorer(path)), port=port, access_log=False, log_level="warning", lifespan="off")
        return
    import uvloop
    from granian.constants import Interfaces
    from granian.server.embed import Server

    server = Server(Rsgi(scorer(path)), port=port, interface=Interfaces.RSGI, log_enabled=False, websockets=False)
    uvloop.run(server.serve())


if __name__ == "__main__":
    main()
