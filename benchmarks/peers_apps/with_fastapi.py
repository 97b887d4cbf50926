"""FastAPI with a pydantic model in and one out, under uvicorn: `python with_fastapi.py PORT`."""

from __future__ import annotations

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI
from graph import COLUMNS, answer
from pydantic import BaseModel, create_model

fields: dict[str, Any] = dict.fromkeys(COLUMNS, (float, ...))
Row: Any = create_model("Row", **fields)


class Answer(BaseModel):
    p: list[float]


def predict(row: Any) -> Answer:
    return Answer(p=answer(row.__dict__))


app = FastAPI()


async def route(row: Any) -> Answer:
    return predict(row)


route.__annotations__ = {
    "row": Row,
    "return": Answer,
}  # the model is made of the columns, so no name stands for it above
app.post("/predict", response_model=Answer)(route)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="error")
