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
    const finish = (transport, back) => transport.finishAuth(back.get('code'));
    return { client, StreamableHTTPClientTransport, StdioClientTransport, finish, protocol: transport => transport.protocolVersion };
  },
  client(plan) {
    const { Client, StreamableHTTPClientTransport } = require('@modelcontextprotocol/client');
    const { StdioClientTransport } = require('@modelcontextprotocol/client/stdio');
    const mode = ['legacy', 'auto'].includes(plan.mode ?? 'auto') ? (plan.mode ?? 'auto') : { pin: plan.mode };
    const client = new Client(identity, { capabilities: {}, versionNegotiation: { mode } });
    const finish = (transport, back) => transport.finishAuth(back);
    return { client, StreamableHTTPClientTransport, StdioClientTransport, finish, protocol: () => client.getNegotiatedProtocolVersion() };
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

// A person with a browser that has no window and agrees to everything, and what the client
// remembers of their login.
class Login {
  logins = 0;
  received = 0;

  constructor(redirectUrl) {
    this.redirectUrl = redirectUrl;
    this.clientMetadata = {
      client_name: 'mxcp tests',
      redirect_uris: [redirectUrl],
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
    };
  }

  clientInformation() { return this.information; }
  saveClientInformation(information) { this.information = information; }
  tokens() { return this.kept; }
  saveTokens(tokens) { this.kept = tokens; this.received += 1; }
  saveCodeVerifier(verifier) { this.verifier = verifier; }
  codeVerifier() { return this.verifier; }
  state() { return 'state-of-the-client'; }
  expire() { this.kept = { ...this.kept, access_token: 'over' }; }

  async redirectToAuthorization(url) {
    this.logins += 1;
    const jars = {};
    const visit = async (address, options = {}) => {
      const { origin } = new URL(address);
      const jar = (jars[origin] ??= {});
      const cookie = Object.entries(jar).map(pair => pair.join('=')).join('; ');
      const reply = await fetch(address, { redirect: 'manual', headers: cookie ? { cookie } : {}, ...options });
      for (const line of reply.headers.getSetCookie()) {
        const [name, value] = line.split(';')[0].split(/=(.*)/s);
        jar[name] = value;
      }
      return reply;
    };
    const page = await (await visit(url)).text();
    const ticket = /name="ticket" value="([^"]+)"/.exec(page)[1];
    const consent = new URL('consent', url);
    const cookie = Object.entries(jars[consent.origin]).map(pair => pair.join('=')).join('; ');
    const body = new URLSearchParams({ ticket, decision: 'allow' });
    let [place, reply] = [consent, await visit(consent, { method: 'POST', body, headers: { cookie } })];
    for (;;) {
      place = new URL(reply.headers.get('location'), place);
      if (place.href.startsWith(this.redirectUrl)) break;
      reply = await visit(place);
    }
    this.back = place.searchParams;
  }
}

const plan = JSON.parse(await text(process.stdin));
const { client, StreamableHTTPClientTransport, StdioClientTransport, finish, protocol } = flavours[plan.client](plan);
const login = plan.oauth && new Login(plan.oauth.redirect);
const open = () => plan.url
  ? new StreamableHTTPClientTransport(new URL(plan.url), { authProvider: login, requestInit: { headers: plan.headers ?? {} } })
  : new StdioClientTransport({ command: plan.command[0], args: plan.command.slice(1), cwd: plan.cwd, env: plan.env });

let transport = open();
try {
  await client.connect(transport);
} catch (error) {
  if (!login?.back) throw error;
  await finish(transport, login.back);
  transport = open();
  await client.connect(transport);
}
const results = [];
for (const [name, ...args] of plan.steps) {
  if (name === 'expire') {
    login.expire();
    results.push({});
    continue;
  }
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
    ...(login && { logins: login.logins, tokens: login.received }),
  }),
);
await client.close();
