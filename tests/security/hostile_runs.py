"""Harmful entries of a stranger's run: each edits the configuration of a harmless one. More go in the lists."""

import copy

import yaml

EVIL = """
from pathlib import Path

Path("PWNED").touch()


def make(*given, **named):
    Path("PWNED").touch()
"""
SHADOWS = (
    "json",
    "yaml",
    "torch",
    "numpy",
    "safetensors",
    "tokenizers",
    "datasets",
    "huggingface_hub",
    "matplotlib",
    "zuko",
)
TOUCH = {"cmd": "touch PWNED"}


def at(place, value):
    """An edit that puts a value in a place, parts of which are divided by dots."""

    def edit(config):
        config = copy.deepcopy(config)
        *groups, last = place.split(".")
        inner = config
        for group in groups:
            inner = inner[group]
        inner[last] = value
        return yaml.safe_dump(config)

    return edit


def more(text):
    """An edit that adds lines of text."""
    return lambda config: yaml.safe_dump(config) + text


def cls(path, /, **arguments):
    return {"class_path": path, "init_args": arguments}


def flow(**arguments):
    return at("guide", cls("ltm_pyro.FlowGuide", **arguments))


def encoder(value):
    return at("guide", cls("ltm_pyro.AmortisedGuide", encoder=value))


ALIASES = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))

NEED_CONSENT = {  # name: edit, the class path that the refusal names
    "a function": (at("slow.optimizer", cls("subprocess.getoutput", **TOUCH)), "subprocess.getoutput"),
    "a function by its path alone": (at("slow.optimizer", "subprocess.getoutput"), "subprocess.getoutput"),
    "a class that runs": (at("fast.optimizer", cls("subprocess.Popen", args=["touch", "PWNED"])), "subprocess.Popen"),
    "a builtin": (at("prior", cls("builtins.exec", source="open('PWNED', 'w')")), "builtins.exec"),
    "a module of the current folder": (at("prior", cls("evil.Prior")), "evil.Prior"),
    "a package of the current folder": (at("prior", cls("evil_package.inner.Prior")), "evil_package.inner.Prior"),
    "a module that acts when it is imported": (at("prior", cls("antigravity.Prior")), "antigravity.Prior"),
    "a name that begins like ours": (at("prior", cls("ltm_pyro_more.Prior")), "ltm_pyro_more.Prior"),
    "a name that looks like torch's": (at("fast.optimizer", cls("tоrch.optim.Adam")), "tоrch.optim.Adam"),
    "a transport": (at("transport", cls("evil.Transport")), "evil.Transport"),
    "a reward head": (at("reward", cls("evil.Reward")), "evil.Reward"),
    "a bound": (at("fast.bound", cls("evil.Bound")), "evil.Bound"),
    "a decoder": (at("decoder", cls("evil.Decoder", width=4)), "evil.Decoder"),
    "a decoder by its path alone": (at("decoder", "evil.Decoder"), "evil.Decoder"),
    "a decoder that runs": (at("decoder", cls("subprocess.getoutput", **TOUCH)), "subprocess.getoutput"),
    "a gradient within a bound": (at("fast.bound", cls("ltm_pyro.ELBO", gradient=cls("evil.make"))), "evil.make"),
    "a schedule within a bound": (
        at("slow.bound", cls("ltm_pyro.KLWeighted", kl_weight=cls("evil.make"))),
        "evil.make",
    ),
    "a guide within a guide": (at("guide", cls("ltm_pyro.MemoryGuide", guide=cls("evil.make"))), "evil.make"),
    "a guide by its path within a guide": (at("guide", cls("ltm_pyro.MemoryGuide", guide="evil.make")), "evil.make"),
    "an encoder": (encoder(cls("evil.Encoder")), "evil.Encoder"),
    "behind dots": (more("slow.optimizer.class_path: subprocess.getoutput\n"), "subprocess.getoutput"),
}

REFUSED = {  # name: edit, what the refusal says; no consent helps
    "a prior as a transport": (at("transport", cls("ltm_pyro.GaussianPrior")), "AbstractTransport"),
    "a prior as a reward head": (at("reward", cls("ltm_pyro.GaussianPrior")), "AbstractReward"),
    "a function through a module of torch": (at("slow.optimizer", cls("torch.os.system")), "torch.os.system"),
    "a function through a module of ours": (
        at("prior", cls("ltm_pyro.training.run.shutil.rmtree", path=".")),
        "shutil.rmtree",
    ),
    "a decoder through a module of ours": (
        at("decoder", cls("ltm_pyro.models.decoder.decoder.math.exp")),
        "math.exp",
    ),
    "a decoder of another kind": (at("decoder", cls("ltm_pyro.GaussianPrior")), "GaussianPrior"),
    "a decoder by a name of none": (at("decoder", "Nonesuch"), "Nonesuch"),
    "a class within our decoder": (at("decoder", cls("ltm_pyro.Decoder", inner=cls("evil.Size"))), "evil.Size"),
    "a function of torch": (at("prior", cls("torch.hub.load", repo_or_dir=".", source="local")), "torch.hub.load"),
    "a module of torch not imported yet": (
        at("prior", cls("torch.utils.cpp_extension.load_inline")),
        "cpp_extension.load_inline",
    ),
    "a class of torch of another kind": (at("prior", cls("torch.utils.data.DataLoader")), "DataLoader"),
    "globals through a function": (at("prior", cls("ltm_pyro.GaussianPrior.__init__.__globals__")), "__globals__"),
    "subclasses of a class": (at("prior", cls("ltm_pyro.AbstractPrior.__subclasses__")), "__subclasses__"),
    "a path of a file": (at("prior", cls("../evil.Prior")), "../evil.Prior"),
    "a flow's base": (flow(base="evil.make"), "evil.make"),
    "a flow's base through ours": (flow(base="ltm_pyro.guides.flow.math.prod"), "math.prod"),
    "an autoguide": (at("guide", cls("ltm_pyro.AutoGuideAdapter", autoguide="evil.make")), "evil.make"),
    "an activation of an encoder": (
        encoder(cls("torch.nn.TransformerEncoderLayer", d_model=16, nhead=2, activation="evil.make")),
        "evil.make",
    ),
    "a network that is a program": (encoder(cls("torch.jit.ScriptModule")), "torch.jit.ScriptModule"),
    "a class among free arguments": (flow(options={"sigma": cls("subprocess.getoutput", **TOUCH)}), "getoutput"),
    "text of a class among free arguments": (
        flow(options={"sigma": "{class_path: subprocess.getoutput, init_args: {cmd: touch PWNED}}"}),
        "getoutput",
    ),
    "text of a class for them all": (
        flow(options="{sigma: {class_path: subprocess.getoutput, init_args: {cmd: touch PWNED}}}"),
        "getoutput",
    ),
    "dict_kwargs": (
        at("fast.optimizer", {"class_path": "torch.optim.Adam", "dict_kwargs": {"x": cls("evil.make")}}),
        "dict_kwargs",
    ),
    "arguments of a class that is not named": (
        at("fast.bound", {"init_args": {"gradient": cls("evil.make")}}),
        "evil.make",
    ),
    "a class for a number": (at("thought_width", cls("evil.make")), "evil.make"),
    "a path for a learning rate": (at("fast.optimizer", cls("torch.optim.Adam", lr="evil.make")), "evil.make"),
    "a class in a list": (at("slow.betas", [cls("evil.make"), 0.9]), "evil.make"),
    "a class for an unknown argument": (at("unheard", cls("evil.make")), "evil.make"),
    "a group from a file": (at("decoder", "decoder.yaml"), "decoder.yaml"),
    "all from a file": (at("config", "more.yaml"), "more.yaml"),
    "a tag of Python": (more('unheard: !!python/object/apply:os.system ["touch PWNED"]\n'), "python/object"),
    "a type that no argument has": (more("unheard: !!binary aGVsbG8=\n"), "bytes"),
    "aliases of aliases": (more(ALIASES), "it holds more than"),
    "deep nesting": (more(f"unheard: {'[' * 10_000}\n"), "nested"),
}
