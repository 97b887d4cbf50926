"""The floor for `serving.py`: Starlette, orjson and ONNX Runtime by hand; no key, no limit, no meter, no journal.

GRAPH=model.onnx COLUMNS=f0,f1 python -m uvicorn bare:app --app-dir benchmarks --no-access-log
"""

from __future__ import annotations

import os

import numpy as np
import onnxruntime as ort
import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = ort.InferenceSession(os.environ["GRAPH"], options, providers=["CPUExecutionProvider"])
columns = os.environ["COLUMNS"].split(",")
(name,) = [item.name for item in session.get_inputs()]


async def predict(request: Request) -> Response:
    row = orjson.loads(await request.body())
    found = session.run(None, {name: np.array([[row[column] for column in columns]], dtype=np.float32)})[0][0]
    return Response(orjson.dumps({"p": found.tolist()}), media_type="application/json")


app = Starlette(routes=[Route("/predict", predict, methods=["POST"])])
