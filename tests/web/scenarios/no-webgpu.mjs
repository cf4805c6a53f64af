// A browser without WebGPU: the processor computes, and the page says so. `no-adapter` is the same for another cause.

import { join } from "node:path";

import { SMALL, started } from "../settings.mjs";

export const what = "without WebGPU the page computes on the CPU, or says clearly that it cannot";
export const limit = 240;

function removeWebgpu() {
    delete Navigator.prototype.gpu;
}

export const browser = { webgpu: false, scripts: [removeWebgpu] };

export async function run({ site, open, out, name }) {
    const visit = await open();
    await visit.visit(started(site, { ...SMALL, updates: 2 }));
    const made = visit.until("an update is made", (s) => s.update >= 1, 200).then(({ status }) => status);
    const said = visit.untilProblem(200);
    const answer = await Promise.any([made, said]).catch((errors) => {
        throw errors.errors[0];
    });
    await visit.page.screenshot({ path: join(out, `${name}.png`) });
    visit.clean();
    if (typeof answer === "string") return `it says "${answer}"`;
    if (!/cpu|processor/i.test(answer.device)) throw new Error(`the device is called "${answer.device}"`);
    return `${answer.device}, drawn by ${answer.renderer}`;
}
