// A teacher's link: what it locks stays as it is, what it hides is not there, and its lesson is read.

import { sleep } from "../browser.mjs";
import { turn } from "../mouse.mjs";

export const what = "a teacher's link locks and hides, and its lesson sets the run";
export const limit = 120;

export async function run({ site, open }) {
    const visit = await open();
    await visit.visit(`${site.url}?lesson=diversity&lock=temperature&hide=log&device=cpu`);
    const { status } = await visit.until("the run is ready", (s) => s.state === "paused", 100);
    const { config, anchors } = status;
    if (config.loo_fid_weight !== 1 || config.lambda_fid !== 0 || config.updates !== 40) {
        throw new Error("the settings are not those of the lesson");
    }
    if (anchors.log) throw new Error("the log is hidden and still there");
    const turned = await turn(visit, ["guidance"]);
    await turn(visit, ["temperature"]).then(
        () => Promise.reject(new Error("temperature is locked and was turned")),
        (error) => (/is still/.test(error.message) ? undefined : Promise.reject(error)),
    );
    await sleep(500);
    visit.clean();
    return `${turned}; temperature stayed`;
}
