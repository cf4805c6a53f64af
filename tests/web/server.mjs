// A static host, as plain as those that the page will meet, and as unkind as a test wants it.

import { createReadStream, existsSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { createGzip } from "node:zlib";

const TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
    ".json": "application/json",
    ".wasm": "application/wasm",
};
/** What hosts usually compress. */
const COMPRESSED = [".html", ".js", ".css", ".svg", ".json", ".wasm"];

/** Serves `folder` under `base`, a path that begins and ends with a slash. */
export async function serve(folder, base) {
    const site = {
        /** Paths of all requests, relative to the base, in order. */
        requests: [],
        /** Tells for such a path whether it is answered by 404. */
        missing: () => false,
        /** Tells for such a path whether the connection breaks in the middle of the file. */
        broken: () => false,
    };
    const headers = {
        // The policy of the page itself, and what only a header can say: docs/web.md has the same.
        "content-security-policy": `${policy(folder)}; frame-ancestors 'none'`,
        "x-content-type-options": "nosniff",
        "cache-control": "no-cache",
    };
    const server = createServer((request, response) => {
        const { pathname } = new URL(request.url, "http://localhost");
        const inside = pathname.startsWith(base);
        const path = normalize(decodeURIComponent(pathname.slice(base.length)) || "index.html");
        const file = join(folder, path);
        site.requests.push(inside ? path : pathname);
        if (!inside || path.startsWith("..") || site.missing(path) || !existsSync(file) || !statSync(file).isFile()) {
            response.writeHead(404, { ...headers, "content-type": "text/plain" });
            return response.end("Not found");
        }
        const type = TYPES[extname(file)] ?? "application/octet-stream";
        const { size } = statSync(file);
        const breaks = site.broken(path);
        const accepted = /\bgzip\b/.test(request.headers["accept-encoding"] ?? "");
        const gzip = accepted && !breaks && COMPRESSED.includes(extname(file));
        const extent = gzip ? { "content-encoding": "gzip", vary: "accept-encoding" } : { "content-length": size };
        response.writeHead(200, { ...headers, ...extent, "content-type": type });
        if (request.method === "HEAD") return response.end();
        if (breaks) {
            const half = createReadStream(file, { end: size >> 1 });
            return half.on("end", () => setTimeout(() => response.destroy(), 100)).pipe(response, { end: false });
        }
        const bytes = createReadStream(file);
        (gzip ? bytes.pipe(createGzip({ level: 1 })) : bytes).pipe(response);
    });
    await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
    site.origin = `http://127.0.0.1:${server.address().port}`;
    site.url = site.origin + base;
    site.close = () => {
        server.closeAllConnections();
        server.close();
    };
    return site;
}

/** The content security policy in a page's own words, in one line. */
function policy(folder) {
    const html = readFileSync(join(folder, "index.html"), "utf8");
    const [, words] = /http-equiv="Content-Security-Policy"\s+content="([^"]*)"/i.exec(html) ?? [];
    if (!words) throw new Error("index.html has no content security policy");
    return words.trim().replace(/\s+/g, " ");
}
