// Tests of the page in a browser: node run.mjs [--dist FOLDER] [--out FOLDER] [--list] [SCENARIO...]
//
// Without names all scenarios run, one after another, each within its time. The last line counts them; the exit status
// is 1 if one failed.

import { mkdirSync, readdirSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";

import { launch } from "./browser.mjs";
import { serve } from "./server.mjs";

/** Where the page lies on its host: not at the top, as on most of them. */
const BASE = "/some/where/";

const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { dist: { type: "string" }, out: { type: "string" }, list: { type: "boolean" } },
});
const here = new URL("./scenarios/", import.meta.url);
const files = readdirSync(here).filter((name) => name.endsWith(".mjs")).sort();
const all = await Promise.all(files.map(async (name) => ({ name: name.slice(0, -4), ...(await import(here + name)) })));
if (values.list) {
    all.forEach(({ name, what }) => console.log(`${name.padEnd(18)}${what}`));
    process.exit(0);
}
const unknown = positionals.filter((name) => !all.some((scenario) => scenario.name === name));
if (unknown.length) {
    console.error(`no such scenario: ${unknown.join(", ")}; there are ${all.map(({ name }) => name).join(", ")}`);
    process.exit(2);
}
const dist = resolve(values.dist ?? "dist");
const out = resolve(values.out ?? "/tmp/artune-web");
mkdirSync(out, { recursive: true });

/** Runs one scenario on a host and a browser of its own; whether it passed. */
async function play({ name, limit, browser: wish, run }) {
    const began = Date.now();
    let site, browser, timer;
    const late = new Promise((_, fail) => {
        timer = setTimeout(() => fail(new Error(`not done after ${limit} s`)), limit * 1000);
    });
    let verdict;
    try {
        site = await serve(dist, BASE);
        browser = await launch(wish);
        const note = await Promise.race([run({ name, site, open: browser.open, out }), late]);
        verdict = ["passed", note];
    } catch (error) {
        verdict = ["FAILED", error.message.split("\n")[0]];
    }
    clearTimeout(timer);
    await browser?.close().catch(() => {});
    site?.close();
    const seconds = Math.round((Date.now() - began) / 1000);
    console.log(`${verdict[0]}  ${name} (${seconds} s)${verdict[1] ? `: ${verdict[1]}` : ""}`);
    return verdict[0] === "passed";
}

let passed = 0;
const chosen = all.filter(({ name }) => !positionals.length || positionals.includes(name));
for (const scenario of chosen) passed += await play(scenario);
console.log(`${passed} passed, ${chosen.length - passed} failed`);
process.exit(passed === chosen.length ? 0 : 1);
