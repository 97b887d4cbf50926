"""Names of the files of a knowledge base, for who writes them (`data/knowledge_index.py`) and who reads (`engines/`).

manifest.json     format, counts, the encoder, how words and vectors are weighed, how sure an answer is
passages.jsonl    a passage a line: text, heading, lines, question
documents.jsonl   a document a line: name, source, title, language, tags
terms.txt         a term a line; terms.offsets.npy says where its postings begin in terms.rows.npy and terms.counts.npy
lengths.npy       terms of each passage; passages.documents.npy, the number of its document
vectors.npy       float16, a row a passage, each of length 1; vectors.usearch where passages are many
encoder/          encoder.onnx and tokenizer.json of a text encoder; or lsa.npy, made from the passages themselves
"""

FOLDER = "knowledge"  # of a release
MANIFEST = "manifest.json"
PASSAGES, DOCUMENTS = "passages.jsonl", "documents.jsonl"
TERMS, OFFSETS, ROWS, COUNTS = "terms.txt", "terms.offsets.npy", "terms.rows.npy", "terms.counts.npy"
LENGTHS, BELONGS = "lengths.npy", "passages.documents.npy"
VECTORS, GRAPH = "vectors.npy", "vectors.usearch"
ENCODER, LSA, LSA_TERMS = "encoder", "lsa.npy", "lsa.terms.npy"
FORMAT = 1
EXACT = 20_000  # passages up to which all vectors are compared; more have a graph of neighbours
