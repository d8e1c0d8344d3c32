// Messages that the server wrote into a folder instead of sending them.

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

/** The text of a message to an address; waits for it up to 20 s. */
export async function messageTo(folder, address) {
    return await waitFor(folder, address, (text) => text);
}

/** The link that contains `part`, in a message to an address; waits for it up to 20 s. */
export async function linkTo(folder, address, part) {
    const link = (word) => word.startsWith("http") && word.includes(part);
    return await waitFor(folder, address, (text) => text.split(/\s+/).find(link));
}

async function waitFor(folder, address, find) {
    for (let tries = 0; tries < 200; tries++) {
        for (const name of await readdir(folder)) {
            const message = name.endsWith(".eml") ? await readFile(join(folder, name), "utf8") : "";
            const [head] = message.split("\r\n\r\n", 1);
            const to = head.split("\r\n").find((line) => line.startsWith("To: "));
            const found = to?.includes(address) && find(plainText(message));
            if (found) {
                return found;
            }
        }
        await pause(100);
    }
    throw new Error(`no such message to ${address}`);
}

/** The text/plain part of a message, or all of it if it has no parts. */
function plainText(message) {
    const boundary = /boundary="([^"]+)"/.exec(message)?.[1];
    const parts = boundary ? message.split(`--${boundary}`) : [message];
    const part = parts.find((part) => /^content-type: text\/plain/im.test(part));
    const [head, ...rest] = part.trimStart().split("\r\n\r\n");
    const body = rest.join("\r\n\r\n");
    return /quoted-printable/i.test(head) ? fromQuotedPrintable(body) : body;
}

function fromQuotedPrintable(text) {
    const joined = text.replaceAll("=\r\n", "");
    const bytes = joined.replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
    return Buffer.from(bytes, "latin1").toString("utf8");
}
