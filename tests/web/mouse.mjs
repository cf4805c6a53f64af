// Turning the knobs of the program by mouse, where it says that they are.

import { eventually } from "./browser.mjs";

/** Pixels from the right end of a setting's row to the middle of its number, and how far the number is dragged. */
const NUMBER = 30;
const DRAG = 60;

/** Drags the number of the first of these settings that is on the screen; says what changed. */
export async function turn(visit, names) {
    const { anchors, config } = await visit.status();
    const name = names.find((name) => anchors[`setting/${name}`]);
    if (!name) throw new Error(`none of the settings ${names.join(", ")} is on the screen`);
    const [x, y, width, height] = anchors[`setting/${name}`];
    const [from, level] = [x + width - NUMBER, y + height / 2];
    const { mouse } = visit.page;
    await mouse.move(from, level);
    await mouse.down();
    await mouse.move(from - DRAG, level, { steps: 12 });
    await mouse.up();
    // Away again, so that no tooltip hides anything.
    await mouse.move(from, 1);
    const turned = await eventually(async () => {
        const now = (await visit.status()).config[name];
        return now !== config[name] && { now };
    }, 15);
    if (!turned) throw new Error(`${name} was dragged and is still ${config[name]}`);
    return `${name} from ${config[name]} to ${Number(turned.now.toPrecision(4))}`;
}
