"""The HTTP server that llama.cpp brings along, for `generation_api.py`: python llama_server.py MODEL.gguf STREAMS PORT, in the peers'
environment, until its input ends or it is told to."""

from __future__ import annotations

import sys

import xllamacpp

parameters = xllamacpp.CommonParams()
parameters.model.path, streams, parameters.port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
parameters.n_ctx, parameters.n_parallel = 512 * streams, streams
parameters.n_gpu_layers, parameters.warmup, parameters.verbosity = 0, True, -1
server = xllamacpp.Server(parameters)
sys.stdin.read()
