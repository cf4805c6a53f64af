// The page from its link to the last update, as a visitor sees it.

import { join } from "node:path";

import { SMALL, started } from "../settings.mjs";
import { filled } from "../png.mjs";
import { turn } from "../mouse.mjs";

export const what = "a link runs ten updates, a knob is turned by mouse, nothing complains";
export const limit = 300;

/** Less of the screen than this, and it is empty: the start screen has 0.02, a panel 0.18, the window 0.5. */
const FILLED = 0.25;
/** Milliseconds between two frames at most, while the processor computes, draws and pretends to be a graphics card. */
const LONGEST = 8000;

export async function run({ site, open, out }) {
    const visit = await open();
    await visit.visit(`${started(site, { preset: "full", ...SMALL })}&device=gpu`);
    const first = await visit.until("the first pictures are drawn", (s) => s.gallery?.pictures > 0, 120);
    await visit.longestFrame();
    await visit.until("a second update is made", (s) => s.update >= 2, 120);
    const knob = await turn(visit, ["temperature", "guidance", "learning_rate", "beta", "epsilon"]);
    const { status, seconds } = await visit.until("all updates are made", (s) => s.state === "finished", 200);
    const gap = await visit.longestFrame();

    check(status.renderer === "webgpu" && /swiftshader/i.test(status.device), `it ran on ${status.device}`);
    check(gap < LONGEST, `the page stood still for ${gap} ms`);
    check(status.update === SMALL.updates, `it stopped at update ${status.update}`);
    const curves = Object.entries(status.series);
    check(curves.length > 0, "there are no curves");
    for (const [name, points] of curves) {
        check(points.length === SMALL.updates, `${name} has ${points.length} points`);
        check(points.every(([, y]) => Number.isFinite(y)), `${name} has values that are no numbers`);
        check(points.every(([x], i) => i === 0 || x > points[i - 1][0]), `${name} goes back`);
    }
    const picture = await visit.page.screenshot({ path: join(out, "run.png") });
    check(filled(picture) >= FILLED, "the screen is empty");
    visit.clean();
    const longest = `longest time between two frames ${gap} ms`;
    return `${status.device}, first pictures after ${first.seconds.toFixed(0)} s, ${knob}, ` +
        `${curves.length} curves, the rest in ${seconds.toFixed(0)} s, ${longest}`;
}

function check(holds, otherwise) {
    if (!holds) throw new Error(otherwise);
}
