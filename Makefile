# The two commands that set everything up on a fresh machine.
.PHONY: demo test

# Builds the clinic, serves it, calls it as two different people, shows the audit trail.
demo:
	@.ci/demo

# Runs every test, the real MCP clients included.
test:
	@.ci/test
