"""The Gradio page: shell, context, jobs, shelf, theme."""
