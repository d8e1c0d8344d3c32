// What users see of the server, in a real browser: the mails and SMS that it
// captures, and the pages behind their links. It prints a line for each step; the
// first failure ends it with a nonzero exit code.
//
// tests/js/pages.rs starts it, and passes the addresses in WALK.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

import { collectErrors, look } from "./sight.mjs";

const at = JSON.parse(process.env.WALK);
const resolve = createRequire(`${at.modules}/`).resolve;
const { default: puppeteer } = await import(pathToFileURL(resolve("puppeteer-core")));
const V1 = `${at.server}/_matrix/identity/api/v1`;
const V2 = `${at.server}/_matrix/identity/v2`;

const browser = await puppeteer.launch({
    executablePath: "/usr/bin/chromium",
    // Only this machine can be reached. Chromium has no sandbox for root.
    args: ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--disable-dev-shm-usage"].concat(
        process.getuid() === 0 ? ["--no-sandbox"] : [],
    ),
});
const page = await browser.newPage();
const violations = collectErrors(page);

async function post(path, fields, query = "") {
    const response = await fetch(`${V1}/${path}${query}`, { method: "POST", body: new URLSearchParams(fields) });
    const answer = await response.json();
    assert.equal(response.status, 200, JSON.stringify(answer));
    return answer;
}

/** Opens the captured message to an address from the list. */
async function openMessage(to) {
    for (let tries = 0; ; tries++) {
        await page.goto(at.captured);
        const message = await page.$(`.mails a ::-p-text(${to})`);
        if (message) {
            await Promise.all([page.waitForNavigation(), message.click()]);
            return;
        }
        assert.ok(tries < 200, `no message to ${to}`);
        await new Promise((soon) => setTimeout(soon, 100));
    }
}

/** The HTML part of the open message. */
async function htmlPart() {
    const frame = await page.$("iframe");
    return await frame.contentFrame();
}

/** Clicks a link of the HTML part, and waits for the tab that it opens. */
async function follow(text) {
    const link = await (await htmlPart()).waitForSelector(`a ::-p-text(${text})`);
    const [tab] = await Promise.all([
        new Promise((opened) => browser.once("targetcreated", (target) => opened(target.page()))),
        link.click(),
    ]);
    const violations = collectErrors(tab);
    await tab.waitForSelector("h1");
    return { tab, violations };
}

let attempts = 0;
/** Requests a mail, and opens it. */
async function mailed(address, fields = {}, query = "") {
    const request = { email: address, client_secret: "secret", send_attempt: ++attempts, ...fields };
    const { sid } = await post("validate/email/requestToken", request, query);
    await openMessage(address);
    return sid;
}

/** Expects a page with this heading and sentence, in every view. */
async function expectPage(tab, name, heading, sentence, view) {
    assert.equal(await tab.$eval("h1", (h1) => h1.innerText), heading);
    assert.match(await tab.$eval("main p", (p) => p.innerText), sentence);
    await look(tab, name, view);
}

async function isValidated(sid) {
    const query = new URLSearchParams({ sid, client_secret: "secret" });
    return (await fetch(`${V1}/3pid/getValidated3pid?${query}`)).ok;
}

async function expectFailure(address, name, heading, sentence) {
    const answer = await page.goto(address);
    assert.equal(answer.status(), 400);
    await expectPage(page, name, heading, sentence);
}

const steps = {
    async "the folder of captured mail is empty"() {
        await page.goto(at.captured);
        await look(page, "empty list");
    },

    async "a mail with its link, and the page behind it"() {
        const sid = await mailed("alice@example.org");
        assert.equal(await (await htmlPart()).$eval("h1", (h1) => h1.innerText), "Confirm your email address");
        await look(page, "mail");
        const html = await browser.newPage();
        await html.goto(`${page.url()}/html`);
        await look(html, "mail alone", { main: 0 });
        await html.close();
        assert.equal(await isValidated(sid), false);
        const { tab, violations } = await follow("Confirm this address");
        await expectPage(tab, "confirmed", "Address confirmed", /^Your email address is confirmed\./);
        assert.deepEqual(violations, []);
        assert.equal(await isValidated(sid), true);
        await tab.close();
    },

    async "links that do not confirm an address say why"() {
        await mailed(`${"a-long-address".repeat(4)}@example.org`);
        await look(page, "long address");
        const link = new URL(await (await htmlPart()).$eval("a", (a) => a.href));
        link.searchParams.set("token", "wrong");
        await expectFailure(link.href, "wrong token", "Address not confirmed", /^This link has expired or is incomplete/);
        await expectFailure(at.expired, "expired", "Address not confirmed", /^This link has expired\./);
    },

    async "a link that redirects to the app"() {
        const app = createServer((_, response) => {
            response.setHeader("Content-Type", "text/html").end("<!DOCTYPE html><h1>The app</h1>");
        });
        await new Promise((listening) => app.listen(0, "127.0.0.1", listening));
        const next_link = `http://127.0.0.1:${app.address().port}/#/validated`;
        const sid = await mailed("carol@example.org", { next_link });
        const { tab } = await follow("Confirm this address");
        assert.equal(tab.url(), `${next_link}?sid=${sid}`);
        assert.equal(await tab.evaluate(() => document.referrer), "");
        await tab.close();
        app.closeAllConnections();
        app.close();
    },

    async "the page of a brand"() {
        const { name, heading, lang } = at.brand;
        await mailed("dave@example.org", {}, `?brand=${name}`);
        const { tab, violations } = await follow("Confirm this address");
        await expectPage(tab, "brand", heading, /^Your email address is confirmed\./, { lang });
        assert.deepEqual(violations, []);
        await tab.close();
    },

    async "an SMS with a code, and the page for phone numbers"() {
        const request = { country: "GB", phone_number: "07700 900001", client_secret: "secret", send_attempt: 1 };
        const { sid } = await post("validate/msisdn/requestToken", request);
        await openMessage("447700900001");
        await look(page, "text message");
        const [code] = /\b[0-9]{6}\b/.exec(await page.$eval(".text", (text) => text.innerText));
        const address = (token) =>
            `${V2}/validate/msisdn/submitToken?${new URLSearchParams({ sid, client_secret: "secret", token })}`;
        const wrong = code === "000000" ? "111111" : "000000";
        await expectFailure(address(wrong), "wrong code", "Number not confirmed", /^This code is not valid\./);
        await page.goto(address(code));
        await expectPage(page, "number confirmed", "Number confirmed", /^Your phone number is confirmed\./);
        assert.equal(await isValidated(sid), true);
    },

    async "invitations to a room and to a space"() {
        const from = { medium: "email", room_id: "!room:example.org", sender: "@alice:example.org" };
        const named = { ...from, room_name: "Garden", sender_display_name: "Alice" };
        for (const [address, kind, fields] of [
            ["erin@example.org", "room", named],
            ["frank@example.org", "space", { ...named, room_type: "m.space" }],
            ["grace@example.org", "room", from],
        ]) {
            await post("store-invite", { ...fields, address });
            await openMessage(address);
            await look(page, `invitation to a ${kind}`);
            const html = await htmlPart();
            assert.match(await html.$eval("h1", (h1) => h1.innerText), new RegExp(`^You are invited to a ${kind} `));
            const link = new URL(await html.$eval("a.button", (a) => a.href));
            assert.equal(link.origin, "https://app.element.io");
            const [room, query] = link.hash.split("?");
            assert.equal(decodeURIComponent(room), `#/room/${from.room_id}`);
            const parameters = new URLSearchParams(query);
            assert.equal(parameters.get("email"), address);
            assert.ok(parameters.get("signurl").startsWith(at.server));
            assert.equal(parameters.get("room_type") ?? "", fields.room_type ?? "");
        }
    },

    async "the list of captured mail"() {
        await page.goto(at.captured);
        await look(page, "list");
    },

    async "no page requests what its policy forbids"() {
        assert.deepEqual(violations, []);
    },
};

try {
    for (const [name, step] of Object.entries(steps)) {
        await step().catch((error) => {
            error.message = `FAILED: ${name}\n${error.message}`;
            throw error;
        });
        console.log(`ok: ${name}`);
    }
} finally {
    await browser.close();
}
