// How fast the page is, against the program for a computer on the same machine: node tests/web/measure.mjs
//
// Both run the same settings one after the other, first by Chromium's own software graphics device (SwiftShader, which
// the program for a computer is made to use by its Vulkan driver file), then by the processor. Medians over the updates
// after the first, which compiles kernels.

import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

import { launch } from "./browser.mjs";
import { serve } from "./server.mjs";
import { SMALL, started } from "./settings.mjs";

const DRIVER = process.env.SWIFTSHADER ?? "/usr/lib/chromium/vk_swiftshader_icd.json";
const target = process.env.CARGO_TARGET_DIR ?? join(homedir(), ".cache/artune/target");
const program = process.env.ARTUNE_NATIVE ?? join(target, "release/artune");
const TINY = { ...SMALL, prompts: 2, num_generations: 4, updates: 6 };
const DEFAULT = { updates: 3, eval_every: 0, sample_every: 0, checkpoint_every: 0 };
const CASES = [
    { what: "tiny, 8 pictures, SwiftShader", page: "gpu", native: "swiftshader", settings: TINY },
    { what: "tiny, 8 pictures, processor", page: "cpu", native: "cpu", settings: TINY },
    { what: "default run, processor", page: "cpu", native: "cpu", settings: DEFAULT },
];
const SERIES = ["time/generate", "step_time"];

const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
const later = (points) => median(points.filter(([update]) => update > 1).map(([, value]) => value));

async function inPage({ page, settings }) {
    const site = await serve(resolve("dist"), "/some/where/");
    const browser = await launch();
    const visit = await browser.open();
    const began = Date.now();
    const since = () => (Date.now() - began) / 1000;
    await visit.visit(`${started(site, settings)}&device=${page}`);
    await visit.until("it is ready", (s) => s.state === "running", 300);
    const ready = since();
    await visit.until("pictures are there", (s) => s.gallery.pictures > 0, 300);
    const pictures = since();
    await visit.until("there is a curve", (s) => s.series.reward?.length > 0, 300);
    const curve = since();
    const { status } = await visit.until("it is finished", (s) => s.state === "finished", 600);
    await browser.close();
    site.close();
    return { ready, pictures, curve, ...Object.fromEntries(SERIES.map((name) => [name, later(status.series[name])])) };
}

async function natively({ native, settings }) {
    const out = join(mkdtempSync(join(tmpdir(), "artune-")), "run");
    const set = Object.entries(settings).flatMap(([name, value]) => ["--set", `${name}=${value}`]);
    const env = native === "cpu" ? process.env : { ...process.env, VK_ICD_FILENAMES: DRIVER };
    await promisify(execFile)(program, ["tune", "--device", native, ...set, "--out", out], { env });
    const lines = readFileSync(join(out, "metrics.jsonl"), "utf8").trim().split("\n").map((line) => JSON.parse(line));
    const updates = lines.filter((line) => "step_time" in (line.metrics ?? line));
    return Object.fromEntries(
        SERIES.map((name) => [name, later(updates.map((line) => [line.update, (line.metrics ?? line)[name]]))]),
    );
}

console.log("| run | ready | first pictures | first curve | rollout, page / native | update, page / native |");
console.log("|---|---|---|---|---|---|");
for (const run of CASES) {
    if (run.native === "swiftshader" && !existsSync(DRIVER)) {
        console.log(`| ${run.what} | left out: ${DRIVER} is not there | | | | |`);
        continue;
    }
    const [here, there] = [await inPage(run), await natively(run)];
    const pair = (name) =>
        `${here[name].toFixed(2)} / ${there[name].toFixed(2)} s: speed ${(there[name] / here[name]).toFixed(2)}`;
    const seconds = [here.ready, here.pictures, here.curve].map((s) => `${s.toFixed(0)} s`);
    console.log(`| ${[run.what, ...seconds, pair("time/generate"), pair("step_time")].join(" | ")} |`);
}
process.exit(0);
