// A browser without WebGPU: the processor computes, and the page says so. `no-adapter` is the same for another cause.

import { join } from "node:path";

import { SMALL, started } from "../settings.mjs";

export const what = "without WebGPU the page computes on the CPU, and says so";
export const limit = 240;

function removeWebgpu() {
    delete Navigator.prototype.gpu;
}

export const browser = { webgpu: false, scripts: [removeWebgpu] };

export async function run({ site, open, out, name }) {
    const visit = await open();
    await visit.visit(started(site, { ...SMALL, updates: 2 }));
    const { status } = await visit.until("two updates are made", (s) => s.state === "finished", 200);
    await visit.page.screenshot({ path: join(out, `${name}.png`) });
    visit.clean();
    if (!/^CPU/.test(status.device)) throw new Error(`the device is called "${status.device}"`);
    if (status.renderer !== "webgl") throw new Error(`it is drawn by ${status.renderer}`);
    if (!status.series.reward?.every(([, y]) => Number.isFinite(y))) throw new Error("it learnt from no reward");
    return `${status.device}, drawn by ${status.renderer}`;
}
