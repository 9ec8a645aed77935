"""Runs a list of MCP requests with the official Python client and prints what it saw, as JSON.

The plan is read from standard input:

    {"url": "http://…" | "command": ["mxcp-runtime", …], "cwd": …, "headers": {…},
     "mode": "legacy" | "auto" | "2026-07-28",
     "steps": [["tools"], ["call", NAME, {…}], ["resources"], ["templates"], ["read", URI],
               ["prompts"], ["prompt", NAME, {…}], ["ping"]]}

The answer is one object: `protocol`, `server`, `capabilities`, and `steps` with the result of each
step or `{"error": {"code", "message", "data"}}`.
"""

import asyncio
import json
import sys

import httpx2
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client


def wire(value):
    """A result as it travelled: the fields that the server sent, no defaults of the client's own."""
    return value.model_dump(by_alias=True, mode="json", exclude_unset=True)


STEPS = {
    "tools": lambda client: client.list_tools(),
    "call": lambda client, name, arguments: client.call_tool(name, arguments),
    "resources": lambda client: client.list_resources(),
    "templates": lambda client: client.list_resource_templates(),
    "read": lambda client, uri: client.read_resource(uri),
    "prompts": lambda client: client.list_prompts(),
    "prompt": lambda client, name, arguments: client.get_prompt(name, arguments),
    "ping": lambda client: client.send_ping(),
}


async def run(client, steps):
    results = []
    for name, *arguments in steps:
        try:
            results.append(wire(await STEPS[name](client, *arguments)))
        except MCPError as error:
            results.append({"error": wire(error.error)})
    return results


async def main():
    plan = json.load(sys.stdin)
    timeout = plan.get("timeout_s", 30)
    async with httpx2.AsyncClient(headers=plan.get("headers", {}), timeout=timeout) as http:
        if "url" in plan:
            server = streamable_http_client(plan["url"], http_client=http)
        else:
            command, *arguments = plan["command"]
            server = StdioServerParameters(command=command, args=arguments, cwd=plan.get("cwd"), env=plan.get("env"))
        async with Client(server, mode=plan.get("mode", "auto"), read_timeout_seconds=timeout, cache=None) as client:
            report = {
                "protocol": client.protocol_version,
                "server": wire(client.server_info) if client.server_info else None,
                "capabilities": wire(client.server_capabilities),
                "steps": await run(client, plan["steps"]),
            }
    json.dump(report, sys.stdout)


asyncio.run(main())
