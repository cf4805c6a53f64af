// A teacher's link: what it locks stays as it is, what it hides is not there, and its lesson is read.

import { turn } from "../mouse.mjs";

export const what = "a teacher's link locks and hides, and its lesson sets the run";
export const limit = 120;

export async function run({ site, open }) {
    const opened = async (pairs) => {
        const visit = await open();
        await visit.visit(`${site.url}?${pairs}&device=cpu`);
        const { status } = await visit.until("the run is ready", (s) => s.state === "paused", 100);
        return { visit, status };
    };
    const { visit: reader, status: read } = await opened("lesson=diversity");
    if (read.config.loo_fid_weight !== 1 || read.config.lambda_fid !== 0 || read.config.updates !== 40) {
        throw new Error("the settings are not those of the lesson");
    }
    reader.clean();
    const { visit, status } = await opened("model=tiny&lock=temperature&hide=log");
    if (status.anchors.log || !read.anchors.log) throw new Error("what is hidden is there, or what is not is missing");
    const turned = await turn(visit, ["guidance"]);
    await turn(visit, ["temperature"]).then(
        () => Promise.reject(new Error("temperature is locked and was turned")),
        (error) => (/is still/.test(error.message) ? undefined : Promise.reject(error)),
    );
    visit.clean();
    return `${turned}; temperature stayed`;
}
