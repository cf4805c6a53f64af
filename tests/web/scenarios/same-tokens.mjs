// The page and the program for a computer draw the same tokens from the same seed.

import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzipSync } from "node:zlib";

import { SMALL, started } from "../settings.mjs";

export const what = "the same seed gives the same tokens here and natively (ARTUNE_NATIVE: path of the program)";
export const limit = 900;

/** At least this share of the tokens has to be the same: a rounding may tip a draw over. */
const SHARE = 0.999;
const ONE = { ...SMALL, updates: 1, eval_samples: 16, seed: 5 };
/** By the processor and by a graphics card, here and there; about two thousand tokens each. */
const CASES = [
    { device: "cpu", settings: { ...ONE, model: "small", prompts: 4, num_generations: 8 } },
    { device: "cpu", settings: { ...ONE, prompts: 8, num_generations: 16 } },
    { device: "gpu", settings: { ...ONE, prompts: 8, num_generations: 16 } },
];

export async function run({ site, open, out }) {
    const said = [];
    for (const { device, settings } of CASES) {
        const native = await recorded(settings, join(out, "same-tokens.json.gz"));
        const visit = await open();
        await visit.visit(`${started(site, settings)}&device=${device}`);
        const { status } = await visit.until("the update is made", (s) => s.state === "finished", 400);
        visit.clean();
        await visit.page.close();
        const [here, there] = [status.gallery.tokens.flat(), native.flat()];
        if (here.length < 2000 || here.length !== there.length) {
            throw new Error(`${here.length} tokens here and ${there.length} natively`);
        }
        const share = here.filter((token, i) => token === there[i]).length / here.length;
        if (!(share >= SHARE)) throw new Error(`${settings.model} on ${device}: ${(100 * share).toFixed(2)} % are the same`);
        said.push(`${settings.model} on ${status.device}: ${(100 * share).toFixed(2)} % of ${here.length}`);
    }
    return said.join("; ");
}

/** The tokens of the same update as the program for a computer draws them, by the processor. */
async function recorded(settings, file) {
    const target = process.env.CARGO_TARGET_DIR ?? join(homedir(), ".cache/artune/target");
    const program = process.env.ARTUNE_NATIVE ?? join(target, "release/artune");
    const set = Object.entries(settings).flatMap(([name, value]) => ["--set", `${name}=${value}`]);
    await promisify(execFile)(program, ["record", "--device", "cpu", ...set, "--out", file]);
    const { gallery } = JSON.parse(gunzipSync(readFileSync(file)));
    return gallery.groups.flatMap((group) => group.samples.map((sample) => sample.tokens));
}
