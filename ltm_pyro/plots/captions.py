"""Caption of each `plot_` function: what is shown, in which unit, with which error bars and which sign."""

from __future__ import annotations

from ltm_pyro.plots.costs import HIGHER, LOWER

NO_BARS = "No error bars"
UNPAIRED = "Bars are unpaired: one standard error over texts, which are the same for all, so that differences have less"
PAIRED_BARS = "Thin bars: one standard error of the paired difference over texts, thick bars: over seeds."

CAPTIONS = {
    "plot_accuracy_by_passes": (
        "Percent of right answers of each method of inference-time computation against its decoder passes: tokens that "
        "go through the decoder, forward or backward, mean over problems, on a logarithmic axis. Bars are unpaired: "
        f"Wilson's 95 % intervals over problems, which are the same for all. {HIGHER}"
    ),
    "plot_aggregate": (
        "Squared maximum mean discrepancy (MMD², without unit) between thoughts of texts and thoughts of the "
        "prior; zero if the two have one distribution. Grey: up to its 95 % quantile in that case; a dot beyond "
        f"the grey is a significant difference. {NO_BARS}."
    ),
    "plot_attention": (
        "Share of each token's attention that each thought of a layer has, mean over heads and draws, at the "
        f"first tokens of a text; the shares of a layer add up to 1. {NO_BARS}."
    ),
    "plot_bias": (
        "Bias of each gradient along the reference gradient, in percent of its length: zero is unbiased. Bars: "
        "two standard errors, unpaired. Hollow: gradient of another objective than the bound."
    ),
    "plot_budgets": (
        f"Validation cost of each run, bits/byte, against the training budget on a logarithmic axis. {NO_BARS}: "
        f"the table has the paired differences of the final costs. {LOWER}"
    ),
    "plot_curves": (
        "−ELBO, nats/token, scored with fresh noise, against decoder passes and against time. All estimators "
        f"share the texts; {NO_BARS.lower()}: the records have the errors over texts. {LOWER}"
    ),
    "plot_fast_step_sweep": (
        "Bounds as costs, nats/token, against the number of fast steps that fit q from its start. Bars: one "
        "standard error over texts, unpaired, except in differences to the first setting, which are paired by "
        f"text. {LOWER}"
    ),
    "plot_gaps": (
        "Cost of each guide less the reference's, nats/token, in two parts (bars), and the total (dot). Error "
        f"bars: one standard error of the total, paired by text. {LOWER}"
    ),
    "plot_guide_curves": (
        "−ELBO of held-out texts, nats/token, scored with fresh noise; each point is a separate fit. All guides "
        f"share the texts; {NO_BARS.lower()}: the table has the errors over texts. {LOWER}"
    ),
    "plot_interpolation": (
        "−log p(x given z), nats/token, of two texts with the thoughts on the great circle between theirs, one "
        f"draw of z. {NO_BARS}. {LOWER}"
    ),
    "plot_kl_by_layer": (
        "KL(q ‖ p) of each layer, nats/token, in the course of training; the decoder ignores a layer whose KL "
        f"stays at zero. {NO_BARS}."
    ),
    "plot_latent_map": (
        "Posterior means on their first two principal axes, in standard deviations of the prior; a dot is a text. "
        f"{NO_BARS}."
    ),
    "plot_law": (
        "Dashed: fitted law, with its 95 % interval of the bootstrap over texts and seeds where there is a band."
    ),
    "plot_layers": (
        "KL(q ‖ p) of each layer, nats/token; the decoder ignores a layer with a KL of zero. Models whose KL does "
        f"not divide by layer are left out. {NO_BARS}."
    ),
    "plot_learning": (
        "Validation numbers, nats/token, in the course of training, a line for each run. All runs share the "
        f"texts; {NO_BARS.lower()}. {LOWER}"
    ),
    "plot_learning_curves": (
        "Lines: training, nats/token, means over neighbouring steps, each on its own batch. Points: validation, q "
        "fitted to held-out text by more steps and scored with fresh noise. Lines and points are different "
        f"estimates, not one number on two texts. {NO_BARS}. {LOWER}"
    ),
    "plot_number": (
        "Held-out costs of each model, nats/token. Thin bars: one standard error over texts, thick bars: over "
        f"seeds. {LOWER}"
    ),
    "plot_pareto_k": (
        "Pareto k-hat of each sequence's importance weights against their effective sample size, both without "
        f"unit; weights with a k-hat above 0.7 are not reliable. {NO_BARS}."
    ),
    "plot_pass_at_k": (
        "Percent of problems solved by at least one of k attempts. Bars are unpaired: one standard error over "
        f"problems, which are the same for all. {HIGHER}"
    ),
    "plot_probe": (
        "Cost, nats/token, with the thoughts of the first layers from q and the others from the prior. Bars: one "
        "standard error over texts, unpaired, except in differences to no layer from q, which are paired by text. "
        f"{LOWER}"
    ),
    "plot_ranks": (
        "Ranks of true values among posterior draws; the histogram is uniform if the posterior is exact. Grey: "
        "where 99 % of the bins of a uniform histogram lie."
    ),
    "plot_scaling": (
        f"Bounds of held-out text as costs, nats/token or bits/byte. {UNPAIRED}. Small dots: seeds. {LOWER}"
    ),
    "plot_signal_to_noise": (
        "Norm of the mean gradient over the standard deviation of a single gradient, without unit, against the "
        "number of particles S. Bars: one standard error, unpaired; ratios below their standard error are not "
        f"shown. {HIGHER}"
    ),
    "plot_task_scores": (
        f"Share of questions answered rightly, by task and measure. Bars: one standard error over questions. {HIGHER}"
    ),
    "plot_text_quality": (
        "Measures of generated and real texts by kind. Bars are unpaired: 95 % intervals over texts, which differ "
        "from kind to kind."
    ),
    "plot_text_sets": (
        "Cost of each text set, bits/byte. Bars are unpaired: one standard error over sequences, which are the "
        f"same for all numbers of a set. {LOWER}"
    ),
    "plot_thoughts": (
        f"KL(q ‖ p) of each thought, nats/text: what it carries, before the decoder earns it back. {NO_BARS}."
    ),
    "plot_tightness": (
        "Minus the mean of each bound of log p(x), in nats, against the number of particles S. Bars: one standard "
        "error over draws of z, unpaired, except in differences to −ELBO, which are paired by text. Upper bounds of "
        f"log p(x) lie below −log p(x), and are the tighter the higher. {LOWER}"
    ),
    "plot_variance": (
        f"Total variance of a single gradient, nats², on a logarithmic axis. {NO_BARS}; lower is better."
    ),
}
