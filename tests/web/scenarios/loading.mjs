// The program itself does not arrive: not there, cut off, offline, not a program, or a browser too old for it.

import { join } from "node:path";

export const what = "a program that cannot be loaded is a clear sentence, and trying again helps";
export const limit = 180;

const isProgram = (path) => path.endsWith(".wasm");
const isGlue = (path) => /artune-[^/]*\.js$/.test(path);

export async function run({ site, open, out }) {
    const said = [];
    const fails = async (visit, picture) => {
        const problem = await visit.untilProblem(60);
        if (picture) await visit.page.screenshot({ path: join(out, picture) });
        said.push(problem.split(":")[0]);
        return problem;
    };

    for (const [kind, path] of [["missing", isProgram], ["missing", isGlue], ["broken", isProgram]]) {
        const visit = await open();
        site[kind] = path;
        await visit.visit(site.url);
        await fails(visit, kind === "missing" && path === isProgram && "loading.png");
        await visit.tryAgain();
        await fails(visit);
        site[kind] = () => false;
        await visit.tryAgain();
        await visit.until("the program runs", () => true, 60);
        visit.clean(/404|Failed to load|ERR_|Failed to fetch/);
        await visit.page.close();
    }

    const offline = await open();
    await offline.page.route("**/*.wasm", async (route) => {
        await offline.page.context().setOffline(true);
        await route.abort("internetdisconnected");
    });
    await offline.visit(site.url);
    const problem = await fails(offline, "offline.png");
    if (!/offline/.test(problem)) throw new Error(`it does not say that it is offline: "${problem}"`);
    await offline.page.click("#problem-retry");
    const still = await offline.page.waitForFunction(
        () => /still no answer/.test(document.getElementById("problem-advice").textContent),
    );
    await still.dispose();
    await offline.page.unroute("**/*.wasm");
    await offline.page.context().setOffline(false);
    await offline.tryAgain();
    await offline.until("the program runs", () => true, 60);
    await offline.page.close();

    const old = await open();
    await old.page.addInitScript(() => {
        WebAssembly.validate = () => false;
    });
    await old.visit(site.url);
    const advice = await fails(old, "old-browser.png");
    if (!/browser/.test(advice)) throw new Error(`it does not say that the browser is too old: "${advice}"`);
    return [...new Set(said)].map((sentence) => `"${sentence}"`).join(", ");
}
