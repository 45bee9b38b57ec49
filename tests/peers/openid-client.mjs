// jeton's authorization server with openid-client, which is certified and checks what it gets.
//
//   node openid-client.mjs machine|person|device
import * as client from 'openid-client';
import { failure, step, told } from './talk.mjs';

const { issuer, id, secret, redirect_uri, audience } = await told();

// Plain http is for a broker on this machine; leave `execute` out where it has https.
const discover = (id, authentication, algorithm = 'oidc') =>
  client.discovery(new URL(issuer), id, undefined, authentication, {
    algorithm,
    execute: [client.allowInsecureRequests],
  });

// A program that speaks for itself: client_credentials, by each way to authenticate.
async function machine() {
  for (const algorithm of ['oidc', 'oauth2']) {
    const config = await discover(id, client.ClientSecretBasic(secret), algorithm);
    step('discovered', { issuer: config.serverMetadata().issuer, pkce: config.serverMetadata().supportsPKCE() });
  }
  for (const authentication of [client.ClientSecretBasic(secret), client.ClientSecretPost(secret)]) {
    const config = await discover(id, authentication);
    step('token', await client.clientCredentialsGrant(config));
  }
  // The private key stays here; its public half is registered as the client's `jwks`.
  const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
  step('key', { jwk: await crypto.subtle.exportKey('jwk', pair.publicKey) });
  const signer = await told();
  const config = await discover(signer.id, client.PrivateKeyJwt(pair.privateKey));
  step('token', await client.clientCredentialsGrant(config, { scope: 'binb:read' }));
  const wrong = await discover(id, client.ClientSecretBasic('wrong: 100 %+é'));
  const error = await failure(() => client.clientCredentialsGrant(wrong));
  step('refused', { name: error.name, status: error.status, scheme: error.cause[0].scheme });
}

// A web application: a person signs in, and it acts for the person.
async function person() {
  const config = await discover(id, client.ClientSecretBasic(secret));
  const checks = {
    pkceCodeVerifier: client.randomPKCECodeVerifier(),
    expectedState: client.randomState(),
    expectedNonce: client.randomNonce(),
    idTokenExpected: true,
  };
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri,
    scope: 'openid profile email offline_access',
    state: checks.expectedState,
    nonce: checks.expectedNonce,
    code_challenge: await client.calculatePKCECodeChallenge(checks.pkceCodeVerifier),
    code_challenge_method: 'S256',
  });
  step('authorize', { url });
  const back = new URL((await told()).back);
  const elsewhere = new URL(back);
  elsewhere.searchParams.set('iss', 'https://other.example');
  const mixedUp = await failure(() => client.authorizationCodeGrant(config, elsewhere, checks));
  step('mixed up', { code: mixedUp.code });

  const tokens = await client.authorizationCodeGrant(config, back, checks);
  const { sub } = tokens.claims();
  step('tokens', { ...tokens, claims: tokens.claims() });
  step('userinfo', await client.fetchUserInfo(config, tokens.access_token, sub));
  step('introspected', await client.tokenIntrospection(config, tokens.access_token));
  const exchanged = await client.genericGrantRequest(config, 'urn:ietf:params:oauth:grant-type:token-exchange', {
    subject_token: tokens.access_token,
    subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    audience,
  });
  step('exchanged', exchanged);

  const next = await client.refreshTokenGrant(config, tokens.refresh_token);
  step('refreshed', { ...next, claims: next.claims() });
  await client.tokenRevocation(config, next.access_token);
  step('revoked', await client.tokenIntrospection(config, next.access_token));
  const reused = await failure(() => client.refreshTokenGrant(config, tokens.refresh_token));
  step('reused', { name: reused.name, error: reused.error });
  const dead = await failure(() => client.refreshTokenGrant(config, next.refresh_token));
  step('dead', { name: dead.name, error: dead.error });
}

// A program without a browser: a person types its code elsewhere, and it asks until that is done.
async function device() {
  const config = await discover(id, client.None());
  const device = await client.initiateDeviceAuthorization(config, { scope: 'openid profile' });
  step('device', device);
  config[client.customFetch] = async (...request) => {
    const answer = await fetch(...request);
    step('answered', { error: (await answer.clone().json()).error });
    return answer;
  };
  // The library waits for five seconds at a time: here, until the test has moved the broker's clock.
  const { setTimeout } = globalThis;
  globalThis.setTimeout = (again, milliseconds, ...rest) => {
    if (milliseconds !== 5000) return setTimeout(again, milliseconds, ...rest);
    step('waits');
    told().then(again);
  };
  const tokens = await client.pollDeviceAuthorizationGrant(config, device);
  step('tokens', { ...tokens, claims: tokens.claims() });
  for (const outcome of ['denied', 'expired']) {
    const refused = await client.initiateDeviceAuthorization(config, { scope: 'openid' });
    step('device', refused);
    const error = await failure(() => client.pollDeviceAuthorizationGrant(config, refused));
    step(outcome, { name: error.name, error: error.error });
  }
}

await { machine, person, device }[process.argv[2]]();
