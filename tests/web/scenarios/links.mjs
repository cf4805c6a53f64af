// A link holds every setting and the seed: whoever opens it has the same run before them.

import { isDeepStrictEqual } from "node:util";

import { pairs } from "../settings.mjs";

export const what = "twenty links reproduce their settings";
export const limit = 300;

/** Settings that differ from the defaults; `preset` is made of several. */
const LINKS = [
    {},
    { seed: 7 },
    { seed: 123456789012 },
    { updates: 3, prompts: 2 },
    { num_generations: 4, guidance: 1 },
    { guidance: 2.25, temperature: 0.8, top_k: 50 },
    { top_p: 0.95, cfg_interval: 10 },
    { learning_rate: 2e-4 },
    { learning_rate: 1e-7, max_grad_norm: 0.001 },
    { num_iterations: 2, micro_batch: 4 },
    { loss_type: "dr_grpo", importance_sampling_level: "token" },
    { epsilon: 0.1, epsilon_high: 0.3, beta: 0 },
    { scale_rewards: false, advantage_eps: 1e-8 },
    { clip_weight: -1, colour_weight: 3.5 },
    { loo_fid_weight: 0, lambda_fid: 4, loo_fid_form: "full" },
    { adaptive_entropy: false, entropy_coef: 0 },
    { entropy_min: 1e-5, entropy_max: 0.01, entropy_target: 0.5 },
    { eval_every: 0, eval_samples: 16, sample_every: 1, checkpoint_every: 3 },
    { classes: "heart, drink", quirk_optimistic_clip: true },
    { classes: "fruit or vegetable", ema_beta: 0.5, quirk_ema_half_mass: true, seed: 1 },
];

export async function run({ site, open }) {
    const configOf = async (address) => {
        const visit = await open();
        await visit.visit(address);
        const { status } = await visit.until("the settings are there", (s) => s.config && s.state !== "loading", 60);
        visit.clean();
        await visit.page.close();
        return status.config;
    };
    const defaults = await configOf(`${site.url}?model=tiny`);
    const wrong = [];
    for (const [index, settings] of LINKS.entries()) {
        // After `?` as a server sees it, and after `#`, which it never sees: both are links.
        const link = `${"?#"[index % 2]}${pairs({ model: "tiny", ...settings })}`;
        const config = await configOf(site.url + link);
        if (!isDeepStrictEqual(config, { ...defaults, ...settings })) wrong.push(link);
    }
    if (wrong.length) throw new Error(`${wrong.length} of ${LINKS.length} links differ, the first: ${wrong[0]}`);
    return `${LINKS.length} links`;
}
