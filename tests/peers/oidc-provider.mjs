// A certified OpenID provider on a free port of this machine, as a third-party program sees it.
//
//   node oidc-provider.mjs REDIRECT_URI [ACCESS_TOKEN_LIFETIME_S] [AUDIENCE]
//
// It has one client (`jeton`, secret `peer-secret`), asks for sign-in and consent on forms of its own, wants PKCE,
// sends `iss`, gives a refresh token with every consent and rotates it at every use; one shown twice ends its
// grant. With an audience its access tokens are JWTs for it (RFC 9068), and its ID tokens tell `preferred_username`;
// whoever signs in as `nameless` has none; there is no userinfo then, which is not for tokens of another audience.
// It prints `ready PORT`. Beside the provider's routes it answers for the test alone:
//   GET  /_test/state    {"grants": how many live, "refreshes": how many succeeded, "refused": token requests that failed}
//   POST /_test/revoke   the person takes every grant back, as on a provider's settings page
import { createServer } from 'node:http';
import { once } from 'node:events';
import { Provider } from 'oidc-provider';

const [redirectUri, lifetime = '3600', audience] = process.argv.slice(2);
if (!redirectUri) throw new Error('the redirect URI of the client is missing');

const server = createServer();
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const { port } = server.address();

const provider = new Provider(`http://localhost:${port}`, {
  clients: [
    {
      client_id: 'jeton',
      client_secret: 'peer-secret',
      redirect_uris: [redirectUri],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'client_secret_post',
    },
  ],
  claims: { openid: ['sub'], email: ['email'], groups: ['groups'], profile: ['preferred_username'] },
  conformIdTokenClaims: !audience,
  cookies: { keys: ['a key of this process alone'] },
  expiresWithSession: () => false,
  extraTokenClaims: (_ctx, token) => ({ groups: groups(token.accountId ?? '') }),
  features: {
    devInteractions: { enabled: true },
    introspection: { enabled: true },
    resourceIndicators: {
      enabled: Boolean(audience),
      defaultResource: () => audience,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        audience,
        scope: 'terms:read',
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
    revocation: { enabled: true },
    userinfo: { enabled: !audience },
  },
  findAccount: (_ctx, id) => ({ accountId: id, claims: () => claims(id) }),
  issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
  pkce: { required: () => true },
  rotateRefreshToken: true,
  ttl: { AccessToken: Number(lifetime), RefreshToken: 86400, Grant: 86400, Interaction: 600, Session: 3600 },
});

// Whoever signs in as `eve.acme.globex` is in the groups `acme` and `globex`; JWT access tokens say so, too.
function claims(id) {
  const named = id === 'nameless' ? {} : { preferred_username: id };
  return { sub: id, email: `${id}@example.com`, groups: groups(id), ...named };
}

function groups(id) {
  return id.split('.').slice(1);
}

const grants = new Set();
let refreshes = 0;
let refused = 0;
provider.on('refresh_token.saved', (token) => grants.add(token.grantId));
provider.on('grant.revoked', (_ctx, id) => grants.delete(id));
provider.on('grant.error', () => (refused += 1));
provider.on('grant.success', (ctx) => {
  if (ctx.oidc.params.grant_type === 'refresh_token') refreshes += 1;
});

async function revoke() {
  for (const id of [...grants]) {
    await provider.RefreshToken.revokeByGrantId(id);
    await provider.AccessToken.revokeByGrantId(id);
    await (await provider.Grant.find(id))?.destroy();
    grants.delete(id);
  }
}

const answer = provider.callback();
server.on('request', async (request, response) => {
  const asked = `${request.method} ${request.url}`;
  if (asked === 'POST /_test/revoke') await revoke();
  else if (asked !== 'GET /_test/state') return answer(request, response);
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ grants: grants.size, refreshes, refused }));
});

console.log(`ready ${port}`);
