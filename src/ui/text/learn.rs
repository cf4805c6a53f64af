//! Words of the tour: short pages about what there is to see here, in the order in which it happens.

/// The words of one page.
#[derive(Clone, Copy, Debug)]
pub(in crate::ui) struct Words {
    /// At most one line of a narrow pane.
    pub(in crate::ui) title: &'static str,
    /// What the page explains.
    pub(in crate::ui) body: &'static str,
    /// What the reader is to do; empty where there is nothing but reading.
    pub(in crate::ui) ask: &'static str,
}

pub(in crate::ui) const PAGES: &str = "Page";
pub(in crate::ui) const TRY: &str = "Try it";
pub(in crate::ui) const SHOW: &str = "Show me";
pub(in crate::ui) const SHOW_HELP: &str = "Outline where this is, and scroll to it.";
pub(in crate::ui) const OPEN_HELP: &str = "Open this pane.";
pub(in crate::ui) const DONE: &str = "Done";
pub(in crate::ui) const GOES_ON: &str = "The next page comes by itself.";
pub(in crate::ui) const LAST_DONE: &str = "This was the last page.";
pub(in crate::ui) const STAY: &str = "Stay here";
pub(in crate::ui) const STAY_HELP: &str = "Keep this page until you press Next.";
pub(in crate::ui) const BACK: &str = "Back";
pub(in crate::ui) const BACK_HELP: &str = "The page before.";
pub(in crate::ui) const NEXT: &str = "Next";
pub(in crate::ui) const NEXT_HELP: &str = "The next page, whether or not you have tried this one.";
pub(in crate::ui) const LAST_HELP: &str = "There is no page after this one.";
pub(in crate::ui) const OVER: &str = "Start over";
pub(in crate::ui) const OVER_HELP: &str =
    "Go to the first page and forget which pages are done. The run stays as it is.";
pub(in crate::ui) const FIRST_HELP: &str = "This is the first page.";

pub(in crate::ui) const WATCH: Words = Words {
    title: "What you see",
    body: "An image model draws small pictures, 32 by 32 pixels, of hearts, birds, boats and the like. Artune scores \
        every picture and then changes the model a little, so that what scored well becomes more likely. What you see \
        at first is a recording; press Run, and the model that ships with this program learns while you watch.",
    ask: "Press Run, or the space bar.",
};

pub(in crate::ui) const TOKEN: Words = Words {
    title: "A picture is 64 tokens",
    body: "The model does not paint pixels. It fills a grid of 8 by 8 places, and each place holds one of 1,024 codes: \
        a token. Another network, the tokenizer, turns the 64 codes into pixels. It stays as it is. Only the network \
        that writes the codes is tuned.",
    ask: "When the pictures have coloured frames, click one: the inspector shows its tokens.",
};

pub(in crate::ui) const WRITE: Words = Words {
    title: "One token at a time",
    body: "A transformer with 2.6 million adjustable numbers writes the grid, row by row. It reads which class is \
        asked for and all tokens so far, and from these it writes the next one. A model that goes on from its own \
        output is called autoregressive.",
    ask: "Press Pause, choose “one token” as the step size, and press Step a few times.",
};

pub(in crate::ui) const CHANCE: Words = Words {
    title: "The next token is drawn",
    body: "For each place the model gives every code a probability, and one code is drawn by lot. The inspector shows \
        the likeliest ones. Temperature changes the odds: below 1 likely codes win more often; above 1 the draw is \
        wilder, so pictures differ more and are messier.",
    ask: "Set Temperature to 0.5 and make an update. The arrow beside it puts it back.",
};

pub(in crate::ui) const ROLLOUT: Words = Words {
    title: "A rollout",
    body: "Each update begins with a rollout. For each of 16 prompts, such as “a picture of a heart”, the model writes \
        8 samples: 128 pictures, side by side. The 8 samples of one prompt are a group, shown together. The draws \
        follow from the seed: the same model and seed give the same pictures.",
    ask: "Choose “one update” as the step size, press Step, and follow the phases in the bar.",
};

pub(in crate::ui) const GUIDANCE: Words = Words {
    title: "Guidance",
    body: "The model can also predict without being told the class. Guidance pushes its prediction away from that one, \
        so that pictures fit their class better; each token then takes twice the work. Here samples are drawn with \
        guidance 1.5 but the model is trained without it: what guidance does is to be learnt.",
    ask: "Set Guidance to 1, which is off, or to 3, and watch the next pictures.",
};

pub(in crate::ui) const REWARDS: Words = Words {
    title: "Instance rewards",
    body: "Two networks score each picture. CLIP says how well it fits its prompt. The preference score says how well \
        made it is: a small stand-in for people's taste, trained on pairs whose better picture is known. Their sum, \
        each times its weight, is the instance reward: what a picture earns by itself.",
    ask: "Move a fader, for instance that of brightness, and see which pictures are paid now.",
};

pub(in crate::ui) const ADVANTAGE: Words = Words {
    title: "Better than its group",
    body: "Some prompts are easier than others, so a picture is judged against the 8 of its own group only. Its \
        advantage is how many standard deviations its reward lies above or below the group's mean. Blue frames are \
        above: such pictures become likelier. Orange ones are below. White is average.",
    ask: "Hold the pointer over a blue frame, then over an orange one.",
};

pub(in crate::ui) const RATIO: Words = Words {
    title: "The ratio",
    body: "The ratio says how likely the model now finds a picture's tokens, against before the update. It is the \
        geometric mean over the 64 tokens. Before the first gradient step nothing has changed, so it must be 1, but \
        for rounding. If it is not, the training is wrong. Artune measures it in every update.",
    ask: "Let an update finish, and read the curve Ratio.",
};

pub(in crate::ui) const STEP: Words = Words {
    title: "A careful step",
    body: "A gradient step makes good pictures likelier and bad ones less; the learning rate says how far it goes. Num \
        iterations repeats it on the same pictures, and the ratio leaves 1. A good picture above 1.2, or a bad one \
        below 0.8, pushes no further: this is clipping. With a single step nothing is clipped.",
    ask: "Set Num iterations to 4, make an update, and see the curve Ratio leave 1.",
};

pub(in crate::ui) const KL: Words = Words {
    title: "Tied to its former self",
    body: "A model that only chases its reward forgets how to draw. So a frozen copy of the untouched model, the \
        reference, stays beside it. The KL divergence measures how far the two have drifted apart, and the loss \
        charges for it, times Beta. A high Beta ties the model tightly; 0 lets it go.",
    ask: "Set Beta to 0 or to 10, and watch the curve KL to the reference for some updates.",
};

pub(in crate::ui) const ENTROPY: Words = Words {
    title: "Staying undecided",
    body: "Entropy says how undecided the model is about the next token: 0 is sure of one code, 1 finds all equally \
        likely. Chasing a reward tends to lower it, and then pictures become alike. A bonus in the loss works against \
        that. It adapts: it grows when the entropy falls below that of the untouched model.",
    ask: "Let an update finish, and compare the curve Entropy with its target.",
};

pub(in crate::ui) const SPACE: Words = Words {
    title: "A cloud of pictures",
    body: "A feature network turns each picture into 128 numbers, so a picture is a point and a set of pictures is a \
        cloud. You see the two directions in which real pictures vary most. The ellipses outline the real cloud and \
        the model's. The better they agree, the more alike the two sets are.",
    ask: "Point at a dot, or use the arrow keys in the picture.",
};

pub(in crate::ui) const DISTANCE: Words = Words {
    title: "The Fréchet distance",
    body: "The Fréchet distance tells how different two clouds are: how far apart their centres lie, and how much \
        their spreads differ. Lower is better. With the Inception network it is known as FID. It notices what no \
        single picture shows, such as hearts that all look the same.",
    ask: "Press Evaluate: 256 new pictures give one more point of the curve Held-out distance.",
};

pub(in crate::ui) const LEAVE_ONE_OUT: Words = Words {
    title: "Leaving one out",
    body: "What does one picture do for the set? Measure the distance without it and with it: the difference is what \
        it is paid, and the name is LOO-FID. It is positive if the set would be worse off without this picture. Where \
        all look alike, those that restore the missing variety are paid.",
    ask: "Set Frames to Distribution: blue are the pictures that the set would miss most.",
};

pub(in crate::ui) const COLLAPSE: Words = Words {
    title: "Watch it fail",
    body: "The preset instance-only turns off LOO-FID and the entropy bonus. In our three runs of 50 updates the \
        preference score then rose most, but Held-out distance got worse and the pictures less varied, every time. The \
        preset no-anchor also cuts the tie to the reference. This is collapse: the scorers are pleased, and you are \
        not.",
    ask: "Choose either under Presets, and run 20 updates or more.",
};

pub(in crate::ui) const REWIND: Words = Words {
    title: "Diagnose, then rewind",
    body: "The diagnosis pane reads the curves for you and says what looks wrong. You need not begin again: the \
        window can go back to any update that it has made. Go back to one from before the trouble, turn a knob, and go \
        on from there; what came after stays in its folder.",
    ask: "Drag the timeline back and let go, or press Back.",
};

pub(in crate::ui) const COMPARE: Words = Words {
    title: "Before and after",
    body: "The inspector lets the untouched and the tuned model write the same sample: the same prompt, the same \
        random numbers. What differs is what the tuning did. It also shows the nearest training picture, so that you \
        recognise a copy. Look at bad samples too: one good picture proves nothing.",
    ask: "Pick a picture and compare it before and after.",
};

pub(in crate::ui) const HONEST: Words = Words {
    title: "Measure honestly",
    body: "A model can please its scorers without getting better. So held-out figures come from networks that no \
        reward uses, on pictures of fixed seeds. With fewer than 2,048 pictures a Fréchet distance comes out too high: \
        compare equal numbers only. And one run proves little. Repeat it with other seeds, and report the spread.",
    ask: "",
};

pub(in crate::ui) const AHEAD: Words = Words {
    title: "What to try next",
    body: "Give symmetry a weight, or brightness a negative one, and see what the model finds. Try the presets \
        distribution-only and paper. Drop a folder of your own pictures on the window, and set runs side by \
        side in the pane Compare. Keep this tuning first.",
    ask: "Press Save: it writes a checkpoint into the run folder.",
};

/// What a pane is called, for its name among the anchors.
pub(in crate::ui) fn pane(name: &str) -> &'static str {
    match name {
        "gallery" => "Pictures",
        "settings" => "Settings",
        "faders" => "Rewards",
        "curves" => "Curves",
        "feature-space" => "Feature space",
        "inspector" => "Inspector",
        "diagnosis" => "Diagnosis",
        _ => "Log",
    }
}

/// The button that opens a pane.
pub(in crate::ui) fn open(pane: &str) -> String {
    format!("Open {pane}")
}

/// Said where the pane of the thing spoken of is not in view.
pub(in crate::ui) fn closed(pane: &str) -> String {
    format!("It is in the pane {pane}, which is not in view.")
}

/// Said where the settings are open, but the heading of this one is not.
pub(in crate::ui) fn folded(heading: &str) -> String {
    format!("Unfold {heading} in the settings to see it.")
}

/// Said where the pane is open but does not show it.
pub(in crate::ui) fn not_yet(pane: &str) -> String {
    format!("It appears in the pane {pane} once there is something to show.")
}

/// Said where the bar itself leaves it out.
pub(in crate::ui) const ABSENT: &str = "It is not on screen at the moment.";

pub(in crate::ui) fn page_of(page: usize, pages: usize) -> String {
    format!("Page {page} of {pages}")
}

/// A page in the list of pages.
pub(in crate::ui) fn listed(page: usize, title: &str, done: bool) -> String {
    format!("{}  {page}  {title}", if done { "●" } else { "○" })
}

/// A page's dot.
pub(in crate::ui) fn dot(page: usize, title: &str, done: bool) -> String {
    format!("Page {page}: {title}{}", if done { ", done" } else { "" })
}
