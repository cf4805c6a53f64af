// Chromium without a screen, with WebGPU computed by the processor; and what a test may ask of a page in it.

import { createRequire } from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";

const TOOLS = process.env.ARTUNE_TOOLS ?? join(homedir(), ".cache/artune/tools");
const { chromium } = createRequire(join(TOOLS, "package.json"))("playwright-core");

const QUIET = ["--no-sandbox", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-quic"];
// The last three let what WebGPU draws reach the screen; computing alone needs the first two.
const WEBGPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan",
    "--use-vulkan=swiftshader", "--use-angle=vulkan"];
// `navigator.gpu` stays, but has no adapter; WebGL works, which it does not beside the flags above.
const NO_WEBGPU = ["--disable-features=WebGPU", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"];

/** Milliseconds between two looks at the status of the program. */
const GLANCE = 200;

/** Measures the longest time between two frames, in milliseconds: what a user feels as a page that hangs. */
function watchFrames() {
    let last = performance.now();
    window.frames_watched = { longest: 0 };
    const frame = (now) => {
        window.frames_watched.longest = Math.max(window.frames_watched.longest, now - last);
        last = now;
        requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
}

/** Opens a browser with one page; `scripts` run in it before its own. */
export async function launch({ webgpu = true, scripts = [] } = {}) {
    const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
    const browser = await chromium.launch({
        executablePath,
        headless: true,
        args: [...QUIET, ...(webgpu ? WEBGPU : NO_WEBGPU)],
    });
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
    for (const script of [watchFrames, ...scripts]) await context.addInitScript(script);
    return { browser, open: () => context.newPage().then((page) => new Visit(page)), close: () => browser.close() };
}

/** One page, and what it let slip. */
export class Visit {
    constructor(page) {
        this.page = page;
        /** Errors on the console, and errors that nothing caught. */
        this.errors = [];
        /** Addresses outside the origin of the page. */
        this.foreign = [];
        page.on("console", (line) => line.type() === "error" && this.errors.push(line.text()));
        page.on("pageerror", (error) => this.errors.push(error.message));
        page.on("crash", () => this.errors.push("the page has crashed"));
        const leaves = (url) => {
            if (!/^(data|blob):/.test(url) && new URL(url).host !== new URL(page.url()).host) this.foreign.push(url);
        };
        page.on("request", (request) => request.isNavigationRequest() || leaves(request.url()));
        page.on("websocket", (socket) => leaves(socket.url()));
    }

    /** Goes there, without waiting for the program. */
    async visit(url) {
        await this.page.goto(url, { waitUntil: "commit" });
    }

    /** What the program says of itself; `undefined` as long as it does not run. */
    async status() {
        const text = await this.page.evaluate(() => window.artune?.status());
        return text === undefined ? undefined : JSON.parse(text);
    }

    /** What the problem panel says; `undefined` as long as it is hidden. */
    async problem() {
        return this.page.evaluate(() => {
            const text = (id) => document.getElementById(id)?.textContent.trim();
            const shown = document.getElementById("problem")?.checkVisibility();
            return shown ? `${text("problem-what")}: ${text("problem-advice")}` : undefined;
        });
    }

    /** Sends a command to the program. */
    async send(command) {
        await this.page.evaluate((text) => window.artune.send(text), JSON.stringify(command));
    }

    /** Waits until the status passes; a page that reports a problem has failed. The status, and the seconds it took. */
    async until(wanted, passes, seconds) {
        const began = Date.now();
        for (let last; ; await sleep(GLANCE)) {
            if (this.page.isClosed()) throw new Error(`the page was closed before ${wanted}`);
            // A page on its way to another has no answer.
            const [status, problem] = await Promise.all([this.status(), this.problem()]).catch(() => []);
            last = status ?? last;
            if (status && passes(status)) return { status, seconds: (Date.now() - began) / 1000 };
            if (problem) throw new Error(`waiting until ${wanted}: the page says "${problem}"`);
            if (Date.now() - began > seconds * 1000) {
                const where = last ? `state ${last.state}, update ${last.update}, error ${last.error}` : "no status";
                throw new Error(`waited ${seconds} s until ${wanted}: ${where}${this.gossip()}`);
            }
        }
    }

    /** Waits for the problem panel, and for words on it that a person can use. */
    async untilProblem(seconds) {
        const problem = await eventually(() => this.problem().catch(() => undefined), seconds);
        if (!problem) throw new Error(`no problem was reported within ${seconds} s${this.gossip()}`);
        const [what, advice] = problem.split(/: (.*)/s);
        const clear = (words) => words?.length > 10 && !/undefined|\[object|null|NaN|panicked/.test(words);
        if (!clear(what) || !clear(advice)) throw new Error(`not a clear sentence: "${problem}"`);
        return problem;
    }

    /** Presses the button of the problem panel, which loads the page again. */
    async tryAgain() {
        await Promise.all([this.page.waitForEvent("load", { timeout: 10_000 }), this.page.click("#problem-retry")]);
    }

    /** The longest time between two frames since the last call, in milliseconds. */
    async longestFrame() {
        return this.page.evaluate(() => {
            const { longest } = window.frames_watched;
            window.frames_watched.longest = 0;
            return Math.round(longest);
        });
    }

    /** Fails if anything went wrong aside, but for errors that a test has brought about. */
    clean(expected = /^$/) {
        const errors = this.errors.filter((text) => !expected.test(text));
        if (errors.length) throw new Error(`${errors.length} errors on the console, the first: ${errors[0]}`);
        if (this.foreign.length) throw new Error(`requests that leave the origin: ${this.foreign.join(", ")}`);
    }

    gossip() {
        return this.errors.length ? `; the console says: ${this.errors.slice(0, 3).join(" | ").slice(0, 600)}` : "";
    }
}

export const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

/** Looks until there is something to see, at most so many seconds. */
export async function eventually(look, seconds) {
    for (const began = Date.now(); Date.now() - began < seconds * 1000; await sleep(GLANCE)) {
        const seen = await look();
        if (seen) return seen;
    }
    return undefined;
}
