# Reference values for a study made from public data (mgus2, see tests/analyses/public_study.py).
# Run in this folder: Rscript public_study.R
suppressMessages({library(survival); library(sandwich)})

d <- read.csv("mgus2.csv")
d$day <- 30 * ifelse(d$pstat == 1, d$ptime, d$futime)
d$cause <- ifelse(d$pstat == 1, 1, 2 * d$death)
d <- d[d$day > 0, ]
d$old <- as.numeric(d$age >= 70)
d$woman <- as.numeric(d$sex == "F")

rows <- list()
emit <- function(quantity, term, value) {
  rows[[length(rows) + 1]] <<- data.frame(quantity = quantity, term = as.character(term), value = sprintf("%.17g", value))
}

# Aalen-Johansen at 60, 120 and 240 months of 365.25 / 12 days; error by the infinitesimal jackknife of survfit.
fit <- survfit(Surv(day, factor(cause, 0:2)) ~ 1, d, id = seq_len(nrow(d)))
for (months in c(60, 120, 240)) {
  at <- summary(fit, times = round(months * 365.25 / 12), extend = TRUE)
  emit("incidence", months, at$pstate[, 2])
  emit("incidence_error", months, at$std.err[, 2])
}
emit("participants", "all", nrow(d))
emit("events", "all", sum(d$cause == 1))

# Cox regression on days, and a discrete hazard by year with the tenth year and later together.
d$event <- as.numeric(d$cause == 1)
cox <- coxph(Surv(day, event) ~ woman + old, d, ties = "efron", control = coxph.control(eps = 1e-12, toler.chol = 1e-13))
for (term in c("woman", "old")) {
  emit("cox", term, coef(cox)[[term]])
  emit("cox_error", term, sqrt(diag(vcov(cox)))[[term]])
}
years <- survSplit(Surv(day, event) ~ ., d, cut = round(12 * (1:40) * 365.25 / 12), episode = "year")
years$year <- pmin(years$year, 10)
hazard <- glm(event ~ woman + old + factor(year), binomial("cloglog"), years, control = glm.control(epsilon = 1e-14, maxit = 100))
robust <- sqrt(diag(vcovCL(hazard, years$id, type = "HC0", cadjust = FALSE)))
for (term in c("woman", "old")) {
  emit("hazard", term, coef(hazard)[[term]])
  emit("hazard_error", term, robust[[term]])
}
emit("rows", "years", nrow(years))
emit("version", as.character(packageVersion("survival")), 0)
write.csv(do.call(rbind, rows), "public_study.csv", row.names = FALSE, quote = FALSE)
