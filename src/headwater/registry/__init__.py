"""The registry: versioned definitions of a project, and the plan and apply that change them.

`build` makes a plan, `explain` prints it, `apply` executes it; `state` reads definitions and
resolves references; `store` opens the backend that keeps it all.
"""
