// Messages that the server wrote into a folder instead of sending them.

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

/** The text of the one message to an address or number; waits for it up to 20 s. */
export async function messageTo(folder, address) {
    for (let tries = 0; tries < 200; tries++) {
        for (const name of await readdir(folder)) {
            const message = name.endsWith(".eml") ? await readFile(join(folder, name), "utf8") : "";
            const [head] = message.split("\r\n\r\n", 1);
            const to = head.split("\r\n").find((line) => line.startsWith("To: "));
            if (to?.includes(address)) {
                return plainText(message);
            }
        }
        await pause(100);
    }
    throw new Error(`no message to ${address}`);
}

/** The first link in a text with that in it. */
export function link(text, part) {
    const found = text.split(/\s+/).find((word) => word.startsWith("http") && word.includes(part));
    if (!found) {
        throw new Error(`no link with ${part} in: ${text}`);
    }
    return found;
}

/** Its text/plain part, or all of it if it has no parts. */
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
