// Checks of every page: structure, width, contrast, text size and keyboard focus.

import assert from "node:assert/strict";
import { join } from "node:path";

const VIEWS = [390, 1280].flatMap((width) => ["light", "dark"].map((scheme) => ({ width, scheme })));
let pictures = 0;

/** Collects the errors that the browser reports, such as violations of a page's policy. */
export function collectErrors(page) {
    const found = [];
    page.on("pageerror", (error) => found.push(`${error}`));
    page.on("console", (message) => {
        // Error pages have such a status.
        const status = /the server responded with a status of 4/.test(message.text());
        if (["error", "warn"].includes(message.type()) && !status) {
            found.push(message.text());
        }
    });
    return found;
}

/**
 * Checks a page in a narrow and a wide window, in light and dark colours, and with the keyboard.
 * PICTURES in the environment names a folder to keep pictures in.
 */
export async function look(page, name, { lang = "en", main = 1 } = {}) {
    for (const { width, scheme } of VIEWS) {
        await page.setViewport({ width, height: 844 });
        await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
        if (process.env.PICTURES) {
            const file = `${String(pictures++).padStart(3, "0")}-${name}-${width}-${scheme}.png`;
            await page.screenshot({ path: join(process.env.PICTURES, file.replaceAll(" ", "-")) });
        }
        for (const frame of page.frames()) {
            const seen = await frame.evaluate(describe);
            const where = `${name}, ${width} px, ${scheme}, ${frame.url().replace(/\?.*/, "")}`;
            assert.equal(seen.lang, lang, where);
            assert.notEqual(seen.title.trim(), "", where);
            assert.equal(seen.h1, 1, `${where}: one h1`);
            assert.equal(seen.main, frame.parentFrame() ? 0 : main, `${where}: one main element`);
            assert.ok(seen.tooWide <= 0, `${where}: ${seen.tooWide} px too wide`);
            assert.deepEqual(seen.faint, [], `${where}: contrast too low`);
            assert.deepEqual(seen.small, [], `${where}: text too small`);
        }
    }
    await walk(page, name);
}

/** Describes a page; runs inside it. */
function describe() {
    const channels = (colour) => colour.match(/[\d.]+/g).map(Number);
    const light = (colour) => {
        const [r, g, b] = channels(colour).map((value) => {
            const part = value / 255;
            return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const colour = getComputedStyle(at).backgroundColor;
            if ((channels(colour)[3] ?? 1) === 1) {
                return colour;
            }
        }
        const dark = getComputedStyle(document.documentElement).colorScheme.includes("dark");
        return dark && matchMedia("(prefers-color-scheme: dark)").matches ? "rgb(18, 18, 18)" : "rgb(255, 255, 255)";
    };
    const [faint, small] = [[], []];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const text = texts.currentNode.data.trim();
        const element = texts.currentNode.parentElement;
        if (!text || !element.checkVisibility()) {
            continue;
        }
        const style = getComputedStyle(element);
        const [one, other] = [light(style.color), light(behind(element))].sort((a, b) => b - a);
        const ratio = (one + 0.05) / (other + 0.05);
        if (ratio < 4.5) {
            faint.push(`${text.slice(0, 40)}: ${ratio.toFixed(2)}`);
        }
        if (parseFloat(style.fontSize) < 14) {
            small.push(`${text.slice(0, 40)}: ${style.fontSize}`);
        }
    }
    const root = document.documentElement;
    return {
        lang: root.lang,
        title: document.title,
        h1: document.querySelectorAll("h1").length,
        main: document.querySelectorAll("main, [role=main]").length,
        tooWide: root.scrollWidth - root.clientWidth,
        faint,
        small,
    };
}

/** Expects that the Tab key reaches every link in reading order, with a visible focus. */
async function walk(page, name) {
    const links = await page.$$eval("a[href]", (all) => all.map((one) => one.getAttribute("href")));
    await page.evaluate(() => document.activeElement?.blur());
    const visited = [];
    for (let steps = 0; steps < links.length; steps++) {
        await page.keyboard.press("Tab");
        const at = await page.evaluate(() => {
            const element = document.activeElement;
            const style = getComputedStyle(element);
            const marked = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
            return { link: element.getAttribute("href"), marked };
        });
        assert.ok(at.marked, `${name}: the focus on ${at.link} is not visible`);
        visited.push(at.link);
    }
    assert.deepEqual(visited, links, `${name}: focus order`);
}
