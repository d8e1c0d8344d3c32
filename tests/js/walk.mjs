// The requests of Element Web to an identity server, sent by the real matrix-js-sdk.
// Where a homeserver acts on behalf of its user (bind, invite), the call is made as
// Synapse makes it. It prints a line for each step; the first failure ends it with a
// nonzero exit code.

import assert from "node:assert/strict";

import { startHomeserver } from "./homeserver.mjs";
import { linkTo, messageTo } from "./messages.mjs";
import { Person, V2, at, call, atServer, refused, sdk } from "./person.mjs";
import { isSignedBy } from "./signatures.mjs";

const homeserver = await startHomeserver();
const alice = new Person(at.alice, homeserver.url);
const bob = new Person(at.bob, homeserver.url);

const steps = {
    async "the settings page finds an identity server"() {
        const response = await fetch(`${at.server}${V2}`);
        assert.ok(response.ok);
        assert.deepEqual(await response.json(), {});
    },

    async "register with the homeserver's OpenID token"() {
        await alice.register();
        const wrong = { ...alice.openId, access_token: "not that" };
        await refused(alice.client.registerWithIdentityServer(wrong), "M_UNAUTHORIZED");
    },

    async "nothing before the terms are accepted"() {
        const { client, token } = alice;
        await refused(client.getIdentityAccount(token), "M_TERMS_NOT_SIGNED");
        const email = client.requestEmailToken(at.email, "secret", 1, undefined, token);
        await refused(email, "M_TERMS_NOT_SIGNED");
        await refused(client.getIdentityAccount("not a token"), "M_UNAUTHORIZED");
    },

    async "read the terms in several languages, and accept them one by one"() {
        const { client, token, user } = alice;
        const { policies } = await client.getTerms(sdk.SERVICE_TYPES.IS, at.server);
        assert.deepEqual(Object.keys(policies).sort(), ["privacy", "terms"]);
        const { version, ...languages } = policies.privacy;
        assert.equal(version, "1.2");
        assert.deepEqual(Object.keys(languages).sort(), ["en", "fr"]);
        assert.deepEqual(await alice.accept([policies.privacy.fr.url]), {});
        await refused(client.getIdentityAccount(token), "M_TERMS_NOT_SIGNED");
        await alice.accept([policies.terms.en.url]);
        assert.deepEqual(await client.getIdentityAccount(token), { user_id: user });
    },

    async "validate an email address by the mailed link, and bind it"() {
        const next = "https://app.example/#/validated";
        const session = await alice.validateEmail(at.email, next);
        assert.equal(session.page.status, 302);
        assert.ok(session.page.headers.get("location").startsWith(next));
        const bound = await alice.bind(session);
        assert.equal(bound.address, at.email);
        const key = await call("GET", `${V2}/pubkey/ed25519:0`);
        assert.ok(isSignedBy(bound, at.name, "ed25519:0", key.json.public_key));
    },

    async "validate a phone number by the code from the SMS, and bind it"() {
        const { client, token } = alice;
        const secret = client.generateClientSecret();
        const request = client.requestMsisdnToken(at.country, at.phone, secret, 1, undefined, token);
        const { sid, msisdn } = await request;
        assert.equal(msisdn, at.msisdn);
        const [code] = /\b[0-9]{6}\b/.exec(await messageTo(at.messages, at.msisdn));
        const wrong = code === "000000" ? "111111" : "000000";
        await refused(client.submitMsisdnToken(sid, secret, wrong, token), "M_TOKEN_INCORRECT");
        const { success } = await client.submitMsisdnToken(sid, secret, code, token);
        assert.equal(success, true);
        assert.equal((await alice.bind({ sid, secret })).address, at.msisdn);
    },

    async "look addresses up by their hashes"() {
        const { client, token, user } = alice;
        const request = [
            [at.email.toUpperCase(), "email"],
            [at.msisdn, "msisdn"],
            ["nobody@example.com", "email"],
        ];
        const found = await client.identityHashedLookup(request, token);
        // The answer is in the order of the hashes.
        found.sort((one, other) => (one.address < other.address ? -1 : 1));
        assert.deepEqual(found, [
            { address: at.msisdn, mxid: user },
            { address: at.email.toUpperCase(), mxid: user },
        ]);
        const one = await client.lookupThreePid("email", at.email, token);
        assert.deepEqual(one, { address: at.email, medium: "email", mxid: user });
        assert.deepEqual(await client.lookupThreePid("email", "nobody@example.com", token), {});
        const pairs = [["email", at.email], ["msisdn", "15005550006"]];
        const bulk = await client.bulkLookupThreePids(pairs, token);
        assert.deepEqual(bulk, { threepids: [["email", at.email, user]] });
    },

    async "invite an address, and join with the link from the mail"() {
        const { room } = at;
        const invite = { medium: "email", room_id: room, sender: alice.user, room_name: "Garden" };
        const known = { ...invite, address: at.email };
        const taken = await call("POST", `${V2}/store-invite`, known, alice.token);
        assert.deepEqual([taken.status, taken.json.errcode], [400, "M_THREEPID_IN_USE"]);
        assert.equal(taken.json.mxid, alice.user);

        const unknown = { ...invite, address: at.invited };
        const { status, json } = await call("POST", `${V2}/store-invite`, unknown, alice.token);
        assert.equal(status, 200, JSON.stringify(json));
        assert.notEqual(json.display_name, at.invited);
        const opened = new URL(await linkTo(at.messages, at.invited, "/#/room/"));
        const parameters = new URLSearchParams(opened.hash.split("?")[1]);
        const inviteSignUrl = atServer(parameters.get("signurl"));
        await bob.client.joinRoom(room, { inviteSignUrl });

        const [{ third_party_signed: signed }] = homeserver.joins;
        const { mxid, sender, token } = signed;
        assert.deepEqual({ mxid, sender, token }, {
            mxid: bob.user,
            sender: alice.user,
            token: json.token,
        });
        const [, ephemeral] = json.public_keys;
        assert.ok(isSignedBy(signed, at.name, "ed25519:0", ephemeral.public_key));
        const query = new URLSearchParams({ public_key: ephemeral.public_key });
        const valid = await fetch(`${atServer(ephemeral.key_validity_url)}?${query}`);
        assert.deepEqual(await valid.json(), { valid: true });
    },

    async "the invited user binds the address, and the homeserver is notified"() {
        await bob.register();
        const { policies } = await bob.client.getTerms(sdk.SERVICE_TYPES.IS, at.server);
        await bob.accept(Object.values(policies).map((policy) => policy.en.url));
        const session = await bob.validateEmail(at.invited);
        assert.equal(session.page.status, 200);
        await bob.bind(session);
        const found = await bob.client.lookupThreePid("email", at.invited, bob.token);
        assert.equal(found.mxid, bob.user);
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
alice.client.stopClient();
bob.client.stopClient();
