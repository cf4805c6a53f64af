// Just enough of PNG to tell a picture from an empty screen.

import { inflateSync } from "node:zlib";

/** The share of a screenshot, from 0 to 1, that differs from its commonest colour; 8 bits a channel, not interlaced. */
export function filled(png) {
    const [width, height, depth, kind] = [png.readUInt32BE(16), png.readUInt32BE(20), png[24], png[25]];
    if (depth !== 8 || ![2, 6].includes(kind)) throw new Error("a kind of PNG that no screenshot is");
    const parts = [];
    for (let at = 8; at < png.length; ) {
        const length = png.readUInt32BE(at);
        if (png.toString("latin1", at + 4, at + 8) === "IDAT") parts.push(png.subarray(at + 8, at + 8 + length));
        at += length + 12;
    }
    const rows = inflateSync(Buffer.concat(parts));
    const step = kind === 2 ? 3 : 4;
    const stride = width * step;
    let above = new Uint8Array(stride);
    const counts = new Map();
    for (let y = 0; y < height; y++) {
        const [filter] = rows.subarray(y * (stride + 1));
        const row = Uint8Array.from(rows.subarray(y * (stride + 1) + 1, (y + 1) * (stride + 1)));
        for (let i = 0; i < stride; i++) {
            const left = i < step ? 0 : row[i - step];
            const corner = i < step ? 0 : above[i - step];
            row[i] += [0, left, above[i], (left + above[i]) >> 1, paeth(left, above[i], corner)][filter];
        }
        for (let i = 0; i < stride; i += step) {
            const colour = (row[i] << 16) | (row[i + 1] << 8) | row[i + 2];
            counts.set(colour, (counts.get(colour) ?? 0) + 1);
        }
        above = row;
    }
    return 1 - Math.max(...counts.values()) / (width * height);
}

/** The neighbour nearest to left + above - corner. */
function paeth(left, above, corner) {
    const guess = left + above - corner;
    const [a, b, c] = [left, above, corner].map((value) => Math.abs(guess - value));
    if (a <= b && a <= c) return left;
    return b <= c ? above : corner;
}
