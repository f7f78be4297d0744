# Reference values of the random-intercept models, made by lme4 with tightened convergence.
# Run: Rscript tests/reference/random_intercept.R   (writes random_intercept.json and the data beside it)
suppressPackageStartupMessages({library(lme4); library(jsonlite)})
here <- file.path("tests", "reference")
tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = 2e-2, rhoend = 1e-12, maxfun = 1e6))
gtight <- glmerControl(optimizer = "bobyqa", tolPwrss = 1e-13, optCtrl = list(rhobeg = 2e-3, rhoend = 1e-11, maxfun = 1e6),
                       check.conv.grad = .makeCC("ignore", tol = 1e-2), check.conv.hess = .makeCC("ignore", tol = 1e-2))
effects <- function(fit) {
  r <- ranef(fit, condVar = TRUE)[[1]]
  list(group = rownames(r), estimate = r[, 1], error = sqrt(attr(r, "postVar")[1, 1, ]))
}
summarise <- function(fit) {
  vc <- as.data.frame(VarCorr(fit))
  list(terms = names(fixef(fit)), estimate = unname(fixef(fit)), std_error = unname(sqrt(diag(as.matrix(vcov(fit))))),
       sd = vc$sdcor, criterion = if (isLMM(fit) && isREML(fit)) REMLcrit(fit) else -2 * as.numeric(logLik(fit)),
       effects = effects(fit))
}
out <- list(versions = list(R = R.version.string, lme4 = as.character(packageVersion("lme4"))))

out$sleep_reml <- summarise(lmer(Reaction ~ Days + (1 | Subject), sleepstudy, control = tight))
ml <- lmer(Reaction ~ Days + (1 | Subject), sleepstudy, REML = FALSE, control = tight)
out$sleep_ml <- summarise(ml)
ci <- suppressMessages(confint(ml, parm = c(".sig01", ".sigma"), method = "profile"))
out$sleep_ml$profile <- unname(ci)

set.seed(5)
w <- sleepstudy; w$weight <- round(runif(nrow(w), 0.5, 3), 3)
w <- w[sort(sample(nrow(w), 140)), ]
write.csv(w, file.path(here, "sleep_weighted.csv"), row.names = FALSE)
out$sleep_weighted <- summarise(lmer(Reaction ~ Days + (1 | Subject), w, weights = weight, control = tight))

# Satterthwaite degrees of freedom by lmerTest.
df_of <- function(formula, data, ...) {
  fit <- lmerTest::lmer(formula, data, control = tight, ...)
  unname(summary(fit)$coefficients[, "df"])
}
out$satterthwaite <- list(version = as.character(packageVersion("lmerTest")),
  sleep = df_of(Reaction ~ Days + (1 | Subject), sleepstudy), unbalanced = df_of(Reaction ~ Days + (1 | Subject), w))

out$dyestuff <- summarise(lmer(Yield ~ 1 + (1 | Batch), Dyestuff, control = tight))
out$dyestuff2 <- summarise(lmer(Yield ~ 1 + (1 | Batch), Dyestuff2, control = lmerControl(optimizer = "bobyqa")))
write.csv(Dyestuff2, file.path(here, "dyestuff2.csv"), row.names = FALSE)
write.csv(Dyestuff, file.path(here, "dyestuff.csv"), row.names = FALSE)
write.csv(sleepstudy, file.path(here, "sleepstudy.csv"), row.names = FALSE)
write.csv(cbpp, file.path(here, "cbpp.csv"), row.names = FALSE)

# Hessians on a fine Richardson grid rather than lme4's plain differences, so that the errors bear comparing to 1e-4.
quadrature <- function(formula, data, nodes, ...) {
  fit <- glmer(formula, data, family = binomial, nAGQ = nodes, control = gtight, ...)
  dev <- update(fit, devFunOnly = TRUE)
  at <- c(getME(fit, "theta"), fixef(fit))
  V <- solve(0.5 * numDeriv::hessian(dev, at))
  s <- summarise(fit)
  k <- length(at)
  s$std_error <- unname(sqrt(diag(V)))[2:k]
  s$sd_error <- unname(sqrt(V[1, 1]))
  s
}
for (k in c(1, 5, 25)) {
  out[[paste0("cbpp_", k)]] <- quadrature(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, k)
}
data(bacteria, package = "MASS")
bacteria$yes <- as.integer(bacteria$y == "y")
write.csv(bacteria[, c("yes", "week", "trt", "ID")], file.path(here, "bacteria.csv"), row.names = FALSE)
for (k in c(1, 15)) {
  out[[paste0("bacteria_", k)]] <- quadrature(yes ~ trt + week + (1 | ID), bacteria, k)
}
write_json(out, file.path(here, "random_intercept.json"), digits = 14, auto_unbox = TRUE, pretty = TRUE)
