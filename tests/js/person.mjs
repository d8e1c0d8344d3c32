// A user of the homeserver, with a client of the SDK that knows the identity
// server.

import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import assert from "node:assert/strict";

import { linkTo } from "./messages.mjs";

/** The addresses and names that tests/js/main.rs passes. */
export const at = JSON.parse(process.env.WALK);
export const V2 = "/_matrix/identity/v2";

const { resolve } = createRequire(`${at.modules}/`);
export const sdk = await import(pathToFileURL(resolve("matrix-js-sdk")));

const quiet = { trace() {}, debug() {}, info() {}, warn: console.warn, error: console.error };
quiet.getChild = () => quiet;

export class Person {
    constructor({ user, openId }, homeserver) {
        this.user = user;
        this.openId = openId;
        this.client = sdk.createClient({
            baseUrl: homeserver,
            idBaseUrl: at.server,
            userId: user,
            accessToken: "a-token-for-the-homeserver",
            logger: quiet,
        });
    }

    async register() {
        const answer = await this.client.registerWithIdentityServer(this.openId);
        this.token = answer.token ?? answer.access_token;
        assert.equal(typeof this.token, "string");
    }

    accept(urls) {
        return this.client.agreeToTerms(sdk.SERVICE_TYPES.IS, at.server, this.token, urls);
    }

    /** Validates an email address as its owner does; returns the session. */
    async validateEmail(email, next) {
        const secret = this.client.generateClientSecret();
        const { sid } = await this.client.requestEmailToken(email, secret, 1, next, this.token);
        const mailed = await linkTo(at.messages, email, "/validate/email/submitToken?");
        const page = await fetch(atServer(mailed), { redirect: "manual" });
        return { sid, secret, page };
    }

    /** What the homeserver does when its user binds an address. */
    async bind({ sid, secret }) {
        const body = { sid, client_secret: secret, mxid: this.user };
        const { status, json } = await call("POST", `${V2}/3pid/bind`, body, this.token);
        assert.equal(status, 200, JSON.stringify(json));
        return json;
    }
}

/** A call that the SDK does not make. */
export async function call(method, path, body, token) {
    const response = await fetch(at.server + path, {
        method,
        headers: token ? { Authorization: `Bearer ${token}` } : {},
        body: body && JSON.stringify(body),
    });
    return { status: response.status, json: await response.json() };
}

/** A link of the server, with the server's real address. */
export function atServer(address) {
    assert.ok(address.startsWith(at.base), address);
    return at.server + address.slice(at.base.length);
}

/** Expects that the server refuses the SDK's request with this errcode. */
export async function refused(promise, errcode) {
    const error = await promise.then(() => undefined, (error) => error);
    assert.ok(error instanceof sdk.MatrixError, `${error}`);
    assert.equal(error.errcode, errcode);
}
