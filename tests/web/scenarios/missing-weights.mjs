// A file of weights that is not there, and then is.

import { join } from "node:path";

export const what = "missing weights are named in a clear sentence, and trying again helps once they are back";
export const limit = 240;

export async function run({ site, open, out }) {
    const visit = await open();
    site.missing = (path) => path.endsWith("prior.safetensors");
    await visit.visit(site.url);
    const problem = await visit.untilProblem(90);
    if (!/weights|prior/i.test(problem)) throw new Error(`it does not say what is missing: "${problem}"`);
    await visit.page.screenshot({ path: join(out, "missing-weights.png") });
    site.missing = () => false;
    await visit.tryAgain();
    const loaded = (s) => ["paused", "running"].includes(s.state);
    const { seconds } = await visit.until("the weights are loaded", loaded, 120);
    visit.clean(/404|Failed to load resource/);
    return `"${problem}"; loaded ${seconds.toFixed(0)} s after trying again`;
}
