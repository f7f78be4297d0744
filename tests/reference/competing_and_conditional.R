# Reference values for the multinomial hazard and the conditional logit.
# Uses rossi_periods.csv (binary_and_linear.R) and R's infert. Run from the root: Rscript tests/reference/competing_and_conditional.R
suppressPackageStartupMessages({library(nnet); library(survival); library(jsonlite)})
here <- "tests/reference"
out <- list(versions = list(R = R.version.string, nnet = as.character(packageVersion("nnet")),
                            survival = as.character(packageVersion("survival"))))
long <- read.csv(file.path(here, "rossi_periods.csv"))
long$cause <- long$event * (1 + (long$age %% 2))
fit <- multinom(cause ~ fin + age + mar + prio + period, data = long, maxit = 5000, abstol = 0, reltol = 1e-16, trace = FALSE)
out$multinom <- list(coef = unname(t(coef(fit))), naive = unname(sqrt(diag(vcov(fit)))), log_likelihood = as.numeric(logLik(fit)))

write.csv(infert[, c("education", "age", "parity", "induced", "case", "spontaneous", "stratum")], file.path(here, "infert.csv"),
          row.names = FALSE)
fit <- clogit(case ~ spontaneous + induced + strata(stratum), data = infert, method = "exact",
              control = coxph.control(eps = 1e-14, iter.max = 100))
# Groups with several events: strata by age, from two to a dozen events each.
many <- clogit(case ~ spontaneous + induced + parity + strata(age), data = infert, method = "exact",
               control = coxph.control(eps = 1e-14, iter.max = 100))
out$clogit <- list(coef = unname(coef(fit)), naive = unname(sqrt(diag(vcov(fit)))), log_likelihood = fit$loglik[2])
out$clogit_many <- list(coef = unname(coef(many)), naive = unname(sqrt(diag(vcov(many)))), log_likelihood = many$loglik[2])
write_json(out, file.path(here, "competing_and_conditional.json"), digits = NA, auto_unbox = TRUE, pretty = TRUE)
