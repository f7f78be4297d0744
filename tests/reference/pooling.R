# Random-effects pooling by metafor: DerSimonian-Laird, Paule-Mandel and REML, with Knapp-Hartung errors.
library(metafor)
library(jsonlite)
dat <- escalc(measure = "RR", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg)
write.csv(data.frame(yi = as.numeric(dat$yi), vi = as.numeric(dat$vi)), "bcg.csv", row.names = FALSE)
one <- function(yi, vi, method, test) {
  fit <- rma(yi = yi, vi = vi, method = method, test = test, control = list(tol = 1e-12, threshold = 1e-12))
  bounds <- confint(fit)$random
  p <- predict(fit)
  list(estimate = as.numeric(fit$beta), error = fit$se, low = fit$ci.lb, high = fit$ci.ub, p = fit$pval,
       tau2 = fit$tau2, tau2_low = bounds["tau^2", "ci.lb"], tau2_high = bounds["tau^2", "ci.ub"],
       q = fit$QE, q_p = fit$QEp, i2 = fit$I2, pi_low = p$pi.lb, pi_high = p$pi.ub)
}
few <- 1:6
found <- list(version = as.character(packageVersion("metafor")))
for (method in c("DL", "PM", "REML")) for (test in c("z", "knha")) {
  found[[paste(method, test, sep = "_")]] <- one(dat$yi, dat$vi, method, test)
  found[[paste(method, test, "few", sep = "_")]] <- one(dat$yi[few], dat$vi[few], method, test)
}
write_json(found, "pooling.json", digits = 12, auto_unbox = TRUE, pretty = TRUE)
