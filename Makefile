# Everything from a fresh machine that has Python 3.11+ and make: `make demo` shows it work, `make test` proves it.
PYTHON ?= python3
BIN := .venv/bin
DATA ?= $(or $(TRADEWIND_DATA),../shared/data)

.PHONY: help install demo test check format quality bench serving generation peers faults corpus language tuning generated reasons coverage privacy robustness fairness speech service recommend translation lock clean

help:
	@grep -E '^[a-z]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

install: .venv/installed  ## fill .venv with the pinned packages

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Tradewind needs Python 3.11 or newer"'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

demo: install  ## raw cases to a signed release and a prediction
	@$(BIN)/python examples/breast-cancer/demo.py demo

test: install  ## all tests
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

check: install  ## style, types, floors
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/ruff format --check src tests benchmarks examples
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff check --fix src tests benchmarks examples
	$(BIN)/ruff format src tests benchmarks examples

quality: install  ## quality with default settings beside the peers' baselines, on $(DATA)
	$(BIN)/python benchmarks/quality.py --data $(DATA)

bench: install  ## speed beside the floor or a peer
	$(BIN)/python benchmarks/speed.py

serving: install  ## the HTTP API beside a server that does none of what is sold
	cd benchmarks && ../$(BIN)/python serving.py

generation: install  ## writing beside ONNX Runtime GenAI, transformers and llama.cpp on the same weights
	$(BIN)/python benchmarks/generation.py

peers: .venv-peers/installed  ## fill .venv-peers with the servers that `make serving` sets beside ours

.venv-peers/installed: benchmarks/peers.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/peers.txt
	@touch $@

faults: install  ## money after kill -9, a quota race and an outage, on SQLite and PostgreSQL
	cd benchmarks && ../$(BIN)/python faults.py --kills 300 --outage 60
	cd benchmarks && ../$(BIN)/python faults.py --kills 300 --outage 60 --database postgres

corpus: install  ## 50 MB of text cleaned, deduplicated, tokenised and packed, beside HF datasets and datasketch
	cd benchmarks && ../$(BIN)/python corpus.py --data $(abspath $(DATA))

language: install  ## tinyshakespeare trained, beside a plain PyTorch loop and the Trainer of transformers
	cd benchmarks && ../$(BIN)/python language.py --data $(abspath $(DATA))

tuning: install  ## questions to a bank: a small model fine-tuned on pairs, its answers' loss, ends and preferences
	cd benchmarks && ../$(BIN)/python fine_tuning.py --data $(abspath $(DATA))

robustness: install  ## chest X-rays learnt plainly and against FGSM, both attacked
	$(BIN)/python benchmarks/robustness.py --data $(DATA)

reasons: install  ## reason codes of one row on one core beside shap, on $(DATA)
	$(BIN)/python benchmarks/reasons.py --data $(DATA)

generated: install  ## 10,000 generated requests to a real server: no 5xx
	cd benchmarks && ../$(BIN)/python generated.py

coverage: install  ## coverage of conformal sets and intervals on real data beside the promise
	cd benchmarks && ../$(BIN)/python coverage.py --data $(abspath $(DATA))

privacy: install  ## what a privacy budget costs, and the membership audit, on real data
	cd benchmarks && ../$(BIN)/python privacy.py --data $(abspath $(DATA))

fairness: install  ## fair training on $(DATA) beside fairlearn's ExponentiatedGradient
	cd benchmarks && ../$(BIN)/python fairness.py --data $(abspath $(DATA))

speech: install  ## log-mel spectra beside torch and transformers, commands beside simple models
	$(BIN)/python benchmarks/audio.py

service: install  ## new intents by a few examples, search over 100,000 passages, how well it finds, when it answers
	$(BIN)/python benchmarks/service.py --data $(DATA)

recommend: install  ## a recommender on $(DATA) beside simple ones, the best of a million items, seconds an epoch
	$(BIN)/python benchmarks/recommendation.py --data $(DATA)

translation: install  ## a translator on $(DATA) from scratch, beside a table of words; its speed beside transformers
	$(BIN)/python benchmarks/translation.py --data $(DATA)

lock: install  ## write requirements.lock from what .venv holds
	$(BIN)/python -m pip freeze --exclude-editable | sed -E 's/\+cpu$$//' | grep -vE ' @ |^-e |^tradewind' > requirements.lock

clean:
	rm -rf .venv demo
