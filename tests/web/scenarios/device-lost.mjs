// A graphics card that goes away in the middle of a run, as drivers do when they restart.

import { SMALL, started } from "../settings.mjs";

export const what = "the run goes on when the device is lost, and loses one update at most";
export const limit = 300;

const UPDATES = 8;

/** Keeps every device that the page asks for, so that the test can take it away. */
function keepDevices() {
    if (typeof GPUAdapter === "undefined") return;
    const request = GPUAdapter.prototype.requestDevice;
    window.devices_kept = [];
    GPUAdapter.prototype.requestDevice = async function (...wishes) {
        const device = await request.apply(this, wishes);
        window.devices_kept.push(device);
        return device;
    };
}

export const browser = { scripts: [keepDevices] };

export async function run({ site, open }) {
    const visit = await open();
    await visit.visit(`${started(site, { ...SMALL, updates: UPDATES })}&device=gpu`);
    const { status } = await visit.until("two updates are made", (s) => s.update >= 2, 150);
    const lost = await visit.page.evaluate(() => {
        const devices = window.devices_kept.splice(0);
        devices.forEach((device) => device.destroy());
        return devices.length;
    });
    if (!lost) throw new Error("the page never asked for a device");
    await visit.until("the page begins again", (s) => s.state === "loading", 30);
    let lowest = status.update;
    const finished = (s) => {
        lowest = Math.min(lowest, s.update ?? lowest);
        return s.state === "finished";
    };
    const { status: last, seconds } = await visit.until("the run is finished", finished, 200);
    if (lowest < status.update - 1) throw new Error(`it fell back from update ${status.update} to ${lowest}`);
    for (const [name, points] of Object.entries(last.series)) {
        const updates = points.map(([x]) => x);
        const whole = updates.length === UPDATES && new Set(updates).size === UPDATES;
        if (!whole) throw new Error(`${name} has points at ${updates.join(", ")}`);
    }
    // The browser itself speaks of lost devices.
    visit.clean(/lost|destroy/i);
    return `${lost} devices lost at update ${status.update}, ${UPDATES} made ${seconds.toFixed(0)} s later`;
}
