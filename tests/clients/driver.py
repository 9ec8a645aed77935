"""Runs a list of MCP requests with the official Python client and prints what it saw, as JSON.

The plan is read from standard input:

    {"url": "http://…" | "command": ["mxcp-runtime", …], "cwd": …, "headers": {…},
     "mode": "legacy" | "auto" | "2026-07-28",
     "steps": [["tools"], ["call", NAME, {…}], ["resources"], ["templates"], ["read", URI],
               ["prompts"], ["prompt", NAME, {…}], ["ping"], ["expire"]],
     "oauth": {"redirect": "http://127.0.0.1:…/…"}}

With `oauth` the client logs in as the server tells it to; a browser without a window agrees to
everything. `expire` makes the client believe that its access token is over.

The answer is one object: `protocol`, `server`, `capabilities`, `logins` (how often the browser was
needed), `tokens` (how many the client got), and `steps` with the result of each step or
`{"error": {"code", "message", "data"}}`.
"""

import asyncio
import json
import re
import sys
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx2
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata


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


async def run(client, steps, login):
    results = []
    for name, *arguments in steps:
        if name == "expire":
            expire(login)
            results.append({})
            continue
        try:
            results.append(wire(await STEPS[name](client, *arguments)))
        except MCPError as error:
            results.append({"error": wire(error.error)})
    return results


class Login:
    """A person with a browser, and what the client remembers of their login."""

    def __init__(self, url, redirect):
        self.redirect, self.came_back = redirect, None
        self.info, self.token, self.logins, self.tokens = None, None, 0, 0
        metadata = OAuthClientMetadata(
            client_name="mxcp tests", redirect_uris=[redirect], token_endpoint_auth_method="none",
            grant_types=["authorization_code", "refresh_token"],
        )
        self.provider = OAuthClientProvider(url, metadata, self, self.browse, self.callback)

    async def get_tokens(self):
        return self.token

    async def set_tokens(self, tokens):
        self.token, self.tokens = tokens, self.tokens + 1

    async def get_client_info(self):
        return self.info

    async def set_client_info(self, info):
        self.info = info

    async def browse(self, url):
        self.logins += 1
        async with httpx2.AsyncClient(timeout=30) as browser:
            page = await browser.get(url)
            ticket = re.search(r'name="ticket" value="([^"]+)"', page.text)[1]
            form = {"ticket": ticket, "decision": "allow"}
            page = await browser.post(urljoin(url, "consent"), data=form)
            while True:
                place = urljoin(str(page.url), page.headers["location"])
                if place.startswith(self.redirect):
                    break
                page = await browser.get(place)
        self.came_back = {name: values[0] for name, values in parse_qs(urlsplit(place).query).items()}

    async def callback(self):
        back = self.came_back
        return AuthorizationCodeResult(code=back["code"], state=back.get("state"), iss=back.get("iss"))


def expire(login):
    login.provider.context.token_expiry_time = 1


async def main():
    plan = json.load(sys.stdin)
    timeout = plan.get("timeout_s", 30)
    login = Login(plan["url"], plan["oauth"]["redirect"]) if "oauth" in plan else None
    auth = login.provider if login else None
    async with httpx2.AsyncClient(headers=plan.get("headers", {}), timeout=timeout, auth=auth) as http:
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
                "steps": await run(client, plan["steps"], login),
            }
            if login:
                report["logins"], report["tokens"] = login.logins, login.tokens
    json.dump(report, sys.stdout)


asyncio.run(main())
