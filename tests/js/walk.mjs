// What Element Web does with an identity server, done by the real matrix-js-sdk.
// Where a homeserver acts on behalf of its user (bind, invite), the call is made
// as Synapse makes it. A line is printed for each step; the first that goes wrong
// ends the walk with another exit code than 0.
//
// tests/js/main.rs starts it, and says in WALK where everything is.

import assert from "node:assert/strict";
import { createPublicKey, verify } from "node:crypto";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

import { startHomeserver } from "./homeserver.mjs";
import { link, messageTo } from "./messages.mjs";

const at = JSON.parse(process.env.WALK);
const resolve = createRequire(`${at.modules}/`).resolve;
const sdk = await import(pathToFileURL(resolve("matrix-js-sdk")));
const quiet = { trace() {}, debug() {}, info() {}, warn: console.warn, error: console.error };
quiet.getChild = () => quiet;

const homeserver = await startHomeserver();
const client = sdk.createClient({
    baseUrl: homeserver.url,
    idBaseUrl: at.server,
    userId: at.user,
    accessToken: "a-token-for-the-homeserver",
    logger: quiet,
});

/** An answer to a call that the SDK does not make. */
async function call(method, path, body, token) {
    const response = await fetch(at.server + path, {
        method,
        headers: token ? { Authorization: `Bearer ${token}` } : {},
        body: body && JSON.stringify(body),
    });
    return { status: response.status, json: await response.json() };
}

/** A link of the server's, at the place where the server really is. */
function here(address) {
    assert.ok(address.startsWith(at.base), address);
    return at.server + address.slice(at.base.length);
}

/** What the homeserver does when its user binds an address. */
async function bind(sid, client_secret) {
    const body = { sid, client_secret, mxid: at.user };
    const { status, json } = await call("POST", `${V2}/3pid/bind`, body, token);
    assert.equal(status, 200, JSON.stringify(json));
    return json;
}

async function refused(promise, errcode) {
    const error = await promise.then(() => undefined, (error) => error);
    assert.ok(error instanceof sdk.MatrixError, `${error}`);
    assert.equal(error.errcode, errcode);
    return error;
}

function canonical(value) {
    if (Array.isArray(value)) {
        return `[${value.map(canonical).join(",")}]`;
    }
    if (value === null || typeof value !== "object") {
        return JSON.stringify(value);
    }
    const names = Object.keys(value).sort();
    return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(",")}}`;
}

function isSignedBy({ signatures, unsigned, ...signed }, name, keyId, publicKey) {
    const bytes = Buffer.from(publicKey, "base64");
    const key = createPublicKey({
        key: { kty: "OKP", crv: "Ed25519", x: bytes.toString("base64url") },
        format: "jwk",
    });
    const signature = Buffer.from(signatures[name][keyId], "base64");
    return verify(null, Buffer.from(canonical(signed)), key, signature);
}

const V2 = "/_matrix/identity/v2";
let token;

const steps = {
    async "the settings page finds an identity server"() {
        const response = await fetch(`${at.server}${V2}`);
        assert.ok(response.ok);
        assert.deepEqual(await response.json(), {});
        const versions = await call("GET", "/_matrix/identity/versions");
        assert.ok(Array.isArray(versions.json.versions));
    },

    async "register with the homeserver's OpenID token"() {
        const answer = await client.registerWithIdentityServer(at.openId);
        token = answer.token ?? answer.access_token;
        assert.equal(typeof token, "string");
        const wrong = { ...at.openId, access_token: "not that" };
        await refused(client.registerWithIdentityServer(wrong), "M_UNAUTHORIZED");
    },

    async "nothing before the terms are accepted"() {
        await refused(client.getIdentityAccount(token), "M_TERMS_NOT_SIGNED");
        const email = client.requestEmailToken(at.email, "secret", 1, undefined, token);
        await refused(email, "M_TERMS_NOT_SIGNED");
        await refused(client.getIdentityAccount("not a token"), "M_UNAUTHORIZED");
    },

    async "read the terms in several languages, and accept them one by one"() {
        const { policies } = await client.getTerms(sdk.SERVICE_TYPES.IS, at.server);
        assert.deepEqual(Object.keys(policies).sort(), ["privacy", "terms"]);
        const { version, ...languages } = policies.privacy;
        assert.equal(version, "1.2");
        assert.deepEqual(Object.keys(languages).sort(), ["en", "fr"]);
        const agree = (urls) => client.agreeToTerms(sdk.SERVICE_TYPES.IS, at.server, token, urls);
        assert.deepEqual(await agree([policies.privacy.fr.url]), {});
        await refused(client.getIdentityAccount(token), "M_TERMS_NOT_SIGNED");
        await agree([policies.terms.en.url]);
        assert.deepEqual(await client.getIdentityAccount(token), { user_id: at.user });
    },

    async "validate an e-mail address by the mailed link, and bind it"() {
        const secret = client.generateClientSecret();
        const next = "https://app.example/#/validated";
        // Element counts attempts as a number, and the SDK sends it as text.
        const { sid } = await client.requestEmailToken(at.email, secret, 1, next, token);
        const again = await client.requestEmailToken(at.email, secret, 1, next, token);
        assert.equal(again.sid, sid);
        const early = await call(
            "GET",
            `${V2}/3pid/getValidated3pid?${new URLSearchParams({ sid, client_secret: secret })}`,
            undefined,
            token,
        );
        assert.equal(early.json.errcode, "M_SESSION_NOT_VALIDATED");
        const mailed = link(await messageTo(at.messages, at.email), "/validate/email/submitToken?");
        const visited = await fetch(here(mailed), { redirect: "manual" });
        assert.equal(visited.status, 302);
        assert.ok(visited.headers.get("location").startsWith(next));
        const bound = await bind(sid, secret);
        assert.equal(bound.address, at.email);
        const key = await call("GET", `${V2}/pubkey/ed25519:0`);
        assert.ok(isSignedBy(bound, at.name, "ed25519:0", key.json.public_key));
    },

    async "look addresses up by their hashes"() {
        const asked = [
            [at.email.toUpperCase(), "email"],
            ["nobody@example.com", "email"],
        ];
        const found = await client.identityHashedLookup(asked, token);
        assert.deepEqual(found, [
            { address: at.email.toUpperCase(), mxid: at.user },
        ]);
        const one = await client.lookupThreePid("email", at.email, token);
        assert.deepEqual(one, { address: at.email, medium: "email", mxid: at.user });
        const none = await client.lookupThreePid("email", "nobody@example.com", token);
        assert.deepEqual(none, {});
        const pairs = [["email", at.email], ["msisdn", "15005550006"]];
        const bulk = await client.bulkLookupThreePids(pairs, token);
        assert.deepEqual(bulk, { threepids: [["email", at.email, at.user]] });
    },
};

for (const [name, step] of Object.entries(steps)) {
    await step().catch((error) => {
        console.error(`FAILED: ${name}\n${error.stack}`);
        process.exit(1);
    });
    console.log(`ok: ${name}`);
}
homeserver.stop();
client.stopClient();
