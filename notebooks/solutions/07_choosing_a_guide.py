# ---
# jupyter:
#   jupytext:
#     formats: py:percent
# ---

# %% [markdown]
# # 7 · Is the mean field good enough? Solutions.
#
# ## Exercise 1
#
# The best mean field has σᵢ² = 1 / Λᵢᵢ, one over the *precision*; the true marginal variance is (Λ⁻¹)ᵢᵢ. In two
# dimensions their ratio is 1 - ρ². At ρ = 0.95 the mean field reports a tenth of the variance.


# %% tags=["solution-1"]
def variance_fraction(rho):
    return 1 - rho**2


# %% [markdown]
# A likely mistake takes the ratio of standard deviations:


# %% tags=["mistake-1"]
def variance_fraction(rho):
    return (1 - rho**2) ** 0.5


# %% [markdown]
# ## Exercise 2
#
# A long run of the same guide wins 2.0 - 1.9 = 0.1 nats: that is all that is left to inference. The other 1.9 belong
# to the family, and another one is known to reach 0.3: up to 2.0 - 0.3 = 1.7 nats.

# %% tags=["solution-2"]
decision = ("another family", 1.7)

# %% tags=["mistake-2"]
decision = ("more steps", 0.1)

# %% [markdown]
# ## Exercise 3
#
# Full covariance of z takes 8 · 10 = 80 numbers. The dependence is between thoughts, which Kronecker factors over
# thoughts and width can express: 8 + 4² + 2² = 28 numbers. Four directions of low rank need 48 and do as well.


# %% tags=["solution-3"]
def my_guide(z_shape):
    return MatrixNormalGuide(z_shape)


# %% tags=["mistake-3"]
def my_guide(z_shape):
    return FullCovarianceGuide(z_shape)  # a covariance within each thought: there is no dependence there
