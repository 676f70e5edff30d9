# ---
# jupyter:
#   jupytext:
#     formats: py:percent
# ---

# %% [markdown]
# # Solutions to notebook 12
#
# Each cell goes in the place of the notebook's cell `exercise-N`; `mistake-N` is a likely wrong answer, and why.

# %% [markdown]
# **1.** The scale is a buffer, so that it moves to the prior's device and precision with `to()`. The mistake mixes up
# scale and rate.


# %% tags=["mistake-1"]
class MyPrior(AbstractPrior):
    def __init__(self, z_shape):
        super().__init__(z_shape)
        self.register_buffer("scale", torch.tensor(2.0))

    def forward(self):
        return dist.Gumbel(torch.zeros_like(self.scale), self.scale).expand(self.z_shape).to_event(3)


# %% tags=["solution-1"]
class MyPrior(AbstractPrior):
    def __init__(self, z_shape):
        super().__init__(z_shape)
        self.register_buffer("scale", torch.tensor(0.5))

    def forward(self):
        return dist.Gumbel(torch.zeros_like(self.scale), self.scale).expand(self.z_shape).to_event(3)


# %% [markdown]
# **2.** The mistake keeps its rows as `nn.Parameter`s: they would go to the slow optimizer and into every checkpoint.


# %% tags=["mistake-2"]
class MyGuide(AbstractGuide):
    def start(self, x, mask=None, prior=None):
        self.rows = len(x)
        mu, sigma = self.at_prior(x, prior)
        self.mu, self.log_b = torch.nn.Parameter(mu), torch.nn.Parameter(sigma.log())

    def local_parameters(self):
        return [self.mu, self.log_b]

    def posterior(self):
        return dist.Laplace(self.mu, self.log_b.exp()).to_event(3)


# %% tags=["solution-2"]
class MyGuide(AbstractGuide):
    def start(self, x, mask=None, prior=None):
        self.rows = len(x)
        mu, sigma = self.at_prior(x, prior)
        self.mu, self.log_b = mu.requires_grad_(), (sigma / 2**0.5).log().requires_grad_()

    def local_parameters(self):
        return [self.mu, self.log_b]

    def posterior(self):
        return dist.Laplace(self.mu, self.log_b.exp()).to_event(3)


# %% [markdown]
# **3.** The mean of S weights is at least the largest over S: log 1/S Σ w ≥ max log w - log S. What lies below a
# lower bound is one. Equality holds where one weight counts alone. The mistake subtracts half of it.


# %% tags=["mistake-3"]
class Mended(AbstractBound):
    def value(self, log_w):
        return log_w.max(0).values - 0.5 * torch.tensor(float(len(log_w))).log()


# %% tags=["solution-3"]
class Mended(AbstractBound):
    def value(self, log_w):
        return log_w.max(0).values - torch.tensor(float(len(log_w))).log()
