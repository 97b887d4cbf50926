from tests.tiny_decoder import tiny_genai, tiny_hf

__all__ = ["tiny_genai", "tiny_hf"]
