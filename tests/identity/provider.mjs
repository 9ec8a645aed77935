// A real identity provider for the tests: npm `oidc-provider` on a loopback port.
//
//   node provider.mjs PORT CONFIGURATION
//
// CONFIGURATION is JSON: {clients: […], people: {ID: {claims}}, ttl: seconds of access tokens}.
// Whoever comes is logged in as the person that `login_hint` names, and consents to everything.
// Access tokens for resources whose URL ends with `opaque` are opaque, all others signed.
// POST /test/rotate puts a new signing key before the others, POST /test/withdraw leaves it alone.
// MXCP_CLIENTS names the folder that holds `node_modules`.

import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(`${process.env.MXCP_CLIENTS}/`);
const { default: Provider } = await import(pathToFileURL(require.resolve('oidc-provider')));

const port = Number(process.argv[2]);
const { clients, people, ttl = 300 } = JSON.parse(process.argv[3]);
const issuer = `http://127.0.0.1:${port}`;

let made = 0;
function newKey() {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  made += 1;
  return { ...privateKey.export({ format: 'jwk' }), kid: `key-${made}`, use: 'sig', alg: 'ES256' };
}

let keys = [newKey()];
let provider;
start();

function start() {
  provider = new Provider(issuer, {
    clients,
    jwks: { keys },
    cookies: { keys: ['only for tests'] },
    pkce: { required: () => true },
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    scopes: ['openid', 'offline_access', 'profile', 'email', 'read', 'write'],
    claims: {
      openid: ['sub', 'role', 'permissions', 'groups', 'department'],
      profile: ['name', 'preferred_username'],
      email: ['email', 'email_verified'],
    },
    conformIdTokenClaims: false,
    ttl: { AccessToken: ttl, IdToken: 300, Grant: 3600, Session: 3600, Interaction: 300 },
    issueRefreshToken: async (ctx, client) => client.grantTypeAllowed('refresh_token'),
    findAccount: async (ctx, id) => people[id] && { accountId: id, claims: async () => ({ sub: id, ...people[id] }) },
    extraTokenClaims: async (ctx, token) => token.accountId && { role: people[token.accountId]?.role },
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    features: {
      devInteractions: { enabled: false },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true, allowedPolicy: () => true },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => undefined,
        useGrantedResource: () => true,
        getResourceServerInfo: (ctx, resource) => ({
          scope: 'read write',
          audience: resource,
          accessTokenTTL: ttl,
          accessTokenFormat: resource.endsWith('opaque') ? 'opaque' : 'jwt',
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  });
  provider.on('server_error', (ctx, error) => console.error(error));
}

async function interact(request, response) {
  const { prompt, params, session } = await provider.interactionDetails(request, response);
  if (prompt.name === 'login') {
    const accountId = people[params.login_hint] ? params.login_hint : Object.keys(people)[0];
    return provider.interactionFinished(request, response, { login: { accountId } });
  }
  const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  if (prompt.details.missingOIDCScope) grant.addOIDCScope(prompt.details.missingOIDCScope.join(' '));
  if (prompt.details.missingOIDCClaims) grant.addOIDCClaims(prompt.details.missingOIDCClaims);
  for (const [resource, scopes] of Object.entries(prompt.details.missingResourceScopes ?? {})) {
    grant.addResourceScope(resource, scopes.join(' '));
  }
  const grantId = await grant.save();
  return provider.interactionFinished(request, response, { consent: { grantId } }, { mergeWithLastSubmission: true });
}

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, issuer);
  if (request.method === 'POST' && pathname.startsWith('/test/')) {
    if (pathname === '/test/rotate') keys = [newKey(), ...keys];
    if (pathname === '/test/withdraw') keys = keys.slice(0, 1);
    start();
    response.end(JSON.stringify({ kid: keys[0].kid }));
  } else if (pathname.startsWith('/interaction/')) {
    interact(request, response).catch((error) => {
      console.error(error);
      response.writeHead(500).end();
    });
  } else {
    provider.callback()(request, response);
  }
});
server.listen(port, '127.0.0.1');
