// Nobody looks: the page lets the processor rest, and goes on when it is looked at again.

import { sleep } from "../browser.mjs";
import { SMALL, started } from "../settings.mjs";

export const what = "a hidden tab pauses, and goes on by itself when it is shown again";
export const limit = 240;

/** Seconds within which a piece of work may still end, and for which nothing may happen then. */
const SETTLE = 10;
const REST = 8;

/** Hides and shows the page at the test's word, since a browser without a screen shows every tab: no frames either. */
function hideable() {
    let hidden = false;
    let waiting = [];
    Object.defineProperty(document, "hidden", { get: () => hidden });
    Object.defineProperty(document, "visibilityState", { get: () => (hidden ? "hidden" : "visible") });
    const request = window.requestAnimationFrame.bind(window);
    window.requestAnimationFrame = (draw) => (hidden ? waiting.push(draw) : request(draw));
    window.hide_page = (whether) => {
        hidden = whether;
        document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
        if (!hidden) waiting.splice(0).forEach((draw) => request(draw));
    };
}

export const browser = { scripts: [hideable] };

export async function run({ site, open }) {
    const visit = await open();
    await visit.visit(started(site, { ...SMALL, updates: 500 }));
    await visit.until("an update is made", (s) => s.update >= 1, 150);
    await visit.page.evaluate(() => window.hide_page(true));
    await sleep(SETTLE * 1000);
    const before = await visit.status();
    await sleep(REST * 1000);
    const after = await visit.status();
    if (after.update !== before.update) throw new Error(`hidden, it went on from update ${before.update}`);
    await visit.page.evaluate(() => window.hide_page(false));
    const { seconds } = await visit.until("it goes on", (s) => s.update > after.update, 60);
    visit.clean();
    return `rested at update ${after.update} (${after.state}), the next one ${seconds.toFixed(0)} s after it was shown`;
}
