// Loads the program, shows how far that is, and says what went wrong if something does. From `init` on the program
// fills the start screen itself and hides it when its first picture is there; it reports trouble by `artune_problem`.

const [start, text, bar] = ["start", "start-text", "start-bar"].map((id) => document.getElementById(id));
const [panel, what, advice, retry] = ["", "-what", "-advice", "-retry"].map((id) =>
    document.getElementById(`problem${id}`),
);

/** Smallest module with a 128-bit vector in it. */
const VECTORS = new Uint8Array([
    0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
]);
const TOO_OLD = [
    "This browser cannot run Artune",
    "It lacks WebAssembly with 128-bit vectors. Chrome, Edge, Firefox and Safari have it in their current versions.",
];
const NOT_BUILT = ["This page has not been built", "Run trunk build --release, and open what it puts into dist."];
const STOPPED = [
    "The program has stopped",
    "It met an error that it could not handle; the browser's console has the details. Trying again starts it afresh.",
];

/** Shows the panel: in one sentence what happened, and what helps. */
function problem(happened, helps) {
    what.textContent = happened;
    advice.textContent = helps;
    start.hidden = true;
    panel.hidden = false;
    retry.focus();
}

/** Fetches the program; each chunk that arrives moves the bar. */
async function download(url, size) {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    let received = 0;
    const counter = new TransformStream({
        transform(chunk, out) {
            received += chunk.byteLength;
            if (size) bar.value = received / size;
            const complete = received === size;
            text.textContent = complete ? "Preparing the program" : `Loading the program: ${megabytes(received, size)}`;
            out.enqueue(chunk);
        },
    });
    // The type is set here, because some servers do not know it and the program is compiled while it arrives.
    return new Response(response.body.pipeThrough(counter), { headers: { "content-type": "application/wasm" } });
}

/** `12.3 of 21.0 MB`, or without the second part where it is not known. */
function megabytes(received, size) {
    const [done, all] = [received, size].map((bytes) => (bytes / 1e6).toFixed(1));
    return size ? `${done} of ${all} MB` : `${done} MB`;
}

async function load() {
    const program = document.getElementById("program");
    if (!program) return problem(...NOT_BUILT);
    if (typeof WebAssembly !== "object" || !WebAssembly.validate(VECTORS)) return problem(...TOO_OLD);
    try {
        const [{ default: init }, wasm] = await Promise.all([
            import(program.href),
            download(new URL(program.dataset.wasm, document.baseURI), Number(program.dataset.size)),
        ]);
        await init({ module_or_path: wasm });
    } catch (error) {
        console.warn(error);
        failed(error);
    }
}

/** Chooses the words for an error of loading. What the program has said itself stays. */
function failed(error) {
    if (!panel.hidden) return;
    if (error instanceof WebAssembly.CompileError) return problem(...TOO_OLD);
    if (error instanceof WebAssembly.RuntimeError || error instanceof WebAssembly.LinkError) return problem(...STOPPED);
    const reason = String(error.message ?? error).replace(/\.$/, "");
    const helps = navigator.onLine
        ? `The connection or the server failed (${reason}). Try again in a moment.`
        : "This device is offline. Connect it, then try again.";
    problem("The program could not be loaded", helps);
}

/** A trap leaves nothing that could speak for itself. */
function trapped(error) {
    if (error instanceof WebAssembly.RuntimeError && panel.hidden) problem(...STOPPED);
}

// Of a device that is lost while nothing waits for it the program hears nothing by itself.
const request = globalThis.GPUAdapter?.prototype.requestDevice;
if (request) {
    GPUAdapter.prototype.requestDevice = async function (...wishes) {
        const device = await request.apply(this, wishes);
        device.lost.then(() => dispatchEvent(new Event("artune-lost")));
        return device;
    };
}

// Another link in the same tab is another run.
addEventListener("hashchange", () => location.reload());

window.artune_problem = problem;
addEventListener("error", ({ error }) => trapped(error));
addEventListener("unhandledrejection", ({ reason }) => trapped(reason));

retry.addEventListener("click", async () => {
    retry.disabled = true;
    // Reloading while nobody answers would leave the browser's own error page in place of this one.
    const answer = await fetch(location.href, { method: "HEAD", cache: "no-store" }).catch(() => undefined);
    if (answer?.ok) return location.reload();
    advice.textContent = "There is still no answer. Check the connection, then try again.";
    retry.disabled = false;
});

load();
