"""The workbench as a Hugging Face Space: on a CPU, or on a GPU that is there for one job at a time (ZeroGPU)."""
