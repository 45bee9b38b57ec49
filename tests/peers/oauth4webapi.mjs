// jeton's authorization server with oauth4webapi, the strictest reader of answers: each is checked as it comes.
//
//   node oauth4webapi.mjs machine|person|device|refused
import * as oauth from 'oauth4webapi';
import { failure, step, told } from './talk.mjs';

const { issuer, id, secret, redirect_uri, audience } = await told();

// Plain http is for a broker on this machine; leave this out where it has https.
const local = { [oauth.allowInsecureRequests]: true };
const discover = async (algorithm) => {
  const url = new URL(issuer);
  return oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, { algorithm, ...local }));
};
const server = await discover('oidc');
const client = { client_id: id };
const proof = secret ? oauth.ClientSecretBasic(secret) : oauth.None();

async function clientCredentials(client, authentication, parameters = {}) {
  const answer = await oauth.clientCredentialsGrantRequest(server, client, authentication, parameters, local);
  return oauth.processClientCredentialsResponse(server, client, answer);
}

async function introspect(token) {
  const answer = await oauth.introspectionRequest(server, client, proof, token, local);
  return oauth.processIntrospectionResponse(server, client, answer);
}

async function refresh(token) {
  const answer = await oauth.refreshTokenGrantRequest(server, client, proof, token, local);
  return oauth.processRefreshTokenResponse(server, client, answer);
}

// What a resource server does with an access token (RFC 9068 §4).
function validate(token, audience = issuer) {
  const request = new Request('https://api.example/', { headers: { authorization: `Bearer ${token}` } });
  return oauth.validateJwtAccessToken(server, request, audience, local);
}

// A program that speaks for itself: client_credentials, by each way to authenticate.
async function machine() {
  for (const algorithm of ['oidc', 'oauth2']) step('discovered', await discover(algorithm));
  const jtis = new Set();
  for (const authentication of [proof, oauth.ClientSecretPost(secret)]) {
    const tokens = await clientCredentials(client, authentication);
    const claims = await validate(tokens.access_token);
    jtis.add(claims.jti);
    step('token', { scope: tokens.scope, claims });
  }
  const { privateKey, publicKey } = await oauth.generateKeyPair('ES256', { extractable: true });
  step('key', { jwk: await crypto.subtle.exportKey('jwk', publicKey) });
  const signer = { client_id: (await told()).id };
  const tokens = await clientCredentials(signer, oauth.PrivateKeyJwt(privateKey), { scope: 'binb:read' });
  const claims = await validate(tokens.access_token);
  jtis.add(claims.jti);
  step('token', { scope: tokens.scope, claims, jtis: jtis.size });
  const elsewhere = await failure(() => validate(tokens.access_token, 'https://terms.example'));
  step('elsewhere', { code: elsewhere.code });
}

// A web application: a person signs in, and it acts for the person.
async function person() {
  const [verifier, state, nonce] = [
    oauth.generateRandomCodeVerifier(),
    oauth.generateRandomState(),
    oauth.generateRandomNonce(),
  ];
  const url = new URL(server.authorization_endpoint);
  url.search = new URLSearchParams({
    client_id: id,
    response_type: 'code',
    redirect_uri,
    scope: 'openid profile offline_access',
    state,
    nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  });
  step('authorize', { url });
  // Checks `state`, and that it was jeton that answered (`iss`, RFC 9207).
  const back = new URL((await told()).back);
  const unnamed = new URL(back);
  unnamed.searchParams.delete('iss');
  const mixedUp = await failure(() => oauth.validateAuthResponse(server, client, unnamed, state));
  step('mixed up', { code: mixedUp.code });
  const parameters = oauth.validateAuthResponse(server, client, back, state);
  const redeemed = await oauth.authorizationCodeGrantRequest(
    server, client, proof, parameters, redirect_uri, verifier, local,
  );
  const tokens = await oauth.processAuthorizationCodeResponse(server, client, redeemed, {
    expectedNonce: nonce,
    requireIdToken: true,
  });
  // Optional where the token came over TLS from the issuer itself; here the signature is looked at as well.
  await oauth.validateApplicationLevelSignature(server, redeemed, local);
  const { sub } = oauth.getValidatedIdTokenClaims(tokens);
  step('tokens', { ...tokens, claims: await validate(tokens.access_token), sub });
  const userinfo = await oauth.userInfoRequest(server, client, tokens.access_token, local);
  step('userinfo', await oauth.processUserInfoResponse(server, client, sub, userinfo));
  step('introspected', await introspect(tokens.access_token));
  const exchanged = await oauth.genericTokenEndpointRequest(
    server, client, proof, 'urn:ietf:params:oauth:grant-type:token-exchange',
    {
      subject_token: tokens.access_token,
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      audience,
    },
    local,
  );
  step('exchanged', await oauth.processGenericTokenEndpointResponse(server, client, exchanged));

  const next = await refresh(tokens.refresh_token);
  step('refreshed', next);
  const revoked = await oauth.revocationRequest(server, client, proof, next.access_token, local);
  await oauth.processRevocationResponse(revoked);
  step('revoked', await introspect(next.access_token));
  for (const token of [tokens.refresh_token, next.refresh_token]) {
    const error = await failure(() => refresh(token));
    step('dead', { name: error.name, error: error.error });
  }
}

// A program without a browser, which asks when the test says so.
async function device() {
  const begun = await oauth.deviceAuthorizationRequest(server, client, proof, { scope: 'openid' }, local);
  const device = await oauth.processDeviceAuthorizationResponse(server, client, begun);
  step('device', device);
  while (await told()) {
    const asked = await oauth.deviceCodeGrantRequest(server, client, proof, device.device_code, local);
    try {
      step('tokens', await oauth.processDeviceCodeResponse(server, client, asked));
      return;
    } catch (error) {
      if (!(error instanceof oauth.ResponseBodyError)) throw error;
      step('not yet', { error: error.error });
    }
  }
}

// Bad requests, and the library's typed error for each.
async function refused() {
  const post = async (grant, parameters = {}, authentication = proof, as = client) => {
    const answer = await oauth.genericTokenEndpointRequest(server, as, authentication, grant, parameters, local);
    return oauth.processGenericTokenEndpointResponse(server, as, answer);
  };
  const own = await post('client_credentials');
  const exchange = 'urn:ietf:params:oauth:grant-type:token-exchange';
  const calls = {
    'wrong secret in the header': () => post('client_credentials', {}, oauth.ClientSecretBasic('100 %:+é')),
    'unknown client': () => post('client_credentials', {}, proof, { client_id: 'no %:+é body' }),
    'wrong secret in the form': () => post('client_credentials', {}, oauth.ClientSecretPost('100 %:+é')),
    'no authentication': () => post('client_credentials', {}, oauth.None()),
    'unknown grant': () => post('password', { username: 'ada', password: 'x' }),
    'unknown scope': () => post('client_credentials', { scope: 'binb:read nonsense' }),
    'unknown resource': () => post('client_credentials', { resource: 'https://nowhere.example' }),
    'doubled scope': () => post('client_credentials', [['scope', 'binb:read'], ['scope', 'apps:read']]),
    'another kind of client': () => post(exchange, { audience, subject_token: own.access_token,
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token' }),
    'unknown refresh token': () => refresh('x'),
    'userinfo with a machine': async () => {
      const answer = await oauth.userInfoRequest(server, client, own.access_token, local);
      return oauth.processUserInfoResponse(server, client, oauth.skipSubjectCheck, answer);
    },
    'userinfo with nonsense': async () => {
      const answer = await oauth.userInfoRequest(server, client, 'a.b.c', local);
      return oauth.processUserInfoResponse(server, client, oauth.skipSubjectCheck, answer);
    },
    'introspection unauthenticated': async () => {
      const wrong = oauth.ClientSecretBasic('wrong');
      const answer = await oauth.introspectionRequest(server, client, wrong, own.access_token, local);
      return oauth.processIntrospectionResponse(server, client, answer);
    },
    'revocation unauthenticated': async () => {
      const wrong = oauth.ClientSecretBasic('wrong');
      const answer = await oauth.revocationRequest(server, client, wrong, own.access_token, local);
      return oauth.processRevocationResponse(answer);
    },
  };
  for (const [what, call] of Object.entries(calls)) {
    const error = await failure(call);
    const [challenge] = error instanceof oauth.WWWAuthenticateChallengeError ? error.cause : [];
    step('refused', {
      what,
      name: error.name,
      status: error.status,
      error: error.error ?? challenge?.parameters.error ?? null,
      scheme: challenge?.scheme ?? null,
    });
  }
}

await { machine, person, device, refused }[process.argv[2]]();
