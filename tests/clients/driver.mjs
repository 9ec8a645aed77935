// Runs a list of MCP requests with an official TypeScript client and prints what it saw, as JSON.
//
// The plan on standard input is that of `driver.py`, with one key more: `client` is `sdk`
// (`@modelcontextprotocol/sdk`, 1.x) or `client` (`@modelcontextprotocol/client`, 2.x).
// MXCP_CLIENTS names the folder that holds `node_modules`.

import { createRequire } from 'node:module';
import { text } from 'node:stream/consumers';

const require = createRequire(`${process.env.MXCP_CLIENTS}/`);
const identity = { name: 'mxcp-tests', version: '1.0.0' };

// Each flavour: how to load the pieces, and how to read the revision that was agreed.
const flavours = {
  sdk(plan) {
    if ((plan.mode ?? 'legacy') !== 'legacy') throw new Error('the 1.x SDK speaks legacy revisions alone');
    const base = '@modelcontextprotocol/sdk/client';
    const { StreamableHTTPClientTransport } = require(`${base}/streamableHttp.js`);
    const { StdioClientTransport } = require(`${base}/stdio.js`);
    const { Client } = require(`${base}/index.js`);
    const client = new Client(identity, { capabilities: {} });
    return { client, StreamableHTTPClientTransport, StdioClientTransport, protocol: transport => transport.protocolVersion };
  },
  client(plan) {
    const { Client, StreamableHTTPClientTransport } = require('@modelcontextprotocol/client');
    const { StdioClientTransport } = require('@modelcontextprotocol/client/stdio');
    const mode = ['legacy', 'auto'].includes(plan.mode ?? 'auto') ? (plan.mode ?? 'auto') : { pin: plan.mode };
    const client = new Client(identity, { capabilities: {}, versionNegotiation: { mode } });
    return { client, StreamableHTTPClientTransport, StdioClientTransport, protocol: () => client.getNegotiatedProtocolVersion() };
  },
};

const steps = {
  tools: client => client.listTools(),
  call: (client, name, args) => client.callTool({ name, arguments: args }),
  resources: client => client.listResources(),
  templates: client => client.listResourceTemplates(),
  read: (client, uri) => client.readResource({ uri }),
  prompts: client => client.listPrompts(),
  prompt: (client, name, args) => client.getPrompt({ name, arguments: args }),
  ping: client => client.ping(),
};

const plan = JSON.parse(await text(process.stdin));
const { client, StreamableHTTPClientTransport, StdioClientTransport, protocol } = flavours[plan.client](plan);
const transport = plan.url
  ? new StreamableHTTPClientTransport(new URL(plan.url), { requestInit: { headers: plan.headers ?? {} } })
  : new StdioClientTransport({ command: plan.command[0], args: plan.command.slice(1), cwd: plan.cwd, env: plan.env });

await client.connect(transport);
const results = [];
for (const [name, ...args] of plan.steps) {
  try {
    results.push(await steps[name](client, ...args));
  } catch (error) {
    if (typeof error.code !== 'number') throw error;
    results.push({ error: { code: error.code, message: error.message, data: error.data } });
  }
}
process.stdout.write(
  JSON.stringify({
    protocol: protocol(transport) ?? null,
    server: client.getServerVersion() ?? null,
    capabilities: client.getServerCapabilities() ?? null,
    steps: results,
  }),
);
await client.close();
