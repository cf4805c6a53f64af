// Settings for tests, and links made of them.

/** A run for a graphics card made of software: the tiny model, two pictures an update, nothing besides. */
export const SMALL = {
    model: "tiny",
    prompts: 1,
    num_generations: 2,
    updates: 10,
    eval_every: 0,
    sample_every: 0,
    checkpoint_every: 0,
};

/** `key=value` pairs for a link, as the program writes them. */
export function pairs(settings) {
    const written = Object.entries(settings).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
    return written.join("&");
}

/** The address of a run that starts by itself. */
export const started = (site, settings) => `${site.url}?${pairs(settings)}&autostart`;
