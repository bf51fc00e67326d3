"""Agent frameworks and model clients: each module copies what one of them does into a run.

Rule: no module here imports a framework when it is imported, so that nobody needs one that they do not use.
"""
