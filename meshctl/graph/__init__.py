"""Pictures of the mesh: who calls whom, how, and what is wrong there.

The facts are those of the resolved model; what is drawn depends on nothing else, so the same spec gives the same bytes.
"""
