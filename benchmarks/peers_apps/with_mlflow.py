"""Saves a pyfunc model for `mlflow models serve`: `python with_mlflow.py FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import mlflow.pyfunc


class Model(mlflow.pyfunc.PythonModel):
    def load_context(self, context: Any) -> None:
        from graph import COLUMNS, answers

        self.columns, self.answers = COLUMNS, answers

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return self.answers(model_input[self.columns].to_numpy())


if __name__ == "__main__":
    here = Path(__file__).parent
    mlflow.pyfunc.save_model(
        sys.argv[1], python_model=Model(), code_paths=[str(here / "graph.py")], pip_requirements=[]
    )
