"""A recipe for other engines: vLLM, llama.cpp, and whatever loads a checkpoint of transformers."""
